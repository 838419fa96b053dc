"""The weights that come with the package, by its default path."""

import numpy as np
import pytest

import npbsrn
from npbsrn.networks import make_network

FLOORS = {2: 36.7, 3: 32.7, 4: 30.8}  # dB on Set5


@pytest.mark.parametrize("scale", FLOORS)
def test_the_papers_size_ships_with_its_card(scale):
    model = npbsrn.load(scale=scale)
    assert model.network.chain == make_network({"name": "bsrn", "scale": scale, "blocks": 20, "width": 48}).chain
    assert {"data", "steps", "minutes", "seed", "validation_psnr"} <= model.card.keys()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 9)])
@pytest.mark.parametrize("scale", FLOORS)
def test_upscale_uses_them_by_default(scale, size):
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    enlarged = npbsrn.upscale(picture, scale)
    assert enlarged.shape == (size[0] * scale, size[1] * scale, 3)
    np.testing.assert_array_equal(enlarged, npbsrn.upscale(picture, scale, npbsrn.load(scale=scale)))


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
