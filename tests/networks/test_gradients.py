"""Whole networks under every scheme: gradients, and inference against training's own operations."""

import dataclasses

import numpy as np
import pytest

from npbsrn.binarizers import SCHEMES, normalized
from npbsrn.binarizers.bam import ABLATIONS
from npbsrn.layers.binary import BinaryConv
from npbsrn.layers.tail import Tail
from npbsrn.networks.base import NETWORKS, make_network
from npbsrn.ops import norm, norm_sign
from npbsrn.ops.norm import batch_norm
from npbsrn.storage.params import leaves, map_leaves, nest
from tests.gradient import check_gradient, directional_error, learned, of_parameters
from tests.smooth import smooth_scheme

TINY = {"scale": 2, "blocks": 1, "width": 4}
PAIRS = [(name, scheme) for name in sorted(NETWORKS) for scheme in sorted(SCHEMES)]
BBCU = {"name": "bbcu", "binarizer": "bbcu", "blocks": 2}
VARIANTS = {
    "paper": {"base": "none"},
    "two groups": {"blocks": 2},
    "plain tail": {"tail": "plain"},
    "x3": {"scale": 3},
    "x4": {"scale": 4},
    "skip every": {"skip": "every"},
    "no activation": {"activation": "none"},
    "mean": {"binarizer": {"statistic": "mean"}},
    "no statistic": {"binarizer": {"statistic": "none"}},
    "padding zero": {"binarizer": {"padding": "zero"}},
    "input gain": {"input_gain": 3.0},
    "norm": {"norm": True},
    "norm of an offset": {"norm": True, "binarizer": "dorefa"},
    "float padded with ones": {"binarizer": {"name": "none", "padding": "one"}},
    "gains": {"binarizer": {"name": "bw", "method": "gain"}},
    "three bases of activations": {"binarizer": {"name": "abc", "activation_bases": 3}},
    "srresnet paper": {"name": "srresnet", "base": "none"},
    "srresnet x4": {"name": "srresnet", "scale": 4},
    "srresnet skip every": {"name": "srresnet", "skip": "every"},
    "srresnet plain tail": {"name": "srresnet", "tail": "plain"},
    "rprelu": {"activation": "rprelu", "skip": "every"},
    "rprelu, norm of an offset": {"activation": "rprelu", "norm": True, "binarizer": "dorefa"},
    "bbcu small gain": {**BBCU, "input_gain": 2.0, "residual": 0.3},
    "bbcu no trunk x4": {**BBCU, "input_gain": 2.0, "trunk": False, "scale": 4},
    "bbcu paper": {**BBCU, "input_gain": 2.0, "base": "none", "tail": "plain", "last": 9},
    "bbcu direct x3": {**BBCU, "input_gain": 2.0, "trunk": False, "scale": 3, "tail": "direct"},
    "bbcu prelu, norm": {**BBCU, "input_gain": 2.0, "activation": "prelu", "norm": True},
    "bbcu several bases": {**BBCU, "input_gain": 2.0, "binarizer": {"name": "abc", "activation_bases": 2}},
    "vdsr x3": {"name": "vdsr", "scale": 3},
    "vdsr norm": {"name": "vdsr", "norm": True},
    "vdsr two blocks": {"name": "vdsr", "blocks": 2, "activation": "none"},
    "vdsr input gain": {"name": "vdsr", "input_gain": 3.0},
    **{row: {"binarizer": options} for row, options in ABLATIONS.items()},
}
CASES = {f"{name} {scheme}": {"name": name, "binarizer": scheme} for name, scheme in PAIRS} | VARIANTS


def perturbed(network):
    """Parameters off their first values, so that ones and zeros hide nothing."""
    rng = np.random.default_rng(1)
    return map_leaves(lambda a: a + 0.1 * rng.standard_normal(a.shape), network.init(0, np.float64))


