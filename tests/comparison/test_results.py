from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from npbsrn.comparison.results import ORIGINAL, Crop, checked_crop, enlarge_by_all, split_label, telling_crop
from npbsrn.errors import PictureError, UsageError
from npbsrn.inference.evaluation import evaluate
from tests.strategies import seeds


@given(st.integers(5, 14), st.integers(5, 14), st.booleans(), seeds)
def test_the_crop_is_where_the_last_gains_most_or_a_model_alone_errs_most(height, width, alone, seed):
    first, last, truth = np.random.default_rng(seed).integers(0, 256, (3, height, width, 3), np.uint8)
    shown = (first, truth) if alone else (first, last, truth)
    crop = telling_crop([SimpleNamespace(picture=picture) for picture in shown])

    def gain(x, y):
        own, other, true = (
            picture[y : y + crop.height, x : x + crop.width].astype(int)
            for picture in (first, truth if alone else last, truth)
        )
        return ((own - true) ** 2).sum() - ((other - true) ** 2).sum()

    places = [(x, y) for y in range(height - crop.height + 1) for x in range(width - crop.width + 1)]
    assert gain(crop.x, crop.y) == max(gain(*place) for place in places)
    assert checked_crop(crop, height, width) == crop


def test_the_figures_are_those_of_eval(photographs):
    results = enlarge_by_all(photographs / "1.png", ["bicubic", "smooth=bicubic"], 3)
    assert [result.label for result in results] == ["bicubic", "smooth", ORIGINAL]
    for name in ("0.png", "2.png", "3.png", "4.png"):
        (photographs / name).unlink()
    mean = evaluate("bicubic", photographs, 3).mean
    assert (results[0].psnr, results[0].ssim) == (mean.psnr, mean.ssim)
    whole = np.asarray(Image.open(photographs / "1.png").convert("RGB"))
    assert np.array_equal(results[-1].picture, whole[: results[-1].picture.shape[0], : results[-1].picture.shape[1]])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("clean", ("clean", "clean")),
        ("A=clean", ("A", "clean")),
        ("A=runs/a/weights.npz", ("A", "runs/a/weights.npz")),
        ("runs/vdsr-bam-x4/packed.npz", ("vdsr-bam-x4", "runs/vdsr-bam-x4/packed.npz")),
        ("weights.npz", ("weights", "weights.npz")),
        ("my.npz", ("my", "my.npz")),
        ("=clean", ("=clean", "=clean")),
    ],
)
def test_labels(text, parts):
    assert split_label(text) == parts


def test_a_file_with_an_equals_sign_in_its_name_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b.npz").touch()
    assert split_label("a=b.npz") == ("a=b", "a=b.npz")


def test_what_cannot_be_compared_is_refused(photographs, tmp_path):
    for models, said in (
        (["bicubic", "bicubic"], "a label of its own"),
        (["original=bicubic"], "the label original is the picture's own"),
    ):
        with pytest.raises(UsageError, match=said):
            enlarge_by_all(photographs / "1.png", models, 2)
    Image.new("RGB", (4, 4)).save(tmp_path / "small.png")
    with pytest.raises(PictureError, match="too small to be judged"):
        enlarge_by_all(tmp_path / "small.png", ["bicubic"], 2)
    for crop in (Crop(0, 0, 0, 1), Crop(-1, 0, 2, 2), Crop(5, 0, 6, 1), Crop(0, 9, 1, 2)):
        with pytest.raises(UsageError, match="does not lie in the picture of 10x10"):
            checked_crop(crop, 10, 10)
