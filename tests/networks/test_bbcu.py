"""BBCU: counts, reach, gains, and options."""

import numpy as np
import pytest

from npbsrn.errors import UsageError
from npbsrn.networks.base import make_network
from npbsrn.storage.params import leaves
from tests.networks.shapes import changed_from_afar, reach

W = 64
BINARY = 32 * 9 * W * W
TAIL_PARAMETERS = {2: W * 4 * W * 9 + 4 * W, 3: W * 9 * W * 9 + 9 * W, 4: 2 * (W * 4 * W * 9 + 4 * W)}
STAGE_MACS = {2: 4 * W * W * 9, 3: 9 * W * W * 9, 4: (1 + 4) * 4 * W * W * 9}  # for a pixel of the small picture


def bbcu(**options):
    return make_network({"name": "bbcu", "scale": 4, "binarizer": "bbcu", **options})


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("trunk", [True, False])
def test_counts_of_each_part(scale, trunk):
    network = bbcu(scale=scale, trunk=trunk)
    counts = network.count_parameters(network.init(0))
    middle = W * W * 9 + W if trunk else 0
    ends = (3 * W * 9 + W) + middle + TAIL_PARAMETERS[scale] + (W * 3 * 9 + 3)
    assert counts["binary"] == BINARY
    assert counts["float"] == ends + 32 * 3 * W  # thresholds, slopes, shifts
    pixel = 3 * W * 9 + (W * W * 9 if trunk else 0) + STAGE_MACS[scale] + scale**2 * W * 3 * 9 + BINARY
    assert network.trace(10, 20).macs == 200 * pixel
    assert len(network.latent()) == 32


def test_the_names_of_parameters():
    params = dict(leaves(bbcu(blocks=2, width=4).init(0)))
    unit = {"conv1.weight": (4, 4, 3, 3), "conv1.binarizer.shift": (4,), "act1.slope": (4,), "act1.shift": (4,)}
    expected = {f"body.blocks.{n}.1.{name}": shape for n in (1, 2) for name, shape in unit.items()}
    found = {name: a.shape for name, a in params.items() if name.startswith("body.")}
    assert found == expected | {"body.trunk.weight": (4, 4, 3, 3), "body.trunk.bias": (4,)}
    np.testing.assert_array_equal(params["body.blocks.1.1.act1.slope"], 0.25)
    for name in ("act1.shift", "conv1.binarizer.shift"):
        np.testing.assert_array_equal(params[f"body.blocks.2.1.{name}"], 0)
    bare = dict(leaves(bbcu(blocks=2, width=4, trunk=False).init(0)))
    assert {name: a.shape for name, a in bare.items() if name.startswith("body.")} == expected


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_counts_of_a_direct_tail(scale):
    network = bbcu(scale=scale, trunk=False, tail="direct", blocks=10)
    counts, outputs = network.count_parameters(network.init(0)), 3 * scale**2
    assert counts["binary"] == 10 * 9 * W * W
    assert counts["float"] == (3 * W * 9 + W) + (outputs * W * 9 + outputs) + 10 * 3 * W
    assert network.trace(10, 20).macs == 200 * (3 * W * 9 + outputs * W * 9 + counts["binary"])


@pytest.mark.parametrize(
    ("options", "radius"),
    [
        ({}, 1 + 2 + 1 + 2),
        ({"trunk": False}, 1 + 2 + 2),
        ({"trunk": False, "last": 9}, 1 + 2 + 3),
        ({"trunk": False, "tail": "direct"}, 1 + 2 + 1),
    ],
)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_nothing_beyond_its_reach_changes_a_pixel(scale, options, radius):
    config = {"name": "bbcu", "scale": scale, "blocks": 2, **options}
    assert reach(config) == radius
    assert not changed_from_afar(config, reach(config) + 1)
    assert changed_from_afar(config, reach(config))


def test_what_goes_in_is_multiplied_and_details_are_divided():
    """So that float convolutions alone would give the same details whatever the gain."""
    assert (bbcu().gain, bbcu().output) == (130.0, 1 / 130)
    assert bbcu(input_gain=4).config["output_gain"] == 0.25
    assert bbcu(input_gain=4.0, output_gain=2.0).config["output_gain"] == 2.0
    plain, gained = (bbcu(blocks=1, width=4, input_gain=gain) for gain in (1.0, 4.0))
    params, x = plain.init(0, np.float64), np.random.default_rng(0).random((1, 3, 5, 6))
    assert not np.allclose(gained.apply(params, x)[0], plain.apply(params, x)[0])
    params["body"]["blocks"]["1"]["1"]["conv1"]["weight"][...] = 0  # and so is the scale
    np.testing.assert_allclose(gained.apply(params, x)[0], plain.apply(params, x)[0], rtol=1e-12)


@pytest.mark.parametrize(("scheme", "norm"), [("bbcu", False), ("bam", False), ("bnn", True), ("none", False)])
def test_what_has_no_scale_is_normalised(scheme, norm):
    assert bbcu(binarizer=scheme).config["norm"] == norm
    assert bbcu(binarizer=scheme, norm=not norm).config["norm"] != norm
    params = bbcu(binarizer=scheme, blocks=1, width=4).init(0)
    assert ("norm" in params["body"]["blocks"]["1"]["1"]["conv1"]) == norm


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base": "lanczos"}, "base cannot be 'lanczos'"),
        ({"blocks": 0}, "blocks must be a positive whole number"),
        ({"width": 4.5}, "width must be a positive whole number"),
        ({"activation": "tanh"}, "activation cannot be 'tanh'; choose among prelu, relu, none, rprelu"),
        ({"residual": 0}, "residual must be a number above 0, not 0"),
        ({"norm": 1}, "norm must be True or False, not 1"),
        ({"trunk": None}, "trunk must be True or False, not None"),
        ({"tail": "long"}, "tail cannot be 'long'; choose among composed, plain, direct"),
        ({"last": 4}, "last cannot be 4; choose among 3, 5, 7, 9"),
        ({"input_gain": 0}, "input_gain must be a number above 0, not 0"),
        ({"output_gain": -1}, "output_gain must be a number above 0, not -1"),
        ({"skip": "every"}, "bbcu has no argument skip; it has scale, binarizer, blocks"),
    ],
)
def test_other_options_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        bbcu(**options)
