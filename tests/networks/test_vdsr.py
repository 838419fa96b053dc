"""VDSR: the paper's counts, reach, and options."""

import pytest

from npbsrn.errors import UsageError
from npbsrn.networks.base import make_network
from tests.networks.shapes import changed_from_afar, reach

W = 64
BINARY = 18 * 9 * W * W


def vdsr(**options):
    return make_network({"name": "vdsr", "scale": 4, **options})


def test_counts_agree_with_the_paper():
    """Table 3: 668 K parameters, and 616.9 G for 1280x720 pixels."""
    network = vdsr()
    assert network.count_parameters(network.init(0))["total"] == pytest.approx(668e3, rel=0.01)
    assert network.trace(180, 320).macs == pytest.approx(616.9e9, rel=0.01)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_counts_of_each_part(scale):
    """The same at each scale, for a pixel of the large picture."""
    network = vdsr(scale=scale)
    counts = network.count_parameters(network.init(0))
    norms, slopes, alphas, betas = 18 * 2 * W, 18 * W, 6 * (1 + 2 + 3), 6 * (1 + 2 + 3)
    assert counts["binary"] == BINARY
    assert counts["float"] == (3 * W * 9 + W) + (W * 3 * 9 + 3) + norms + slopes + alphas + betas
    assert network.trace(10, 20).macs == 200 * scale**2 * (2 * 3 * W * 9 + BINARY)
    assert len(network.latent()) == 18


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_nothing_beyond_its_reach_changes_a_pixel(scale):
    config = {"name": "vdsr", "scale": scale, "blocks": 1, "activation": "prelu"}
    assert reach(config) == {2: 4, 3: 3, 4: 3}[scale]
    assert not changed_from_afar(config, reach(config) + 1)
    assert changed_from_afar(config, reach(config))
    assert reach({"name": "vdsr", "scale": scale}) == {2: 12, 3: 8, 4: 7}[scale]


@pytest.mark.parametrize(
    ("scheme", "activation"),
    [("bam", "prelu"), ("bnn", "prelu"), ("dorefa", "prelu"), ("bw", "relu"), ("none", "relu")],
)
def test_in_front_of_signs_stands_no_relu(scheme, activation):
    assert vdsr(binarizer=scheme).config["activation"] == activation
    own = vdsr(binarizer=scheme, blocks=1, width=4).init(0)["body"]["1"]["1"]
    assert [f"act{n}" in own for n in (1, 2, 3, 4)] == [True, True, True, False]
    assert [bool(own[f"act{n}"]) for n in (1, 2, 3)] == [activation == "prelu"] * 3
    assert vdsr(binarizer=scheme, activation="none").config["activation"] == "none"


def test_filters_and_activations_accumulate_within_a_block():
    own = vdsr(blocks=2, width=4).init(0)["body"]["2"]["1"]
    assert [len(own[f"conv{n}"]["binarizer"]["alpha"]) for n in (1, 2, 3)] == [1, 2, 3]
    assert [len(own[f"conv{n}"]["binarizer"]["beta"]) for n in (1, 2, 3)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": 0}, "blocks must be a positive whole number"),
        ({"width": "8"}, "width must be a positive whole number"),
        ({"activation": "tanh"}, "activation cannot be 'tanh'; choose among prelu, relu, none"),
        ({"norm": "yes"}, "norm must be True or False, not 'yes'"),
        ({"input_gain": float("inf")}, "input_gain must be a number above 0, not inf"),
        ({"base": "none"}, "vdsr has no argument base; it has scale, binarizer, blocks"),
    ],
)
def test_other_options_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        vdsr(**options)
