import numpy as np
import pytest
from PIL import Image

from npbsrn.datasets import read_pair
from npbsrn.errors import DataError
from npbsrn.training.checkpoint import Origin
from npbsrn.training.config import make_config
from npbsrn.training.validation import read_sets, split_pairs

CONFIG = make_config(4, options={"holdout": 2})


def names(pairs):
    return [pair.name for pair in pairs]


def test_a_held_out_picture_is_not_trained_on(photographs):
    for n in range(5, 30):
        Image.new("RGB", (40, 40)).save(photographs / f"{n:02}.png")
    train_pairs, valid_pairs = split_pairs(Origin(str(photographs)), CONFIG)
    assert list(valid_pairs) == ["validation"]
    assert len(valid_pairs["validation"]) == 2
    assert len(train_pairs) == 28
    assert not set(names(train_pairs)) & set(names(valid_pairs["validation"]))


def test_validation_folders_leave_all_pictures_to_training(photographs, tmp_path):
    folders = [tmp_path / name for name in ("a/HR", "b/HR", "c")]
    for folder in folders:
        folder.mkdir(parents=True)
        Image.new("RGB", (40, 40)).save(folder / f"{folder.parent.name}.png")
    origin = Origin(str(photographs), tuple(str(folder) for folder in folders))
    train_pairs, valid_pairs = split_pairs(origin, CONFIG)
    assert len(train_pairs) == 5
    assert {name: names(pairs) for name, pairs in valid_pairs.items()} == {
        "HR": ["a.png"],
        "HR-2": ["b.png"],
        "c": [f"{tmp_path.name}.png"],
    }


def test_sets_are_read_and_empty_ones_left_out(photographs):
    _, valid_pairs = split_pairs(Origin(str(photographs), (str(photographs),)), CONFIG)
    (only,) = read_sets(valid_pairs | {"nothing": []}, 4)
    assert only.name == "photographs"
    for (name, lr, hr), pair in zip(only.pictures, valid_pairs["photographs"], strict=True):
        assert name == pair.name
        for picture, wanted in zip((lr, hr), read_pair(pair, 4), strict=True):
            np.testing.assert_array_equal(picture, wanted)


def test_a_validation_folder_that_is_missing_is_named(photographs):
    with pytest.raises(DataError, match="there is no folder /nowhere"):
        split_pairs(Origin(str(photographs), (str(photographs), "/nowhere")), CONFIG)
