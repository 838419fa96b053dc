"""The weights that come with the package, by its default path."""

import numpy as np
import pytest

import npbsrn
from npbsrn.networks import make_network

FLOOR = 29.6  # dB on Set5 at x4


def test_the_papers_size_ships_with_its_card():
    model = npbsrn.load(scale=4)
    assert model.network.chain == make_network({"name": "bsrn", "scale": 4, "blocks": 20, "width": 48}).chain
    assert {"data", "steps", "minutes", "seed", "validation_psnr"} <= model.card.keys()


def test_upscale_uses_them_by_default():
    picture = np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8)
    enlarged = npbsrn.upscale(picture)
    assert enlarged.shape == (28, 36, 3)
    np.testing.assert_array_equal(enlarged, npbsrn.upscale(picture, 4, npbsrn.load()))


@pytest.mark.parametrize("folder", ["Set5", "Set14"])
def test_every_picture_is_above_bicubic(data, folder):
    ours, bicubic = (npbsrn.evaluate(model, data / folder, 4) for model in (None, "bicubic"))
    for a, b in zip(ours.scores, bicubic.scores, strict=True):
        assert a.psnr > b.psnr, a.name
    if folder == "Set5":
        assert ours.mean.psnr >= FLOOR


def test_scales_without_weights_say_what_to_do():
    with pytest.raises(npbsrn.NpbsrnError, match="no weights for x3 come with this npbsrn; train some"):
        npbsrn.load(scale=3)
