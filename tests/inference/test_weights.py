"""The weights that come with the package, by its default path."""

from pathlib import Path

import numpy as np
import pytest

import npbsrn
from npbsrn.networks.base import make_network
from npbsrn.packed.format import load_packed
from npbsrn.packed.lower import lower
from npbsrn.training.config import make_config
from tests.packed.plans import contents, shape_of

FLOORS = {2: 37.2, 3: 33.3, 4: 31.0}  # dB on Set5


@pytest.mark.parametrize("scale", FLOORS)
def test_the_papers_size_ships_with_its_card(scale):
    model = npbsrn.load(scale=scale)
    assert model.network.chain == make_network(make_config(scale, "best-bsrn").network).chain
    assert (model.network.config["blocks"], model.network.config["width"]) == (20, 48)
    assert {"data", "steps", "minutes", "seed", "validation_psnr"} <= model.card.keys()


@pytest.mark.parametrize("scale", FLOORS)
def test_packed_weights_are_small_and_say_the_same(scale):
    path = Path(npbsrn.__file__).parent / "weights" / f"bsrn-x{scale}-packed.npz"
    assert path.stat().st_size <= (600_000 if scale == 4 else 620_000)
    packed, lowered = load_packed(path), lower(npbsrn.load(scale=scale))
    assert shape_of(packed) == shape_of(lowered)
    for ours, theirs in zip(contents(packed), contents(lowered), strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 9)])
@pytest.mark.parametrize("scale", FLOORS)
def test_upscale_uses_them_by_default(scale, size):
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    enlarged = npbsrn.upscale(picture, scale)
    assert enlarged.shape == (size[0] * scale, size[1] * scale, 3)
    by_float = npbsrn.upscale(picture, scale, engine="reference").astype(int)
    # another CPU may round the filters' scales in another way than the one that packed them
    assert np.mean(np.abs(enlarged - by_float)) < 0.5


@pytest.mark.parametrize("folder", ["Set5", "Set14"])
@pytest.mark.parametrize("scale", FLOORS)
def test_every_picture_is_above_bicubic(data, folder, scale):
    ours, bicubic = (npbsrn.evaluate(model, data / folder, scale) for model in (None, "bicubic"))
    for a, b in zip(ours.scores, bicubic.scores, strict=True):
        assert a.psnr > b.psnr, a.name
    if folder == "Set5":
        assert ours.mean.psnr >= FLOORS[scale]


def test_scales_without_weights_say_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr("npbsrn.models.files", lambda _: tmp_path)
    with pytest.raises(npbsrn.NpbsrnError, match="no weights for x3 come with this npbsrn; train some"):
        npbsrn.load(scale=3)
