import numpy as np
import pytest

import npbsrn
from npbsrn.errors import UsageError
from npbsrn.images.resize import resize
from npbsrn.inference.choose import choose_runner
from npbsrn.inference.runners import Bicubic, Reference, Runner, WholeOnly
from npbsrn.models import Model
from npbsrn.networks.base import make_network
from npbsrn.storage.params import leaves, nest


@pytest.mark.parametrize("tile", [1, 5, 16, 64])
def test_tiles_change_nothing_but_the_order_of_sums(tiny_model, rng, tile):
    picture = rng.random((23, 17, 3), dtype=np.float32)
    runner = Reference(tiny_model)
    np.testing.assert_allclose(runner.run(picture, tile=tile), runner.run(picture, tile=100), atol=1e-5)


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
    runner = Reference(model)
    margin = int(np.ceil(model.network.trace(1, 1).reach))
    changed = np.any(runner.run(dark_at(12, 16), tile=100) != runner.run(GREY, tile=100), axis=2)
    rows, columns = (places // scale for places in np.nonzero(changed))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (
        12 - margin,
        12 + margin,
        16 - margin,
        16 + margin,
    )
    for places in ([(12, v) for v in range(10, 22)], [(h, 18) for h in range(6, 18)]):  # along a row and a column
        apart = {0: 0.0, 1: 0.0}
        for place in places:
            whole = runner.run(dark_at(*place), tile=100)
            for less in apart:
                monkeypatch.setattr(runner, "reach", margin - less)
                apart[less] = max(apart[less], abs(runner.run(dark_at(*place), tile=11) - whole).max())
        assert apart[0] < 1e-5
        assert apart[1] > 1e-3


def test_bicubic_is_rounded_once_or_by_axis(rng):
    picture = rng.integers(0, 256, (5, 6, 3), np.uint8)
    np.testing.assert_array_equal(Bicubic(3, by_axis=True).run(picture), resize(picture, 3))
    exact = resize(picture.astype(np.float64) / 255, 3) * 255
    assert np.abs(Bicubic(3).run(picture) - np.clip(exact, 0, 255)).max() <= 0.5 + 1e-4


def test_eight_bits_are_rounded(tiny_model, rng):
    picture = rng.integers(0, 256, (5, 6, 3), np.uint8)
    exact = Reference(tiny_model).run(picture.astype(np.float32) / 255) * 255
    assert np.abs(Reference(tiny_model).run(picture) - exact).max() <= 0.5 + 1e-4


def test_all_are_runners(tiny_model):
    for runner in (Reference(tiny_model), Bicubic(4), choose_runner(tiny_model, 4)):
        assert isinstance(runner, Runner)
        assert runner.scale == 4
    assert not isinstance(tiny_model, Runner)


def test_a_runner_of_ones_own_inherits_what_it_lacks():
    class Nearest:
        name, scale = "nearest", 2

        def run(self, picture, threads=None, tile=None, progress=None):
            return picture.repeat(2, axis=0).repeat(2, axis=1)

        def needed_bytes(self, height, width, threads=None, tile=None):
            return 0

    class Whole(Nearest, WholeOnly):
        """The same, which says that it wants whole pictures."""

    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    np.testing.assert_array_equal(npbsrn.upscale(picture, 2, Whole()), Nearest().run(picture))
    lacking = "this runner has no can_run_rows, digest, rows_bytes, rows_for, run_rows; inherit from"
    with pytest.raises(UsageError, match=lacking):
        npbsrn.upscale(picture, 2, Nearest())
