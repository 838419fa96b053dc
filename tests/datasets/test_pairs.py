import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from npbsrn.datasets.pairs import find_pairs, pictures_in, read_pair
from npbsrn.errors import DataError, PictureError
from npbsrn.images.resize import resize


def put(path, size=(8, 12), value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), value, np.uint8)).save(path)


def names(pairs):
    return [(pair.name, pair.lr.name if pair.lr else None) for pair in pairs]


@pytest.fixture
def div2k(tmp_path):
    for n in (1, 2):
        put(tmp_path / f"DIV2K_train_HR/000{n}.png")
        put(tmp_path / f"DIV2K_train_LR_bicubic/X4/000{n}x4.png", (2, 3))
    put(tmp_path / "DIV2K_valid_HR/0801.png")
    return tmp_path


@pytest.mark.parametrize("given", ["", "DIV2K_train_HR"])
def test_div2k(div2k, given):
    expected = [("0001.png", "0001x4.png"), ("0002.png", "0002x4.png")]
    assert names(find_pairs(div2k / given, 4)) == expected
    assert names(find_pairs(div2k / given, 2)) == [("0001.png", None), ("0002.png", None)]  # no X2: to be made


def test_the_other_half_of_div2k(div2k):
    assert names(find_pairs(div2k, 4, "valid")) == [("0801.png", None)]
    (div2k / "DIV2K_valid_HR/0801.png").unlink()
    (div2k / "DIV2K_valid_HR").rmdir()
    with pytest.raises(DataError, match=r"another half of its data, but no valid half; name .*DIV2K_train_HR"):
        find_pairs(div2k, 4, "valid")


@pytest.mark.parametrize("lr", ["LR/a.png", "LR/ax4.png", "LR/X4/ax4.png", "LR_bicubic/X4/ax4.png", "x4/a.png"])
def test_hr_beside_lr(tmp_path, lr):
    put(tmp_path / "HR/a.png")
    put(tmp_path / lr, (2, 3))
    assert names(find_pairs(tmp_path, 4)) == [("a.png", lr.split("/")[-1])]


def test_hr_alone(tmp_path):
    put(tmp_path / "HR/a.png")
    assert names(find_pairs(tmp_path, 4)) == [("a.png", None)]


def test_srf_names(tmp_path):
    for scale in (2, 4):
        put(tmp_path / f"img_001_SRF_{scale}_HR.png")
        put(tmp_path / f"img_001_SRF_{scale}_LR.png", (8 // scale, 12 // scale))
    assert names(find_pairs(tmp_path, 4)) == [("img_001_SRF_4_HR.png", "img_001_SRF_4_LR.png")]
    with pytest.raises(DataError, match="holds pairs, but none for x3"):
        find_pairs(tmp_path, 3)


def test_equal_names_in_different_folders_are_different_pictures(tmp_path):
    for part, size in (("HR", (8, 12)), ("LR", (2, 3))):
        for folder in ("a", "b"):
            put(tmp_path / "nested" / part / folder / "1.png", size)
            put(tmp_path / "srf" / folder / f"img_SRF_4_{part}.png", size)
    for kind in ("nested", "srf"):
        pairs = find_pairs(tmp_path / kind, 4)
        assert [pair.lr.parent.name for pair in pairs] == ["a", "b"]
        assert [pair.hr.parent.name for pair in pairs] == ["a", "b"]


def test_flat_and_nested_folders(tmp_path):
    for name in ("b.jpg", "a/c.PNG", "a/.hidden.png"):
        put(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    assert names(find_pairs(tmp_path, 4)) == [("a/c.PNG", None), ("b.jpg", None)]


def test_what_cannot_be_used_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"there is no folder .*nowhere"):
        find_pairs(tmp_path / "nowhere", 4)
    with pytest.raises(DataError, match="there is no picture in"):
        pictures_in(tmp_path)
    put(tmp_path / "HR/a.png")
    put(tmp_path / "HR/b.png")
    put(tmp_path / "LR/a.png")
    with pytest.raises(DataError, match=r"1 of 2 pictures in .*HR have no partner in .*LR, b\.png for one"):
        find_pairs(tmp_path, 4)


def test_lr_is_made_from_the_cropped_picture(tmp_path, rng):
    hr = rng.integers(0, 256, (11, 14, 3), np.uint8)
    Image.fromarray(hr).save(tmp_path / "a.png")
    low, high = read_pair(find_pairs(tmp_path, 4)[0], 4)
    np.testing.assert_array_equal(high, hr[:8, :12])
    np.testing.assert_array_equal(low, resize(hr[:8, :12], 1 / 4))


def test_pairs_that_do_not_fit_are_refused(tmp_path):
    put(tmp_path / "HR/a.png", (8, 12))
    put(tmp_path / "LR/a.png", (4, 6))
    with pytest.raises(PictureError, match=r"a\.png has 6x4 pixels, but .* needs 3x2 at x4"):
        read_pair(find_pairs(tmp_path, 4)[0], 4)
    put(tmp_path / "small/a.png", (3, 12))
    with pytest.raises(PictureError, match="12x3 pixels, too few for x4"):
        read_pair(find_pairs(tmp_path / "small", 4)[0], 4)


def test_folders_that_cannot_be_read_are_named(tmp_path, monkeypatch):
    put(tmp_path / "photographs/a.png")
    put(tmp_path / "photographs/lost+found/b.png")
    inner, locked = os.scandir, tmp_path / "photographs/lost+found"

    def scandir(path):
        if Path(path) == locked:
            raise PermissionError(13, "Permission denied", str(path))
        return inner(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.warns(UserWarning, match=r"lost\+found cannot be read \(Permission denied\): left out"):
        assert names(find_pairs(tmp_path / "photographs", 4)) == [("a.png", None)]
    with pytest.raises(DataError, match=r"lost\+found cannot be read \(Permission denied\); check its permissions"):
        find_pairs(locked, 4)


def test_hidden_files_and_folders_are_left_out_unless_they_are_named(tmp_path):
    for name in ("a.png", ".b.png", ".trash/c.png", "d/.trash/e.png"):
        put(tmp_path / name)
    assert [path.name for path in pictures_in(tmp_path)] == ["a.png"]
    assert [path.name for path in pictures_in(tmp_path / ".trash")] == ["c.png"]


def test_results_of_runs_are_pictures_but_no_data(tmp_path):
    for name in ("a.png", "run/pictures/b.png"):
        put(tmp_path / name)
    (tmp_path / "run/checkpoint.npz").touch()
    assert [path.name for path in pictures_in(tmp_path)] == ["a.png", "b.png"]
    assert names(find_pairs(tmp_path, 4)) == [("a.png", None)]
    assert names(find_pairs(tmp_path / "run/pictures", 4)) == [("b.png", None)]
