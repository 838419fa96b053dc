import numpy as np
import pytest
from PIL import Image

from npbsrn.datasets import Pair, find_pairs, read_pair
from npbsrn.errors import DataError, PictureError
from npbsrn.resize import resize
from npbsrn.training.data import PatchSource, default_cache


@pytest.fixture
def source(photographs, tmp_path):
    return PatchSource(find_pairs(photographs, 4), 4, 8, tmp_path / "cache")


def test_a_batch_is_a_pure_function(source, photographs, tmp_path):
    x, y = source.batch(1, 2, 5, 8)
    again = PatchSource(find_pairs(photographs, 4), 4, 8, tmp_path / "another").batch(1, 2, 5, 8)
    np.testing.assert_array_equal(x, again[0])
    np.testing.assert_array_equal(y, again[1])
    assert not np.array_equal(x, source.batch(1, 3, 5, 8)[0])
    assert not np.array_equal(x, source.batch(2, 2, 5, 8)[0])


def test_shapes_and_range(source):
    x, y = source.batch(0, 0, 6, 8)
    assert (x.shape, y.shape) == ((6, 3, 8, 8), (6, 3, 32, 32))
    assert x.dtype == y.dtype == np.float32
    assert x.min() >= 0
    assert y.max() <= 1


def test_patches_belong_together(source):
    """An LR patch is its HR patch made smaller, inside, whichever way both are turned."""
    x, y = source.batch(0, 0, 20, 8)
    for low, high in zip(x, y, strict=True):
        made = resize(np.ascontiguousarray(high.transpose(1, 2, 0)), 1 / 4).transpose(2, 0, 1)
        np.testing.assert_allclose(low[:, 2:-2, 2:-2], made[:, 2:-2, 2:-2], atol=2 / 255)


def test_all_eight_turns_and_all_pictures_occur(tmp_path, rng):
    for name, value in (("a", 60), ("b", 120)):
        picture = np.full((32, 32, 3), value, np.uint8)
        picture[:16, :8] = value + 60
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    source = PatchSource(find_pairs(tmp_path, 4), 4, 8, tmp_path / "cache")
    kinds = {y.tobytes() for y in source.batch(0, 0, 400, 8)[1]}
    assert len(kinds) == 2 * 8


def test_the_cache_serves_a_second_run_and_notices_a_change(photographs, tmp_path, monkeypatch):
    pairs = find_pairs(photographs, 4)
    first = PatchSource(pairs, 4, 8, tmp_path / "cache")
    with monkeypatch.context() as patch:
        patch.setattr("npbsrn.training.data.read_pair", None)  # would raise if it were called
        PatchSource(pairs, 4, 8, tmp_path / "cache")
    Image.new("RGB", (60, 60)).save(pairs[0].hr)
    second = PatchSource(pairs, 4, 8, tmp_path / "cache")
    assert first.entries[0] != second.entries[0]
    assert first.entries[1:] == second.entries[1:]
    lr, hr = (np.load(path) for path in second.entries[0])
    np.testing.assert_array_equal(lr, read_pair(pairs[0], 4)[0])
    assert hr.shape == (60, 60, 3)


@pytest.mark.parametrize("damage", [b"", b"no array", None])
def test_damaged_cache_entries_are_made_again(photographs, tmp_path, damage):
    pairs = find_pairs(photographs, 4)
    first = PatchSource(pairs, 4, 8, tmp_path / "cache")
    path = first.entries[0][1]
    path.write_bytes(path.read_bytes()[:-9] if damage is None else damage)
    second = PatchSource(pairs, 4, 8, tmp_path / "cache")
    np.testing.assert_array_equal(np.load(second.entries[0][1]), read_pair(pairs[0], 4)[1])


def test_scales_do_not_share_entries(photographs, tmp_path):
    pairs = find_pairs(photographs, 4)
    assert not set(PatchSource(pairs, 4, 8, tmp_path).entries) & set(PatchSource(pairs, 3, 8, tmp_path).entries)


def test_small_pictures_are_left_out_with_a_warning(photographs, tmp_path):
    Image.new("RGB", (20, 200)).save(photographs / "small.png")
    with pytest.warns(UserWarning, match="1 pictures are smaller than a patch"):
        source = PatchSource(find_pairs(photographs, 4), 4, 8, tmp_path / "cache")
    assert len(source.entries) == 5


def test_no_picture_large_enough(photographs, tmp_path):
    with pytest.raises(DataError, match="no picture is as large as a patch of 400x400 pixels"):
        PatchSource(find_pairs(photographs, 4), 4, 100, tmp_path / "cache")


def test_a_damaged_picture_is_named(photographs, tmp_path):
    (photographs / "3.png").write_bytes((photographs / "3.png").read_bytes()[:100])
    with pytest.raises(PictureError, match=r"3\.png is (damaged|not a picture)"):
        PatchSource(find_pairs(photographs, 4), 4, 8, tmp_path / "cache")


def test_a_cache_that_cannot_be_written_is_named(photographs, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write to the cache .*file.*NPBSRN_CACHE"):
        PatchSource([Pair("0", photographs / "0.png")], 4, 8, tmp_path / "file" / "cache")


def test_default_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("NPBSRN_CACHE", str(tmp_path))
    assert default_cache() == tmp_path
    monkeypatch.delenv("NPBSRN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "npbsrn"