def case(config, monkeypatch):
    """A network, smooth, as a function of everything, and values for it."""
    network = make_network(TINY | config)
    smooth_scheme(monkeypatch, network.config["binarizer"]["name"])
    params = perturbed(network)
    x = np.random.default_rng(2).random((2, 3, 5, 4))
    return of_parameters(network, params), x, *learned(params).values()


@pytest.mark.parametrize("config", CASES.values(), ids=CASES.keys())
def test_gradients_of_whole_networks(monkeypatch, config):
    check_gradient(*case(config, monkeypatch))


@pytest.mark.parametrize("name", ["bsrn", "srresnet", "vdsr"])
@pytest.mark.parametrize("what", ["terms", "filters"])
def test_a_forgotten_memory_gradient_is_caught(monkeypatch, name, what):
    """Planted bug: the cotangent that later convolutions send to earlier activations, or filters, is dropped."""
    apply = BinaryConv.apply

    def forgetful(self, *args):
        y, after, back = apply(self, *args)

        def broken(dy, dmemory):
            dx, dbefore, grads = back(dy, dmemory)
            nothing = {what: (() if what == "terms" else None,) * len(getattr(dbefore, what))}
            return dx, dataclasses.replace(dbefore, **nothing), grads

        return y, after, broken

    monkeypatch.setattr(BinaryConv, "apply", forgetful)
    assert directional_error(*case({"name": name}, monkeypatch)) > 1e-5


def as_trained(network, params, x, monkeypatch):
    """What training computes, layer by layer, by the running statistics in the place of the batch's."""
    with monkeypatch.context() as patch:
        patch.setattr(Tail, "apply", lambda self, *args: self._plain().apply(*args))
        for module, name in ((normalized, "batch_norm"), (norm, "batch_norm"), (norm_sign, "batch_norm_ref")):
            patch.setattr(module, name, lambda *args, train: batch_norm(*args, train=False))
        return network.apply(params, x, train=True)[0]


@pytest.mark.parametrize("config", CASES.values(), ids=CASES.keys())
def test_inference_is_training_with_normalisation_folded(monkeypatch, config):
    """In float64 the normal form and the composition of a scheme's own operations have the same signs."""
    network = make_network(TINY | config)
    rng = np.random.default_rng(3)
    flat = {
        name: rng.uniform(0.1, 2, a.shape) if name.endswith("variance") else a for name, a in leaves(perturbed(network))
    }
    params, x = nest(flat), rng.random((2, 3, 5, 4))
    expected = as_trained(network, params, x, monkeypatch)
    y, _ = network.apply(params, x)
    np.testing.assert_allclose(y, expected, rtol=1e-11, atol=1e-11)
    assert not np.allclose(y, network.apply(params, x, train=True)[0]) or not any("running" in name for name in flat)


@pytest.mark.parametrize("config", CASES.values(), ids=CASES.keys())
def test_single_precision_stays_single(config):
    network = make_network(TINY | config)
    params = network.init(0)
    x = np.random.default_rng(4).random((2, 3, 5, 4), dtype=np.float32)
    y, back = network.apply(params, x, train=True)
    dx, grads = back(np.ones_like(y))
    assert {a.dtype for a in (y, dx, network.apply(params, x)[0])} == {np.dtype(np.float32)}
    assert {name for name, g in leaves(grads) if g.dtype != np.float32} == set()
    assert {name for name, a in leaves(params) if a.dtype != np.float32} == set()


@pytest.mark.parametrize("config", CASES.values(), ids=CASES.keys())
def test_no_gradient_of_the_picture_leaves_the_others_alone(config):
    network = make_network(TINY | config)
    y, back = network.apply(network.init(0), np.random.default_rng(5).random((2, 3, 5, 4)), train=True)
    (dx, grads), (none, same) = back(np.cos(y)), back(np.cos(y), False)
    assert dx.size > 0 == none.size
    for (name, own), (other, again) in zip(leaves(grads), leaves(same), strict=True):
        assert name == other
        np.testing.assert_array_equal(own, again)
