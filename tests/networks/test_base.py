"""What all networks have in common: their table, configurations, counts of parameters."""

import json

import numpy as np
import pytest

from npbsrn.errors import UsageError
from npbsrn.images.resize import resize
from npbsrn.networks.base import NETWORKS, SCALES, arguments_of, make_network
from npbsrn.storage.params import leaves, nest

TINY = {"scale": 2, "blocks": 2, "width": 4}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_output_is_scale_times_as_large(name, scale):
    network = make_network({"name": name, "scale": scale, "blocks": 1, "width": 4})
    y, _ = network.apply(network.init(0), np.zeros((2, 3, 5, 7), np.float32))
    assert y.shape == (2, 3, 5 * scale, 7 * scale)
    assert y.dtype == np.float32


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_network_without_details_gives_what_they_are_added_to(name):
    """The bicubic picture, where the last convolution gives zeros."""
    network = make_network({"name": name, "scale": 3, "blocks": 1, "width": 4})
    params = network.init(0, np.float64)
    params["tail"]["last"] = {kind: 0 * a for kind, a in params["tail"]["last"].items()}
    x = np.random.default_rng(0).random((1, 3, 4, 5))
    np.testing.assert_allclose(network.apply(params, x)[0][0], resize(x[0].transpose(1, 2, 0), 3).transpose(2, 0, 1))


@pytest.mark.parametrize("scheme", ["bam", "bbcu", "bnn", "dorefa", "abc", "bw", "none"])
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_configuration_builds_the_same_network_again(name, scheme):
    network = make_network({"name": name, "scale": 2, "binarizer": scheme})
    again = make_network(json.loads(json.dumps(network.config)))
    assert again == network
    assert again.config == network.config


def test_latent_filters_are_named_with_their_scheme():
    network = make_network(TINY)
    params = dict(leaves(network.init(0)))
    latent = network.latent()
    assert set(latent) == {name for name in params if ".conv" in name and name.endswith(".weight") and "body" in name}
    assert {scheme.name for scheme in latent.values()} == {"bam"}
    assert list(latent)[:2] == ["body.hpb.1.1.conv1.weight", "body.hpb.1.1.conv2.weight"]


def test_the_float_network_has_no_binary_weights():
    network = make_network(TINY | {"binarizer": "none"})
    params = network.init(0)
    binary = make_network(TINY).init(0)
    assert network.latent() == {}
    assert dict(leaves(params)).keys() == {name for name, _ in leaves(binary) if ".binarizer." not in name}
    for flat in (params, nest(dict(leaves(params)))):
        counts = network.count_parameters(flat)
        assert counts["binary"] == 0
        assert counts["total"] == sum(a.size for _, a in leaves(params))


def test_running_averages_are_not_counted():
    network = make_network(TINY)
    params = network.init(0)
    counts = network.count_parameters(params)
    assert counts["total"] == sum(a.size for name, a in leaves(params) if ".running_" not in name)
    assert counts["total"] == counts["binary"] + counts["float"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({}, {"binarizer": {"name": "bam", "padding": "one"}}),
        ({"padding": "one"}, {}),
        ({"padding": "zero"}, {"binarizer": {"padding": "zero"}}),
        ({"padding": "zero", "binarizer": "bam"}, {"binarizer": {"padding": "zero"}}),
        (
            {"padding": "zero", "binarizer": {"name": "bam", "statistic": "mean"}},
            {"binarizer": {"statistic": "mean", "padding": "zero"}},
        ),
        ({"binarizer": "float", "padding": "zero"}, {"binarizer": "none"}),
        ({"binarizer": {"name": "float"}, "padding": "one"}, {"binarizer": {"name": "none", "padding": "one"}}),
    ],
)
def test_configurations_of_earlier_versions_build_the_same_network(old, new):
    """The padding was the network's; the scheme "none" had the name "float"."""
    network, today = make_network(TINY | old), make_network(TINY | new)
    assert network == today
    assert network.config == today.config
    assert "padding" not in network.config


def test_a_preset_says_only_what_a_network_has():
    arguments = {"blocks": 3, "residual": 0.1, "tail": "plain"}
    assert arguments_of("vdsr", arguments) == {"blocks": 3}
    assert arguments_of("bsrn", arguments) == arguments_of("edsr", arguments) == arguments


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "edsr", "scale": 4}, "no network 'edsr'; choose among bbcu, bsrn, .*vdsr"),
        ({"name": 3, "scale": 4}, "no network 3"),
        ({}, "bsrn needs a scale: 2, 3, 4"),
        ({"scale": 5}, "scale cannot be 5; choose among 2, 3, 4"),
        ({"scale": True}, "scale cannot be True"),
        ({"scale": 4, "padding": "two"}, "padding cannot be 'two'; choose among one, zero"),
        ({"scale": 4, "padding": "one", "binarizer": "bnn"}, "bsrn has no argument padding"),
        ({"scale": 4, "colour": 1}, "bsrn has no argument colour; it has scale, binarizer, blocks"),
        (
            {"scale": 4, "binarizer": {"name": "xyz"}},
            "no binarizer 'xyz'; choose among abc, bam, bbcu, .*none",
        ),
        ({"scale": 4, "binarizer": 3}, "binarizer must be a name or options, not 3"),
        ({"scale": 4, "binarizer": {"name": 3}}, "no binarizer 3"),
        ({"scale": 4, "binarizer": {"alpha": "two"}}, "alpha of bam cannot be 'two'; choose among learned, one"),
        ({"scale": 4, "binarizer": {"gamma": 1}}, "the binarizer bam has no option gamma; it has alpha, beta, "),
        (
            {"scale": 4, "binarizer": {"name": "none", "alpha": "one"}},
            "the binarizer none has no option alpha; it has padding",
        ),
    ],
)
def test_unknown_configurations_are_refused(config, message):
    with pytest.raises(UsageError, match=message):
        make_network(config)
