from dataclasses import replace

import numpy as np
import pytest

from npbsrn.images.resize import resize
from npbsrn.inference.runners import run, run_uint8
from npbsrn.networks.base import Network, make_network
from npbsrn.storage.models import Model
from npbsrn.storage.params import leaves, nest


@pytest.mark.parametrize("tile", [1, 5, 16, 64])
def test_tiles_change_nothing_but_the_order_of_sums(tiny_model, rng, tile):
    picture = rng.random((23, 17, 3), dtype=np.float32)
    whole = run(tiny_model, picture, 4, tile=100)
    np.testing.assert_allclose(run(tiny_model, picture, 4, tile=tile), whole, atol=1e-5)


GREY = np.full((25, 32, 3), 0.5, np.float32)


def dilating_model(scale):
    """A network that passes the sign of one dark pixel on as far as it can look, by one pixel in each convolution.

    On a picture of middle grey the blocks begin with 0, that is +1. The 3x3 filters of a block are +1 in all taps, and
    the next binarization gives -1 wherever one of them has met a -1. Each block adds more than there is in the stream.
    """
    binarizer = {"statistic": "none", "accumulate_activations": False, "accumulate_filters": False}
    options = {"blocks": 1, "width": 4, "activation": "none", "residual": 1.0, "base": "none", "binarizer": binarizer}
    network = make_network({"scale": scale} | options)
    params = dict(leaves(network.init(0)))
    for name, value in params.items():
        if name.endswith("weight"):
            own = (1 / value[0].size) * {"body.trunk.weight": 1 / 500, "tail.last.weight": 0.3}.get(name, 1)
            value[...] = {"body.hpb.1.1.conv3.weight": 25, "body.hpb.1.2.conv3.weight": 100}.get(name, own)
            if ".conv1." in name and name.startswith("body"):
                value[...] = 1
        elif name.endswith("running_variance"):
            value[...] = 1 - 1e-5
        elif name.endswith("conv2.binarizer.shift"):
            value[...] = 1 - 9 * 4
    return Model(network, nest(params))


def dark_at(h, v):
    picture = GREY.copy()
    picture[h, v] = 0
    return picture


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_margin_of_tiles_is_as_wide_as_the_network_looks(scale, monkeypatch):
    """And one that is a pixel narrower would be seen."""
    model = dilating_model(scale)
    margin = int(np.ceil(model.network.trace(1, 1).reach))
    changed = np.any(run(model, dark_at(12, 16), scale, tile=100) != run(model, GREY, scale, tile=100), axis=2)
    rows, columns = (places // scale for places in np.nonzero(changed))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (
        12 - margin,
        12 + margin,
        16 - margin,
        16 + margin,
    )
    trace = model.network.trace(1, 1)
    for places in ([(12, v) for v in range(10, 22)], [(h, 18) for h in range(6, 18)]):  # along a row and a column
        apart = {0: 0.0, 1: 0.0}
        for less in apart:
            monkeypatch.setattr(Network, "trace", lambda *_, less=less: replace(trace, reach=trace.reach - less))
            for place in places:
                tiled, whole = (run(model, dark_at(*place), scale, tile=tile) for tile in (11, 100))
                apart[less] = max(apart[less], abs(tiled - whole).max())
        assert apart[0] < 1e-5
        assert apart[1] > 1e-3


def test_bicubic_is_a_model_too(rng):
    picture = rng.integers(0, 256, (5, 6, 3), np.uint8)
    np.testing.assert_array_equal(run_uint8("bicubic", picture, 3), resize(picture, 3))


def test_eight_bits_are_rounded(tiny_model, rng):
    picture = rng.integers(0, 256, (5, 6, 3), np.uint8)
    exact = run(tiny_model, picture.astype(np.float32) / 255, 4) * 255
    assert np.abs(run_uint8(tiny_model, picture, 4) - exact).max() <= 0.5 + 1e-4
