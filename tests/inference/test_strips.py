"""A picture that is read, enlarged and written in strips becomes what it becomes as a whole."""

import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from npbsrn.images.alpha import fill_colour, fill_unsure, filled_by, halved, sureness
from npbsrn.images.picture import Picture
from npbsrn.images.reading import read_picture
from npbsrn.images.samples import to_fractions
from npbsrn.images.saving import Saving
from npbsrn.images.strips import png, ppm, tiff
from npbsrn.images.writing import encode_picture
from npbsrn.inference.any_scale import runner_for
from npbsrn.inference.jobs import StripsJob, begin
from npbsrn.inference.tasks import How, Task
from tests.images.files import ramp
from tests.images.strips.kinds import KINDS
from tests.images.strips.test_writing import unplaced

BLACK = Saving(background=(0, 0, 0))


def enlarged(source, target, runner, strip=None, saving=BLACK, **how):
    """The result's file, read."""
    target.unlink(missing_ok=True)
    job = begin(Task(source, target, How(runner, 1, strip=strip, **how), saving))
    assert isinstance(job, StripsJob) == (strip is not None)
    size = job.write()
    result = read_picture(target)
    assert size == (result.width, result.height)
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    return result, job.flattened


def assert_same(source, target, runner, strip, saving=BLACK):
    whole, flattened = enlarged(source, target, runner, saving=saving)
    read, flattened_too = enlarged(source, target, runner, strip, saving)
    assert flattened == flattened_too
    assert read.colour.dtype == whole.colour.dtype
    np.testing.assert_array_equal(read.samples(), whole.samples())
    assert unplaced(read.tags) == unplaced(whole.tags)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    for module in (png, ppm, tiff):
        monkeypatch.setattr(module, "PIECE", 150)


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        (kind, (".png", ".tif", ".ppm")[n % 3])
        for n, kind in enumerate(kind for kind in KINDS if "packbits" not in kind)
    ],
)
@pytest.mark.filterwarnings("ignore:.*gets 8 bits|.*of no range of their own|.*profile")
def test_every_kind_of_file(tmp_path, kind, suffix):
    assert_same(KINDS[kind](), tmp_path / f"out{suffix}", runner_for("bicubic", 2), 5)


@settings(max_examples=25)
@given(
    shape=st.tuples(st.integers(1, 80), st.integers(1, 12)), channels=st.integers(1, 4),
    dtype=st.sampled_from([np.uint8, np.uint16]), strip=st.integers(1, 60), seed=st.integers(0, 99),
    levels=st.sampled_from([(0,), (255,), (128,), (0, 255), (0, 3, 128, 255), (16, 255)]),
)  # fmt: skip
def test_any_picture_in_any_strips(tmp_path_factory, tiny_model, shape, channels, dtype, strip, seed, levels):
    rng = np.random.default_rng(seed)
    colour = rng.integers(0, np.iinfo(dtype).max, (*shape, 3) if channels > 2 else shape, endpoint=True, dtype=dtype)
    spots = rng.choice(levels, [-(-side // 3) for side in shape]).repeat(3, 0).repeat(3, 1)[: shape[0], : shape[1]]
    alpha = None if channels % 2 else (spots * (np.iinfo(dtype).max // 255)).astype(dtype)
    source = encode_picture(Picture(colour, alpha), "png")
    assert_same(source, tmp_path_factory.mktemp("strips") / "out.png", runner_for(tiny_model, 4), strip)


@pytest.mark.parametrize("scale", [1.7, 3, 5, 8])
def test_any_scale(tmp_path, tiny_model, scale):
    picture = Picture(ramp((37, 9, 3), np.uint8), ramp((37, 9), np.uint8))
    for model in (tiny_model, "bicubic"):
        assert_same(encode_picture(picture, "tif"), tmp_path / "out.png", runner_for(model, scale), 11)


@given(
    side=st.integers(2, 40),
    width=st.integers(1, 9),
    seed=st.integers(0, 99),
    cuts=st.lists(st.integers(0, 19), max_size=4),
)
def test_colours_flow_in_strips_as_in_the_whole(side, width, seed, cuts):
    rng = np.random.default_rng(seed)
    colour, alpha = rng.integers(0, 256, (side, width, 3), np.uint8), rng.choice([0, 9, 255], (side, width))
    alpha = alpha.astype(np.uint8)
    sure, fractions = sureness(alpha), to_fractions(colour)
    if np.all(sure == 1) or not np.any(sure):
        return
    edges = [0, *sorted({2 * cut for cut in cuts if 0 < 2 * cut < side}), side]
    spans = [*pairwise(edges)]
    levels = [halved(fractions[top:bottom], sure[top:bottom]) for top, bottom in spans]
    coarse = fill_unsure(*(np.concatenate(parts) for parts in zip(*levels, strict=True)))
    parts = [filled_by(coarse, fractions[top:bottom], sure[top:bottom], top) for top, bottom in spans]
    np.testing.assert_array_equal(np.concatenate(parts), fill_colour(colour, alpha))


def jpeg(shape=(31, 9)):
    file = io.BytesIO()
    Image.fromarray(ramp((*shape, 3), np.uint8)).save(file, "JPEG")
    return file.getvalue()


def turned():
    file = io.BytesIO()
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(ramp((31, 9, 3), np.uint8)).save(file, "TIFF", exif=exif)
    return file.getvalue()


def interlaced():
    file = io.BytesIO()
    Image.fromarray(ramp((5, 5), np.uint8)).save(file, "PNG")
    data = bytearray(file.getvalue())
    data[28] = 1
    return bytes(data)


@pytest.mark.parametrize("make", [jpeg, turned])
def test_what_is_read_as_a_whole_is_still_written_in_strips(tmp_path, make):
    assert_same(make(), tmp_path / "out.png", runner_for("bicubic", 2), 4)


def test_other_kinds_are_read_as_a_whole():
    from npbsrn.images.strips.opening import extents_of, rows_of

    assert extents_of(jpeg(), "it") is None
    assert extents_of(b"", "it") is None
    assert rows_of(turned(), "it", None) is None
    plain = b"P3 1 1 255 0 0 0\n"
    assert rows_of(plain, "it", None) is None
    two = io.BytesIO()
    frames = [Image.new("L", (3, 3), level) for level in (0, 9)]
    frames[0].save(two, "PNG", save_all=True, append_images=frames[1:])
    assert rows_of(two.getvalue(), "it", None) is None
    two = io.BytesIO()
    frames[0].save(two, "TIFF", save_all=True, append_images=frames[1:])
    assert rows_of(two.getvalue(), "it", None) is None
