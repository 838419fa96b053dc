"""Whole networks: gradients, counts, options."""

import dataclasses

import numpy as np
import pytest

from npbsrn.binarizers.bam import ABLATIONS
from npbsrn.errors import UsageError
from npbsrn.networks.base import make_network
from npbsrn.ops import sign
from npbsrn.storage.params import leaves, map_leaves, nest
from tests.gradient import check_gradient, directional_error

TINY = {"scale": 2, "blocks": 2, "width": 4}
VARIANTS = {
    "paper": {"base": "none"},
    "bicubic": {},
    "plain tail": {"tail": "plain"},
    "x3": {"scale": 3},
    "x4": {"scale": 4, "blocks": 1},
    "skip every": {"skip": "every"},
    "no activation": {"activation": "none"},
    "mean": {"binarizer": {"statistic": "mean"}},
    "no statistic": {"binarizer": {"statistic": "none"}},
    "padding zero": {"padding": "zero"},
    "input gain": {"input_gain": 3.0},
    "float": {"binarizer": "float", "padding": "zero"},
    **{row: {"binarizer": options} for row, options in ABLATIONS.items()},
}


def trainable(params):
    return {name: a for name, a in leaves(params) if ".running_" not in name}


def as_function(network, params):
    """The network as a function of its input and every parameter, for the checker."""
    names = list(trainable(params))
    fixed = {name: a for name, a in leaves(params) if name not in names}

    def function(x, *arrays):
        running = {name: a.copy() for name, a in fixed.items()}  # training moves them in place
        y, back = network.apply(nest(running | dict(zip(names, arrays, strict=True))), x, train=True)

        def pull(dy):
            dx, grads = back(dy)
            flat = dict(leaves(grads))
            assert set(flat) == set(names)
            return dx, *(flat[name] for name in names)

        return y, pull

    return function


@pytest.fixture
def smooth_sign(monkeypatch):
    """Put tanh, which has a derivative, in the place of the sign and of its stand-in gradients."""
    smooth = (np.tanh, lambda x, dy: dy * (1 - np.tanh(x) ** 2))
    for name in sign.STES:
        monkeypatch.setitem(sign.STES, name, smooth)


def perturbed(network):
    """Parameters off their first values, so that ones and zeros hide nothing."""
    rng = np.random.default_rng(1)
    return map_leaves(lambda a: a + 0.1 * rng.standard_normal(a.shape), network.init(0, np.float64))


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())
def test_gradients_of_whole_networks(smooth_sign, variant):
    network = make_network(TINY | variant)
    params = perturbed(network)
    x = np.random.default_rng(2).random((2, 3, 5, 4))
    check_gradient(as_function(network, params), x, *trainable(params).values())


def test_a_forgotten_memory_gradient_is_caught(smooth_sign, monkeypatch):
    """Planted bug: the cotangent that later convolutions send to earlier activations is dropped."""
    from npbsrn.layers import binary as blocks

    apply = blocks.BinaryConv.apply

    def forgetful(self, params, x, memory, train):
        y, after, back = apply(self, params, x, memory, train)

        def broken(dy, dmemory):
            dx, dbefore, grads = back(dy, dmemory)
            return dx, dataclasses.replace(dbefore, terms=(None,) * len(dbefore.terms)), grads

        return y, after, broken

    monkeypatch.setattr(blocks.BinaryConv, "apply", forgetful)
    network = make_network(TINY)
    params = perturbed(network)
    x = np.random.default_rng(2).random((2, 3, 5, 4))
    assert directional_error(as_function(network, params), x, *trainable(params).values()) > 1e-4


def test_an_input_gain_is_as_good_as_a_larger_head():
    """It folds into the head's filters, since zero padding stays zero."""
    plain, gained = (make_network(TINY | {"input_gain": gain}) for gain in (1.0, 4.0))
    params = plain.init(0, np.float64)
    folded = {**params, "head": {**params["head"], "weight": params["head"]["weight"] * 4}}
    x = np.random.default_rng(0).random((1, 3, 5, 6))
    np.testing.assert_allclose(gained.apply(params, x)[0], plain.apply(folded, x)[0], rtol=1e-12)


def test_the_float_network_has_no_binary_weights():
    network = make_network(TINY | {"binarizer": "float"})
    params = network.init(0)
    binary = make_network(TINY).init(0)
    assert dict(leaves(params)).keys() == {name for name, _ in leaves(binary) if ".binarizer." not in name}
    for flat in (params, nest(dict(leaves(params)))):
        counts = network.count_parameters(flat)
        assert counts["binary"] == 0
        assert counts["total"] == sum(a.size for _, a in leaves(params))


def test_counts_agree_with_the_paper():
    network = make_network({"scale": 4})
    params = network.count_parameters(network.init(0))
    assert params["total"] == pytest.approx(1216e3, rel=0.01)
    assert params["binary"] == 20 * 2 * (9 + 1 + 1) * 48 * 48
    assert network.trace(180, 320).macs == pytest.approx(85e9, rel=0.01)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_output_is_scale_times_as_large(scale):
    network = make_network({"scale": scale, "blocks": 1, "width": 4})
    y, _ = network.apply(network.init(0), np.zeros((2, 3, 5, 7), np.float32))
    assert y.shape == (2, 3, 5 * scale, 7 * scale)
    assert y.dtype == np.float32


def test_nothing_beyond_its_reach_changes_a_pixel():
    network = make_network(TINY | {"blocks": 1})
    params = network.init(0)
    reach = int(np.ceil(network.trace(1, 1).reach))
    x = np.random.default_rng(0).random((1, 3, 1, 4 * reach), dtype=np.float32)
    other = x.copy()
    other[..., :reach] += 1
    y, z = (network.apply(params, a)[0][..., 4 * reach :] for a in (x, other))
    np.testing.assert_array_equal(y, z)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "edsr", "scale": 4}, "no network 'edsr'; choose among bsrn, srresnet, vdsr"),
        ({"scale": 5}, "scale cannot be 5; choose among 2, 3, 4"),
        ({"scale": 4, "base": "lanczos"}, "base cannot be 'lanczos'"),
        ({"scale": 4, "blocks": 0}, "blocks must be a positive whole number"),
        ({"scale": 4, "width": 4.5}, "width must be a positive whole number"),
        ({"scale": 4, "padding": "two"}, "padding cannot be 'two'; choose among one, zero"),
        ({"scale": 4, "input_gain": 0}, "input_gain must be a number above 0, not 0"),
        ({"scale": 4, "colour": 1}, "bsrn has no argument colour; it has scale, binarizer, blocks"),
        ({"scale": 4, "binarizer": {"name": "xyz"}}, "no binarizer 'xyz'"),
        (
            {"scale": 4, "binarizer": {"alpha": "two"}},
            "alpha of bam cannot be 'two'; choose among learned, one",
        ),
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
