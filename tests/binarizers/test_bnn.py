"""BNN against the paper's equations in plain loops."""

import numpy as np
import pytest

from npbsrn.binarizers import describe, make_binarizer
from npbsrn.binarizers.bnn import Bnn
from npbsrn.errors import UsageError
from npbsrn.networks.base import make_network
from npbsrn.ops.norm import MOMENTUM
from npbsrn.training.config import TrainConfig
from npbsrn.training.step import first_state, train_step
from tests.binarizers.twins import (
    apart,
    convolve,
    filter_gradient,
    input_gradient,
    normalized,
    one_conv,
    pulled,
    signs,
)
from tests.gradient import check_gradient, directional_error, learned, of_parameters
from tests.smooth import smooth_scheme


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("size", [1, 3])
def test_a_convolution_of_signs(rng, size, train):
    """Whole numbers: equal, not close."""
    layer, params, own = one_conv("bnn", rng, size)
    x = rng.standard_normal((2, 4, 5, 6))
    expected = convolve(signs(normalized(own["binarizer"], x, train)), signs(own["weight"]), pad=1)
    np.testing.assert_array_equal(layer.apply(params, x, train)[0], expected)


def test_training_moves_the_running_statistics(rng):
    layer, params, own = one_conv("bnn", rng)
    before = {name: a.copy() for name, a in own["binarizer"].items()}
    x = rng.standard_normal((2, 4, 5, 6))
    layer.apply(params, x, train=False)
    np.testing.assert_array_equal(own["binarizer"]["running_mean"], before["running_mean"])
    layer.apply(params, x, train=True)
    for name, batch in (("running_mean", x.mean((0, 2, 3))), ("running_variance", x.var((0, 2, 3), ddof=1))):
        expected = (1 - MOMENTUM) * before[name] + MOMENTUM * batch
        np.testing.assert_allclose(own["binarizer"][name], expected, rtol=1e-12)


@pytest.fixture
def planted(monkeypatch):
    """Planted bug: the filters' gradient passes beyond +-1, too."""
    right = Bnn.filters

    def everywhere(*args):
        return right(*args)[0], lambda dsigns, dscales: ([dsigns[0]], {})

    monkeypatch.setattr(Bnn, "filters", everywhere)


def smooth_case(rng):
    layer, params, _ = one_conv("bnn", rng)
    return of_parameters(layer, params), rng.standard_normal((2, 4, 3, 5)), *learned(params).values()


def test_gradient(monkeypatch, rng):
    smooth_scheme(monkeypatch, "bnn")
    check_gradient(*smooth_case(rng))


def test_a_gradient_that_passes_everywhere_is_caught(monkeypatch, rng, planted):
    smooth_scheme(monkeypatch, "bnn")
    assert directional_error(*smooth_case(rng)) > 1e-2


def windows_apart(rng):
    """How far gradients are from those that pass where the magnitude is at most 1."""
    layer, params, own = one_conv("bnn", rng)
    own["weight"] *= 2
    x, dy = rng.standard_normal((2, 2, 4, 5, 6))
    z = normalized(own["binarizer"], x, train=True)
    grads = pulled(layer, params, x, dy)
    inside = abs(own["weight"]) <= 1
    assert 0 < inside.sum() < inside.size
    da = input_gradient(dy, signs(own["weight"]))
    return (
        apart(grads["weight"], filter_gradient(signs(z), dy, 3, pad=1) * inside),
        apart(grads["binarizer.shift"], np.sum(da * (abs(z) <= 1), axis=(0, 2, 3))),
    )


def test_both_gradients_pass_within_one(rng):
    assert max(windows_apart(rng)) < 1e-12


def test_a_window_that_is_forgotten_is_caught(rng, planted):
    assert windows_apart(rng)[0] > 1e-2


def test_a_training_step_keeps_latent_filters_within_one():
    x = np.random.default_rng(0).random((2, 3, 6, 6), dtype=np.float32)
    y = np.random.default_rng(1).random((2, 3, 12, 12), dtype=np.float32)
    for scheme, bound in (("bnn", 1.0), ("bam", None)):
        network = make_network({"scale": 2, "blocks": 1, "width": 4, "binarizer": scheme})
        config = TrainConfig(network=network.config, rate=3.0, warmup=0)
        after, _ = train_step(first_state(network, 0), network, config, x, y)
        latent = [after.params[name] for name in network.latent()]
        largest = max(float(abs(w).max()) for w in latent)
        assert largest == bound if bound else largest > 1
        assert abs(after.params["head.weight"]).max() > 1


def test_each_filter_is_a_bit_and_has_no_option():
    scheme = make_binarizer("bnn")
    assert (scheme.binary, scheme.float_activations, scheme.bound, scheme.pad) == (True, False, 1.0, 1.0)
    assert scheme.remembers == (False, False)
    assert describe(scheme) == {"name": "bnn"}
    with pytest.raises(UsageError, match="the binarizer bnn has no option ste; it has none"):
        make_binarizer({"name": "bnn", "ste": "clip"})
