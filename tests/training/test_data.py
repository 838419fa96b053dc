import os

import numpy as np
import pytest
from PIL import Image

from npbsrn.datasets.pairs import find_pairs
from npbsrn.errors import DataError
from npbsrn.images.resize import resize
from npbsrn.training.data import PatchSource


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


def naive_batch(source, seed, step, size, patch):
    """The same numbers drawn in the same order, and everything else as plainly as it can be said."""
    rng = np.random.default_rng((seed, step))
    s, lows, highs = source.scale, [], []
    for index in rng.choice(len(source.entries), size, p=source.shares):
        lr, hr = (np.load(picture.path) for picture in source.entries[index])
        top, left = rng.integers(lr.shape[0] - patch + 1), rng.integers(lr.shape[1] - patch + 1)
        turns, mirror = int(rng.integers(4)), rng.integers(2)
        for picture, k, found in ((lr, 1, lows), (hr, s, highs)):
            cut = np.rot90(picture[top * k : (top + patch) * k, left * k : (left + patch) * k], turns)
            found.append((cut[:, ::-1] if mirror else cut).transpose(2, 0, 1).astype(np.float32) / np.float32(255))
    return np.stack(lows), np.stack(highs)


@pytest.mark.parametrize("patch", [3, 8])
def test_a_batch_equals_its_naive_twin(source, patch):
    for step in range(5):
        for fast, naive in zip(source.batch(1, step, 9, patch), naive_batch(source, 1, step, 9, patch), strict=True):
            assert fast.dtype == naive.dtype
            np.testing.assert_array_equal(fast, naive)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="/proc/self/fd does not list the open files here")
def test_no_file_stays_open(photographs, tmp_path):
    before = os.listdir("/proc/self/fd")
    source = PatchSource(find_pairs(photographs, 4), 4, 8, tmp_path / "cache")
    source.batch(0, 0, 20, 8)
    assert len(os.listdir("/proc/self/fd")) == len(before)


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


def test_small_pictures_are_left_out_with_a_warning(photographs, tmp_path):
    Image.new("RGB", (20, 200)).save(photographs / "small.png")
    with pytest.warns(UserWarning, match=r"^1 picture is left out: small.png is smaller than a patch of 32x32 pixels$"):
        source = PatchSource(find_pairs(photographs, 4), 4, 8, tmp_path / "cache")
    assert len(source.entries) == 5


def test_no_picture_large_enough(photographs, tmp_path):
    with pytest.raises(DataError, match="no picture is as large as a patch of 400x400 pixels"):
        PatchSource(find_pairs(photographs, 4), 4, 100, tmp_path / "cache")


def names(found):
    return [pair.name for pair, _ in found]


def test_a_held_out_picture_is_not_trained_on(photographs, tmp_path):
    for n in range(5, 30):
        Image.new("RGB", (40, 40), (n, n, n)).save(photographs / f"{n:02}.png")
    every = PatchSource(find_pairs(photographs, 4), 4, 8, tmp_path / "cache")
    source = PatchSource(find_pairs(photographs, 4), 4, 8, tmp_path / "cache", holdout=2)
    assert len(source.held) == 2
    assert len(source.entries) == 28
    assert not {entry for _, entry in source.held} & set(source.entries)
    assert {entry for _, entry in source.held} | set(source.entries) == set(every.entries)


def test_whoever_removes_what_cannot_be_used_changes_nothing(photographs, tmp_path):
    for n in range(5, 30):
        Image.new("RGB", (40, 40), (n, n, n)).save(photographs / f"{n:02}.png")
    bad = [photographs / f"{n:02}a.png" for n in (3, 11, 29)]
    for path in bad:
        path.write_text("no picture")
    with pytest.warns(
        UserWarning, match="^3 pictures are left out: 03a.png is not a picture that can be read; 11a.png"
    ):
        source = PatchSource(find_pairs(photographs, 4), 4, 8, tmp_path / "cache", holdout=2)
    for path in bad:
        path.unlink()
    again = PatchSource(find_pairs(photographs, 4), 4, 8, tmp_path / "cache", holdout=2)
    assert again.digest == source.digest
    assert names(again.held) == names(source.held)


MORE = {"keep": 0.7, "flat_patches": 2, "degrade": True}


@pytest.mark.parametrize("options", [{"keep": 0.7}, {"flat_patches": 2}, {"degrade": True}, MORE], ids=str)
def test_a_batch_with_options_is_a_pure_function(photographs, tmp_path, options):
    one, two = (
        PatchSource(find_pairs(photographs, 4), 4, 8, tmp_path / cache, **options) for cache in ("cache", "another")
    )
    plain = PatchSource(find_pairs(photographs, 4), 4, 8, tmp_path / "cache")
    x, y = one.batch(1, 2, 9, 8)
    for a, b in zip((x, y), two.batch(1, 2, 9, 8), strict=True):
        np.testing.assert_array_equal(a, b)
    for seed, step in ((1, 3), (2, 2)):
        assert not np.array_equal(x, one.batch(seed, step, 9, 8)[0])
    assert not np.array_equal(x, plain.batch(1, 2, 9, 8)[0])


def test_flat_patches_take_the_place_of_the_first_ones(source, photographs, tmp_path):
    flat = PatchSource(find_pairs(photographs, 4), 4, 8, tmp_path / "cache", flat_patches=2)
    (x, y), plain = flat.batch(1, 2, 5, 8), source.batch(1, 2, 5, 8)
    for patch, target in zip(x[:2], y[:2], strict=True):
        colour = patch[:, :1, :1]
        assert np.all(patch == colour)
        assert np.all(target == colour)
    np.testing.assert_array_equal(x[2:], plain[0][2:])
    np.testing.assert_array_equal(y[2:], plain[1][2:])
    colours = np.concatenate([flat.batch(1, step, 2, 8)[0][:, :, 0, 0] for step in range(300)]) * 255
    assert colours.min() < 5
    assert colours.max() > 250
    assert abs(colours.mean() - 127.5) < 10


def test_only_small_pictures_are_degraded(source, photographs, tmp_path):
    degraded = PatchSource(find_pairs(photographs, 4), 4, 8, tmp_path / "cache", degrade=True)
    (x, y), plain = degraded.batch(1, 2, 40, 8), source.batch(1, 2, 40, 8)
    np.testing.assert_array_equal(y, plain[1])
    clean = np.mean([np.array_equal(a, b) for a, b in zip(x, plain[0], strict=True)])
    assert 0.05 < clean < 0.6
    assert np.abs(x - plain[0]).mean() < 0.05
