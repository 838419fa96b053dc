"""BBCU's binarization against the paper's equations and its public code's gradients, in plain loops."""

import numpy as np
import pytest

from npbsrn.binarizers import describe, make_binarizer
from npbsrn.binarizers.bbcu import Bbcu
from npbsrn.errors import UsageError
from tests.binarizers.twins import apart, convolve, filter_gradient, input_gradient, one_conv, pulled, signs
from tests.gradient import check_gradient, directional_error, learned, of_parameters
from tests.smooth import smooth_scheme


def filters(w):
    """One magnitude for each filter."""
    return np.stack([signs(own) * sum(abs(value) for value in own.ravel()) / own.size for own in w])


def shifted(own, x):
    """A + t."""
    return x + own["binarizer"]["shift"][:, None, None]


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("window", [1.0, 30.0])
def test_a_convolution_of_signs_with_a_scale_for_each_filter(rng, size, train, window):
    layer, params, own = one_conv({"name": "bbcu", "window": window}, rng, size)
    x = rng.standard_normal((2, 4, 5, 6))
    x[:, 0, :2] = -own["binarizer"]["shift"][0]  # on the threshold, which counts as +1
    expected = convolve(signs(shifted(own, x)), filters(own["weight"]), pad=1)
    np.testing.assert_allclose(layer.apply(params, x, train)[0], expected, rtol=1e-12, atol=1e-12)


def test_training_and_inference_are_one_function(rng):
    """In float32, to the bit: no statistics of a batch, and one rounding in front of the sign."""
    layer, params, _ = one_conv("bbcu", rng, channels=16)
    single = {"1": {"conv1": {}}}
    own = params["1"]["conv1"]
    single["1"]["conv1"] = {
        "weight": own["weight"].astype(np.float32),
        "binarizer": {"shift": own["binarizer"]["shift"].astype(np.float32)},
    }
    x = rng.standard_normal((2, 16, 5, 37)).astype(np.float32)
    np.testing.assert_array_equal(layer.apply(single, x, True)[0], layer.apply(single, x, False)[0])


def smooth_case(rng):
    layer, params, _ = one_conv("bbcu", rng)
    return of_parameters(layer, params), rng.standard_normal((2, 4, 3, 5)), *learned(params).values()


def test_gradient(monkeypatch, rng):
    smooth_scheme(monkeypatch, "bbcu")
    check_gradient(*smooth_case(rng))


def replaced_filters(monkeypatch, pull):
    """Another pullback of the filters, which is given what goes in and the right filters, too."""
    right = Bbcu.filters

    def wrong(self, params, terms):
        own, _ = right(self, params, terms)
        return own, lambda dsigns, dscales: ([pull(terms[-1], own, dsigns[0], dscales[0])], {})

    monkeypatch.setattr(Bbcu, "filters", wrong)


PLANTED = {
    "the magnitude stays a factor": lambda w, own, dsigns, dscale: dsigns * (abs(w) <= 1),
    "the magnitude has a gradient": lambda w, own, dsigns, dscale: (
        dsigns / own.scales[0][:, None, None, None] * (abs(w) <= 1)
        + np.sign(w) * dscale[:, None, None, None] / w[0].size
    ),
    "there is no clip": lambda w, own, dsigns, dscale: dsigns / own.scales[0][:, None, None, None],
}


@pytest.mark.parametrize("wrong", PLANTED.values(), ids=PLANTED.keys())
def test_another_gradient_of_filters_is_caught(monkeypatch, rng, wrong):
    replaced_filters(monkeypatch, wrong)
    assert gradients_apart(rng)[0] > 1e-2
    smooth_scheme(monkeypatch, "bbcu")
    assert directional_error(*smooth_case(rng)) > 1e-3


def test_a_threshold_of_the_other_sign_is_caught(monkeypatch, rng):
    right = Bbcu.activations

    def wrong(*args):
        own, pull = right(*args)

        def pull_wrong(*cotangents):
            dterms, grads = pull(*cotangents)
            return dterms, {"shift": -grads["shift"]}

        return own, pull_wrong

    monkeypatch.setattr(Bbcu, "activations", wrong)
    assert gradients_apart(rng)[1] > 1e-2
    smooth_scheme(monkeypatch, "bbcu")
    assert directional_error(*smooth_case(rng)) > 1e-3


def gradients_apart(rng, window=1.0):
    """How far gradients are from the public code's: of filters, of thresholds, of the input."""
    layer, params, own = one_conv({"name": "bbcu", "window": window}, rng)
    own["weight"] *= 2
    inside = abs(own["weight"]) <= 1
    assert 0 < inside.sum() < inside.size
    x, dy = rng.standard_normal((2, 2, 4, 5, 6))
    z = shifted(own, x)
    grads = pulled(layer, params, x, dy)
    passed = np.maximum(2 - 2 * abs(z / window), 0) / window
    dx = input_gradient(dy, filters(own["weight"])) * passed
    return (
        apart(grads["weight"], filter_gradient(signs(z), dy, 3, pad=1) * inside),
        apart(grads["binarizer.shift"], dx.sum((0, 2, 3))),
        apart(layer.apply(params, x, train=True)[1](dy)[0], dx),
    )


@pytest.mark.parametrize("window", [0.5, 1.0, 2.5])
def test_gradients_are_the_public_codes(rng, window):
    assert max(gradients_apart(rng, window)) < 1e-12


def test_filters_of_zeros_get_no_gradient():
    """Nothing would tell it from the signs' own."""
    own, pull = make_binarizer("bbcu").filters({}, [np.zeros((2, 2, 1, 1))])
    np.testing.assert_array_equal(own.scales, 0)
    np.testing.assert_array_equal(pull([np.ones((2, 2, 1, 1))], np.zeros((1, 2)))[0][0], 0)


def test_a_threshold_of_minus_zero_is_none():
    thresholds = make_binarizer("bbcu").lower({"shift": np.full(3, -0.0, np.float32)}, 1)
    assert not np.signbit(thresholds.shift).any()


def test_each_filter_is_a_bit_and_nothing_accumulates():
    scheme = make_binarizer({"name": "bbcu", "window": 30})
    assert (scheme.binary, scheme.float_activations, scheme.bound, scheme.pad) == (True, False, None, 1.0)
    assert (scheme.remembers, scheme.scaled, scheme.statistic) == ((False, False), True, "none")
    assert describe(make_binarizer("bbcu")) == {"name": "bbcu", "activation_ste": "bireal", "window": 1.0}
    assert make_binarizer(describe(scheme)) == scheme


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation_ste": "tanh"}, "the option activation_ste of bbcu cannot be 'tanh'; choose among identity, clip"),
        ({"window": 0}, "the option window of bbcu must be a number above 0, not 0"),
        ({"window": True}, "window of bbcu must be a number above 0, not True"),
        ({"window": float("inf")}, "window of bbcu must be a number above 0, not inf"),
        ({"window": "30"}, "window of bbcu must be a number above 0, not '30'"),
        ({"bases": 3}, "the binarizer bbcu has no option bases; it has activation_ste, window"),
    ],
)
def test_other_options_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        make_binarizer({"name": "bbcu", **options})
