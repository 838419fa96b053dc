"""BSRN: the paper's counts, reach, and options."""

import numpy as np
import pytest

from npbsrn.errors import UsageError
from npbsrn.networks.base import make_network
from tests.networks.shapes import changed_from_afar, reach

W = 48
TAIL_PARAMETERS = {2: W * 4 * W * 9 + 4 * W, 3: W * 9 * W * 9 + 9 * W, 4: 2 * (W * 4 * W * 9 + 4 * W)}
STAGE_MACS = {2: 4 * W * W * 9, 3: 9 * W * W * 9, 4: (1 + 4) * 4 * W * W * 9}  # for a pixel of the small picture
BINARY = 20 * 2 * (9 + 1 + 1) * W * W


def test_counts_agree_with_the_paper():
    """Table 3: 1216 K parameters, and 85 G for 1280x720 pixels."""
    network = make_network({"scale": 4})
    assert network.count_parameters(network.init(0))["total"] == pytest.approx(1216e3, rel=0.01)
    assert network.trace(180, 320).macs == pytest.approx(85e9, rel=0.01)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_counts_of_each_part(scale):
    network = make_network({"scale": scale})
    counts = network.count_parameters(network.init(0))
    ends = (3 * W * 9 + W) + (W * W * 9 + W) + TAIL_PARAMETERS[scale] + (W * 3 * 9 + 3)
    norms, slopes, alphas, betas = 40 * 3 * 2 * W, 40 * 2 * W, 20 * (1 + 2) + 40 * (1 + 2), 40 * (1 + 2 + 3)
    assert counts["binary"] == BINARY
    assert counts["float"] == ends + norms + slopes + alphas + betas
    pixel = 3 * W * 9 + W * W * 9 + STAGE_MACS[scale] + scale**2 * W * 3 * 9 + BINARY
    assert network.trace(10, 20).macs == 200 * pixel


@pytest.mark.parametrize("scheme", ["bam", "bbcu", "bnn", "dorefa", "abc", "bw", "none"])
def test_all_schemes_cost_the_same(scheme):
    network = make_network({"scale": 4, "binarizer": scheme})
    assert network.trace(180, 320).macs == make_network({"scale": 4}).trace(180, 320).macs
    assert network.count_parameters(network.init(0))["binary"] == (0 if scheme == "none" else BINARY)
    assert len(network.latent()) == (0 if scheme == "none" else 20 * 2 * 3)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_nothing_beyond_its_reach_changes_a_pixel(scale):
    config = {"scale": scale, "blocks": 2}
    assert reach(config) == 1 + 2 * 2 + 1 + 2
    assert not changed_from_afar(config, reach(config) + 1)
    assert changed_from_afar(config, reach(config))
    assert reach({"scale": scale}) == 44


def test_an_input_gain_is_as_good_as_a_larger_head():
    """It folds into the head's filters, since zero padding stays zero."""
    plain, gained = (make_network({"scale": 2, "blocks": 1, "width": 4, "input_gain": gain}) for gain in (1.0, 4.0))
    params = plain.init(0, np.float64)
    folded = {**params, "head": {**params["head"], "weight": params["head"]["weight"] * 4}}
    x = np.random.default_rng(0).random((1, 3, 5, 6))
    np.testing.assert_allclose(gained.apply(params, x)[0], plain.apply(folded, x)[0], rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base": "lanczos"}, "base cannot be 'lanczos'"),
        ({"blocks": 0}, "blocks must be a positive whole number"),
        ({"width": 4.5}, "width must be a positive whole number"),
        ({"activation": "tanh"}, "activation cannot be 'tanh'; choose among prelu, relu, none"),
        ({"skip": "none"}, "skip cannot be 'none'; choose among block, every"),
        ({"residual": -1}, "residual must be a number above 0, not -1"),
        ({"residual": None}, "residual must be a number above 0, not None"),
        ({"norm": "yes"}, "norm must be True or False, not 'yes'"),
        ({"tail": "long"}, "tail cannot be 'long'; choose among composed, plain"),
        ({"input_gain": 0}, "input_gain must be a number above 0, not 0"),
    ],
)
def test_other_options_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        make_network({"name": "bsrn", "scale": 4, **options})
