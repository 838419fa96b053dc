import numpy as np
import pytest
from PIL import Image

from npbsrn.datasets.pairs import find_pairs, read_pair
from npbsrn.errors import DataError
from npbsrn.training.checkpoint import Origin
from npbsrn.training.config import make_config
from npbsrn.training.data import PatchSource
from npbsrn.training.sieve import Sieve
from npbsrn.training.validation import find_sets, read_sets

CONFIG = make_config(4, options={"holdout": 2})


def names(pairs):
    return [pair.name for pair in pairs]


@pytest.fixture
def judged(photographs, tmp_path):
    """The validation sets of a run on `photographs`, and what was left out."""

    def read(origin, holdout=0):
        source = PatchSource(find_pairs(photographs, 4), 4, 8, tmp_path / "cache", holdout=holdout)
        sieve = Sieve()
        return read_sets(find_sets(origin, CONFIG), source, origin, CONFIG, sieve), sieve

    return read


def test_pictures_are_held_out_where_there_are_no_others(judged, photographs):
    for n in range(5, 30):
        Image.new("RGB", (40, 40), (n, n, n)).save(photographs / f"{n:02}.png")
    assert find_sets(Origin(str(photographs)), CONFIG) is None
    (only,), _ = judged(Origin(str(photographs)), holdout=2)
    assert (only.name, [name for name, _, _ in only.pictures]) == ("validation", ["11.png", "24.png"])
    for name, lr, hr in only.pictures:
        (pair,) = [pair for pair in find_pairs(photographs, 4) if pair.name == name]
        for picture, wanted in zip((lr, hr), read_pair(pair, 4), strict=True):
            np.testing.assert_array_equal(picture, wanted)


def test_with_few_pictures_there_is_no_set(judged, photographs):
    assert judged(Origin(str(photographs)), holdout=2)[0] == []


def test_validation_folders_have_names_of_their_own(photographs, tmp_path):
    folders = [tmp_path / name for name in ("a/HR", "b/HR", "c")]
    for folder in folders:
        folder.mkdir(parents=True)
        Image.new("RGB", (40, 40)).save(folder / f"{folder.parent.name}.png")
    origin = Origin(str(photographs), tuple(str(folder) for folder in folders))
    assert {name: names(pairs) for name, pairs in find_sets(origin, CONFIG).items()} == {
        "HR": ["a.png"],
        "HR-2": ["b.png"],
        "c": [f"{tmp_path.name}.png"],
    }


def test_what_cannot_be_judged_on_is_left_out(judged, photographs, second):
    (second / "cut.png").write_bytes((second / "0.png").read_bytes()[:300])
    Image.new("RGB", (8, 40)).save(second / "thin.png")
    (only,), sieve = judged(Origin(str(photographs), (str(second),)))
    assert [name for name, _, _ in only.pictures] == ["0.png", "1.png"]
    assert sieve.left_out() == {"second, small": ["cut.png", "thin.png"]}
    assert "second, small: thin.png is too small to be judged" in sieve.summary()
    for name in ("0.png", "1.png"):
        (second / name).unlink()
    with pytest.raises(DataError, match=r"no picture of second, small can be used to judge on: cut\.png is"):
        judged(Origin(str(photographs), (str(second),)))


def test_of_a_valid_half_the_first_good_ones_are_taken(judged, tmp_path):
    folder = tmp_path / "D"
    for half in ("train", "valid"):
        (folder / f"D_{half}_HR").mkdir(parents=True)
        for n in range(4):
            Image.new("RGB", (40, 40), (n, n, n)).save(folder / f"D_{half}_HR/{n}.png")
    (folder / "D_valid_HR/1.png").write_text("no picture")
    (only,), _ = judged(Origin(str(folder)))
    assert [name for name, _, _ in only.pictures] == ["0.png", "2.png"]
    (folder / "D_valid_HR/1.png").unlink()  # as one would, after the warning
    (again,), _ = judged(Origin(str(folder)))
    assert [name for name, _, _ in again.pictures] == ["0.png", "2.png"]


def test_a_validation_folder_that_is_missing_is_named(photographs):
    with pytest.raises(DataError, match="there is no folder /nowhere"):
        find_sets(Origin(str(photographs), (str(photographs), "/nowhere")), CONFIG)
