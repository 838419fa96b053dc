import io
import zlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from npbsrn.images import png
from npbsrn.kernels.png_filters import filtered, filtered_ref, unfilter, unfilter_ref

pixels = st.integers(1, 8)


@st.composite
def lines(draw, more=0):
    count, pixel, width = draw(st.integers(1, 6)), draw(pixels), draw(st.integers(1, 5))
    rng, step = np.random.default_rng(draw(st.integers(0, 1000))), draw(st.sampled_from([1, 64]))
    values = rng.integers(0, 256 // step, (count + 1, pixel * width + more)) * step
    return values[1:].astype(np.uint8), values[0, more:].astype(np.uint8), pixel


@given(given=lines(more=1), kinds=st.lists(st.integers(0, 4), min_size=6, max_size=6))
def test_rows_are_unfiltered_as_the_standard_has_it(given, kinds):
    rows, before, pixel = given
    rows[:, 0] = kinds[: len(rows)]
    out = np.empty((len(rows), len(before)), np.uint8)
    assert unfilter(rows, before, pixel, out)
    np.testing.assert_array_equal(out, unfilter_ref(rows, before, pixel))


def test_other_filters_are_refused():
    assert not unfilter(np.full((1, 3), 5, np.uint8), np.zeros(2, np.uint8), 1, np.empty((1, 2), np.uint8))


@given(given=lines())
def test_rows_are_filtered_and_come_back(given):
    rows, before, pixel = given
    out, back = np.empty((len(rows), 1 + len(before)), np.uint8), np.empty_like(rows)
    filtered(rows, before, pixel, out)
    np.testing.assert_array_equal(out, filtered_ref(rows, before, pixel))
    unfilter(out, before, pixel, back)
    np.testing.assert_array_equal(back, rows)


def test_a_png_by_libpngs_like_is_unfiltered():
    steps = np.random.default_rng(3).integers(-3, 4, (40, 50, 3))
    samples = np.concatenate([np.cumsum(steps[:20], axis=1), np.cumsum(steps[20:], axis=0)]).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(samples).save(file, "PNG")
    data = b"".join(content for name, content in png.chunks_of(file.getvalue()) if name == b"IDAT")
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(40, 151)
    assert len(set(rows[:, 0])) > 1
    out = np.empty((40, 150), np.uint8)
    assert unfilter(rows, np.zeros(150, np.uint8), 3, out)
    np.testing.assert_array_equal(out.reshape(samples.shape), samples)
