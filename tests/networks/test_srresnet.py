"""SRResNet: the paper's counts, reach, and options."""

import pytest

from npbsrn.errors import UsageError
from npbsrn.networks.base import make_network
from tests.networks.shapes import changed_from_afar, reach

W = 64
BINARY = 16 * 2 * 9 * W * W
TAIL_PARAMETERS = {2: W * 4 * W * 9 + 4 * W, 3: W * 9 * W * 9 + 9 * W, 4: 2 * (W * 4 * W * 9 + 4 * W)}
STAGE_MACS = {2: 4 * W * W * 9, 3: 9 * W * W * 9, 4: (1 + 4) * 4 * W * W * 9}  # for a pixel of the small picture


def srresnet(**options):
    return make_network({"name": "srresnet", "scale": 4, **options})


def test_counts_agree_with_the_paper():
    """Table 3: 1547 K parameters, and 127.9 G for 1280x720 pixels."""
    network = srresnet()
    assert network.count_parameters(network.init(0))["total"] == pytest.approx(1547e3, rel=0.01)
    assert network.trace(180, 320).macs == pytest.approx(127.9e9, rel=0.01)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_counts_of_each_part(scale):
    network = srresnet(scale=scale)
    counts = network.count_parameters(network.init(0))
    ends = (3 * W * 81 + W) + (W * W * 9 + W) + TAIL_PARAMETERS[scale] + (W * 3 * 81 + 3)
    norms, slopes, alphas, betas = 32 * 2 * W, 16 * W, 16 * (1 + 2), 16 * (1 + 2)
    assert counts["binary"] == BINARY
    assert counts["float"] == ends + norms + slopes + alphas + betas
    pixel = 3 * W * 81 + W * W * 9 + STAGE_MACS[scale] + scale**2 * W * 3 * 81 + BINARY
    assert network.trace(10, 20).macs == 200 * pixel
    assert len(network.latent()) == 32


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_nothing_beyond_its_reach_changes_a_pixel(scale):
    config = {"name": "srresnet", "scale": scale, "blocks": 1}
    assert reach(config) == 4 + 2 + 1 + 3
    assert not changed_from_afar(config, reach(config) + 1)
    assert changed_from_afar(config, reach(config))
    assert reach({"name": "srresnet", "scale": scale}) == 4 + 32 + 1 + 3


@pytest.mark.parametrize(
    ("scheme", "residual", "norm"),
    [("bam", 0.03, False), ("bnn", 0.03, True), ("bw", 1.0, True), ("none", 1.0, True)],
)
def test_float_activations_have_the_float_networks_blocks(scheme, residual, norm):
    config = srresnet(binarizer=scheme).config
    assert (config["residual"], config["norm"]) == (residual, norm)
    config = srresnet(binarizer=scheme, residual=0.5, norm=not norm).config
    assert (config["residual"], config["norm"]) == (0.5, not norm)
    params = srresnet(binarizer=scheme, blocks=1, width=4).init(0)
    assert ("norm" in params["body"]["blocks"]["1"]["1"]["conv2"]) == norm


def test_filters_and_activations_accumulate_within_a_block():
    own = srresnet(blocks=2, width=4).init(0)["body"]["blocks"]["2"]["1"]
    assert [len(own[f"conv{n}"]["binarizer"][name]) for name in ("alpha", "beta") for n in (1, 2)] == [1, 2, 1, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base": "lanczos"}, "base cannot be 'lanczos'"),
        ({"blocks": True}, "blocks must be a positive whole number"),
        ({"width": -1}, "width must be a positive whole number"),
        ({"activation": "tanh"}, "activation cannot be 'tanh'"),
        ({"skip": "none"}, "skip cannot be 'none'"),
        ({"residual": 0}, "residual must be a number above 0, not 0"),
        ({"norm": 1}, "norm must be True or False, not 1"),
        ({"tail": True}, "tail cannot be True"),
        ({"input_gain": "2"}, "input_gain must be a number above 0, not '2'"),
        ({"depth": 3}, "srresnet has no argument depth; it has scale, binarizer, blocks"),
    ],
)
def test_other_options_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        srresnet(**options)
