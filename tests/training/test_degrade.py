import io

import numpy as np
import pytest
from PIL import Image

from npbsrn.training.cache import Decoded
from npbsrn.training.degrade import CLEAN, QUALITY, UNIT, degrade, degraded_patch


@pytest.fixture
def picture(photographs):
    return np.asarray(Image.open(photographs / "0.png"))


def test_a_degraded_picture_is_a_pure_function(picture):
    results = [degrade(picture, np.random.default_rng(n)) for n in range(30)]
    for n, result in enumerate(results):
        assert (result.shape, result.dtype) == (picture.shape, np.uint8)
        np.testing.assert_array_equal(result, degrade(picture, np.random.default_rng(n)))
    assert len({result.tobytes() for result in results}) > 15


def test_a_quarter_stays_clean(picture):
    clean = sum(np.array_equal(degrade(picture, np.random.default_rng(n)), picture) for n in range(400))
    assert abs(clean / 400 - CLEAN) < 4 * np.sqrt(CLEAN * (1 - CLEAN) / 400) + 0.05  # and some change nothing


def test_jpegs_have_all_qualities_and_both_subsamplings(picture, monkeypatch):
    saved, inner = [], Image.Image.save

    def save(self, file, kind, **options):
        saved.append((kind, options["quality"], options["subsampling"]))
        inner(self, file, kind, **options)

    monkeypatch.setattr(Image.Image, "save", save)
    for n in range(1500):
        degrade(picture[:8, :8], np.random.default_rng(n))
    assert {kind for kind, _, _ in saved} == {"JPEG"}
    assert {quality for _, quality, _ in saved} == set(range(QUALITY[0], QUALITY[1] + 1))
    assert {subsampling for _, _, subsampling in saved} == {0, 2}
    assert abs(len(saved) / 1500 - 0.75 * 0.85) < 0.05


def test_noise_is_grey_or_coloured(monkeypatch):
    monkeypatch.setattr("npbsrn.training.degrade.PACKED", 0.0)
    monkeypatch.setattr("npbsrn.training.degrade.BLURRED", 0.0)
    grey = np.full((40, 40, 3), 128, np.uint8)
    kinds = set()
    for n in range(60):
        result = degrade(grey, np.random.default_rng(n)).astype(int) - 128
        if np.any(result):
            kinds.add("grey" if np.all(result == result[:, :, :1]) else "coloured")
            assert 0.4 < result.std() < 4.5
    assert kinds == {"grey", "coloured"}


@pytest.fixture
def decoded(tmp_path, rng):
    path = tmp_path / "picture.npy"
    np.save(path, rng.integers(0, 256, (90, 80, 3), np.uint8))
    return Decoded.open(path)


def jpeg(picture, rng):
    rng.random()
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=50, subsampling=2)
    return np.asarray(Image.open(file))


@pytest.mark.parametrize(("top", "left"), [(0, 0), (40, 35), (74, 64), (20, 0)])
def test_a_patch_is_cut_from_a_degraded_region(decoded, monkeypatch, top, left):
    """Of the picture's place, with its surroundings as far as there are any."""
    seen = []

    def keep(picture, rng):
        seen.append(picture.shape)
        return picture

    monkeypatch.setattr("npbsrn.training.degrade.degrade", keep)
    for n in range(20):
        patch = degraded_patch(decoded, top, left, 16, np.random.default_rng(n))
        np.testing.assert_array_equal(patch, decoded.rows(top, 16)[:, left : left + 16])
    for at, extent, sizes in ((top, 90, {h for h, _, _ in seen}), (left, 80, {w for _, w, _ in seen})):
        below = min(UNIT, extent - at - 16)
        assert sizes <= {min(at, above) + 16 + below for above in range(UNIT, 2 * UNIT)}


def test_the_grid_of_jpeg_falls_anywhere(decoded, monkeypatch):
    monkeypatch.setattr("npbsrn.training.degrade.degrade", jpeg)
    kinds = {degraded_patch(decoded, 40, 35, 16, np.random.default_rng(n)).tobytes() for n in range(4000)}
    assert len(kinds) == UNIT**2
