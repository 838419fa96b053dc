"""Places with something to teach, against plain loops."""

import numpy as np
import pytest
from PIL import Image

from npbsrn.datasets.pairs import find_pairs
from npbsrn.images.resize import resize
from npbsrn.training.cache import decoded
from npbsrn.training.data import PatchSource
from npbsrn.training.places import CELL, STEPS, Places, cached_errors, least_error, window_errors


def window_errors_ref(lr, hr, scale, side):
    """One window after another."""
    wrong = np.abs(resize(lr, scale).astype(int) - hr)
    rows, columns = ((n - side) // CELL + 1 for n in lr.shape[:2])
    errors = np.empty((rows, columns), np.uint16)
    for row in range(rows):
        for column in range(columns):
            top, left = row * CELL * scale, column * CELL * scale
            window = wrong[top : top + side * scale, left : left + side * scale]
            errors[row, column] = int(window.sum()) * STEPS // window.size
    return errors


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(("height", "width", "side"), [(8, 8, 8), (9, 19, 7), (23, 12, 8), (4, 30, 1)])
def test_errors_equal_their_plain_twin(rng, scale, height, width, side):
    lr = rng.integers(0, 256, (height, width, 3), np.uint8)
    hr = rng.integers(0, 256, (height * scale, width * scale, 3), np.uint8)
    errors = window_errors(lr, hr, scale, side)
    assert errors.dtype == np.uint16
    np.testing.assert_array_equal(errors, window_errors_ref(lr, hr, scale, side))


def test_the_largest_error_fits():
    errors = window_errors(np.zeros((3, 3, 3), np.uint8), np.full((6, 6, 3), 255, np.uint8), 2, 3)
    assert errors.tolist() == [[255 * STEPS]]


@pytest.mark.parametrize("keep", [0.01, 0.3, 0.5, 0.77, 1.0])
def test_the_share_that_errs_most(rng, keep):
    errors = rng.integers(0, 40, 1000)
    least = least_error(np.bincount(errors, minlength=2**16), keep)
    assert np.mean(errors >= least) >= keep > np.mean(errors >= least + 1)


@pytest.fixture
def folder(tmp_path, rng):
    """Pictures with a busy quarter, at several sizes: 0 has exactly one window, 3 nothing but flatness."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for n, (height, width) in enumerate([(32, 32), (50, 70), (90, 64), (60, 60)]):
        picture = np.full((height, width, 3), 90, np.uint8)
        if n != 3:
            busy = picture[height // 2 :, width // 2 :]
            busy[:] = rng.integers(0, 256, busy.shape)
        Image.fromarray(picture).save(folder / f"{n}.png")
    return folder


def pictures(folder, tmp_path):
    return [decoded(pair, 4, tmp_path / "cache") for pair in find_pairs(folder, 4)]


def whole(picture):
    return picture.rows(0, picture.height)


def kept_windows(found, keep, side):
    """By plain sorting: (index, row, column) of all windows that err as much as the last one that is kept."""
    errors = [window_errors_ref(whole(lr), whole(hr), 4, side) for lr, hr in found]
    every = sorted((int(e) for picture in errors for e in picture.ravel()), reverse=True)
    least = every[int(np.ceil(keep * len(every))) - 1]
    return {(n, row, column) for n, e in enumerate(errors) for row, column in np.argwhere(e >= least)}


@pytest.mark.parametrize("keep", [0.1, 0.4, 0.9])
def test_all_kept_windows_are_drawn_and_no_other(folder, tmp_path, keep):
    found = pictures(folder, tmp_path)
    places, rng = Places(found, 4, 8, keep), np.random.default_rng(0)
    drawn = [places.draw(rng, 8) for _ in range(3000)]
    assert {(n, top // CELL, left // CELL) for n, top, left in drawn} == kept_windows(found, keep, 8)
    assert all(top + 8 <= found[n][0].height and left + 8 <= found[n][0].width for n, top, left in drawn)


def test_every_place_can_be_drawn_where_all_are_kept(folder, tmp_path):
    found = pictures(folder, tmp_path)[:2]
    rng, places = np.random.default_rng(0), Places(found, 4, 8, 1.0)
    drawn = {places.draw(rng, 8) for _ in range(4000)}
    assert drawn == {
        (n, top, left)
        for n, (lr, _) in enumerate(found)
        for top in range(lr.height - 8 + 1)
        for left in range(lr.width - 8 + 1)
    }


def test_smaller_patches_lie_anywhere_in_a_window(folder, tmp_path):
    found = pictures(folder, tmp_path)[:1]
    rng, places = np.random.default_rng(0), Places(found, 4, 8, 0.5)
    assert {places.draw(rng, 5) for _ in range(300)} == {(0, top, left) for top in range(4) for left in range(4)}


def test_errors_are_kept_beside_the_pictures_and_made_again_where_damaged(folder, tmp_path, monkeypatch):
    lr, hr = pictures(folder, tmp_path)[1]
    path = cached_errors(lr, hr, 4, 8)
    expected = window_errors(whole(lr), whole(hr), 4, 8)
    assert path.parent == lr.path.parent
    with monkeypatch.context() as patch:
        patch.setattr("npbsrn.training.places.window_errors", None)  # would raise if it were called
        assert cached_errors(lr, hr, 4, 8) == path
    assert cached_errors(lr, hr, 4, 6) != path
    for damage in (b"", path.read_bytes()[:-9], b"no array"):
        path.write_bytes(damage)
        np.testing.assert_array_equal(np.load(cached_errors(lr, hr, 4, 8)), expected)
    np.save(path, expected.astype(np.int64))
    assert np.load(cached_errors(lr, hr, 4, 8)).dtype == np.uint16


def test_batches_come_from_the_busy_part(folder, tmp_path):
    """Flat windows, of which there are more than half, are not drawn."""
    every = PatchSource(find_pairs(folder, 4), 4, 8, tmp_path / "cache")
    busy = PatchSource(find_pairs(folder, 4), 4, 8, tmp_path / "cache", keep=0.4)
    assert busy.digest == every.digest
    flat = [np.mean(np.ptp(source.batch(0, 0, 60, 8)[1], axis=(1, 2, 3)) == 0) for source in (every, busy)]
    assert flat[0] > 0.1
    assert flat[1] == 0
