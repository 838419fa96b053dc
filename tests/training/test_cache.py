import numpy as np
import pytest
from PIL import Image

from npbsrn.datasets.pairs import Pair, find_pairs, read_pair
from npbsrn.errors import DataError, PictureError
from npbsrn.training.cache import Decoded, decoded


@pytest.fixture
def pair(photographs):
    return find_pairs(photographs, 4)[0]


def test_what_is_kept_is_what_was_read(pair, tmp_path):
    for picture, wanted in zip(decoded(pair, 4, tmp_path), read_pair(pair, 4), strict=True):
        assert (picture.height, picture.width, 3) == wanted.shape
        np.testing.assert_array_equal(picture.rows(0, picture.height), wanted)
        np.testing.assert_array_equal(picture.rows(3, 2), wanted[3:5])


def test_the_cache_serves_a_second_run_and_notices_a_change(pair, tmp_path, monkeypatch):
    first = decoded(pair, 4, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("npbsrn.training.cache.read_pair", None)  # would raise if it were called
        assert decoded(pair, 4, tmp_path) == first
    Image.new("RGB", (60, 60)).save(pair.hr)
    lr, hr = decoded(pair, 4, tmp_path)
    assert lr != first[0]
    assert (hr.height, hr.width) == (60, 60)
    np.testing.assert_array_equal(lr.rows(0, 15), read_pair(pair, 4)[0])


@pytest.mark.parametrize("damage", ["empty", "cut", "no array", "another size", "another dtype"])
def test_damaged_entries_are_made_again(pair, tmp_path, damage):
    picture = decoded(pair, 4, tmp_path)[1]
    if damage.startswith("another"):
        shape = (5, 5, 3) if damage == "another size" else (picture.height, picture.width, 3)
        np.save(picture.path, np.zeros(shape, np.uint8 if damage == "another size" else np.uint16))
    else:
        content = picture.path.read_bytes()
        picture.path.write_bytes({"empty": b"", "cut": content[:-9], "no array": b"no array"}[damage])
    np.testing.assert_array_equal(decoded(pair, 4, tmp_path)[1].rows(0, picture.height), read_pair(pair, 4)[1])


def test_an_entry_that_is_cut_or_gone_meanwhile_is_named(pair, tmp_path):
    picture = decoded(pair, 4, tmp_path)[1]
    picture.path.write_bytes(picture.path.read_bytes()[:-9])
    assert picture.rows(0, 5).shape == (5, picture.width, 3)
    with pytest.raises(DataError, match=r"-hr\.npy was cut while it was in use; start or resume the run"):
        picture.rows(picture.height - 2, 2)
    picture.path.unlink()
    with pytest.raises(DataError, match=r"-hr\.npy cannot be read .*; start or resume the run"):
        picture.rows(0, 5)


def test_scales_do_not_share_entries(pair, tmp_path):
    assert not set(decoded(pair, 4, tmp_path)) & set(decoded(pair, 3, tmp_path))


def test_only_pictures_are_opened(tmp_path):
    np.save(tmp_path / "grey.npy", np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="holds no picture"):
        Decoded.open(tmp_path / "grey.npy")


def test_a_damaged_picture_is_named(pair, tmp_path):
    pair.hr.write_bytes(pair.hr.read_bytes()[:100])
    with pytest.raises(PictureError, match=r"0\.png is (damaged|not a picture)"):
        decoded(pair, 4, tmp_path)


def test_a_cache_that_cannot_be_written_is_named(photographs, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write to the cache .*file.*NPBSRN_CACHE"):
        decoded(Pair("0", photographs / "0.png"), 4, tmp_path / "file" / "cache")
