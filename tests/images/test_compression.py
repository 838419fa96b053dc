"""PNGs without zlib's search for repetitions: no larger where there are none, and with it where there are some."""

import io
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from npbsrn.images import deep
from npbsrn.images.compression import LARGER, LEVEL, ROWS, STRIPS, rows_to_try, save_png, strategy_for
from npbsrn.images.picture import Picture
from npbsrn.images.reading import read_picture
from npbsrn.images.resize import resize
from npbsrn.images.writing import encode_picture


def photograph():
    """Smooth, with a little noise, as what a network enlarges is."""
    rng = np.random.default_rng(3)
    return resize(rng.integers(40, 220, (40, 50, 3), dtype=np.uint8), 4)


def text():
    """The same letters again and again."""
    image = Image.new("RGB", (240, 160), "white")
    for top in range(0, 160, 11):
        ImageDraw.Draw(image).text((0, top), "abcdefgh " * 6, "black")
    return np.asarray(image)


def written(samples):
    file = io.BytesIO()
    save_png(samples, file)
    return file.getvalue()


def plain(samples, strategy=zlib.Z_FILTERED):
    """As Pillow writes it unasked."""
    file = io.BytesIO()
    Image.fromarray(samples).save(file, "PNG", compress_level=LEVEL, compress_type=strategy)
    return file.getvalue()


def test_a_photograph_is_not_searched_for_repetitions():
    samples = photograph()
    assert written(samples) == plain(samples, zlib.Z_RLE)
    assert len(written(samples)) <= LARGER * len(plain(samples))


def test_text_is():
    samples = text()
    assert written(samples) == plain(samples)
    assert LARGER * len(plain(samples)) < len(plain(samples, zlib.Z_RLE))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("make", [photograph, text])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_samples_stay_as_they_are(make, channels, dtype):
    if dtype == np.uint16 and channels > 1 and not deep.available():
        pytest.skip("Pillow holds 8 bits a channel")
    samples = np.dstack([make(), 255 - make()[:, :, 0]])[:, :, -channels:]
    samples = samples.astype(dtype) * dtype(np.iinfo(dtype).max // 255)
    picture = Picture(
        samples[:, :, 0] if channels < 3 else samples[:, :, :3], samples[:, :, -1] if channels in (2, 4) else None
    )
    pillow = dtype == np.uint8 or channels == 1
    again = read_picture(written(picture.samples()) if pillow else encode_picture(picture, "png"))
    np.testing.assert_array_equal(again.samples(), picture.samples())


def test_what_16_bits_repeat_is_found():
    again = np.tile(np.random.default_rng(2).integers(0, 65536, (60, 9, 3), dtype=np.uint16), (1, 9, 1))
    assert len(encode_picture(Picture(again), "png")) < again.nbytes / 4


def test_16_bits_of_more_columns_than_a_decoder_takes_unasked():
    data = encode_picture(Picture(np.full((1, 1_000_001, 3), 257, np.uint16)), "png")
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (1_000_001, 1)
        assert np.all(np.asarray(image) == 1)


@given(st.integers(1, 400))
def test_the_rows_that_are_tried_come_from_all_over_the_height(height):
    rows = rows_to_try(np.arange(height)[:, None])[:, 0]
    assert list(rows) == sorted(set(rows))
    assert len(rows) == min(height, STRIPS * ROWS)
    for part in np.array_split(np.arange(height), STRIPS) if height >= STRIPS else []:
        assert set(part) & set(rows)


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_the_search_is_worth_a_tenth(without, searched):
    sizes = {zlib.Z_RLE: without, zlib.Z_FILTERED: searched}
    chosen = strategy_for(np.zeros((4, 4), np.uint8), lambda rows, strategy: sizes[strategy])
    assert sizes[chosen] <= LARGER * min(sizes.values())
    assert chosen == zlib.Z_RLE or sizes[chosen] < sizes[zlib.Z_RLE]
