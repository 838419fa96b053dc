"""DoReFa-Net with 0 and 1 as the paper has them, in plain loops; the package computes with signs."""

import numpy as np
import pytest

from npbsrn.binarizers import describe, make_binarizer
from npbsrn.binarizers.dorefa import DoReFa
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


def filters(w):
    """Eq. 7: one magnitude for the whole layer."""
    return signs(w) * sum(abs(value) for value in w.ravel()) / w.size


def zeros_and_ones(x):
    """Eq. 11 with one bit; a half is rounded up."""
    return np.where(np.clip(x, 0, 1) >= 0.5, 1.0, 0.0)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("size", [1, 3])
def test_a_convolution_of_zeros_and_ones_padded_with_zeros(rng, size, train):
    layer, params, own = one_conv("dorefa", rng, size)
    x = rng.standard_normal((2, 4, 5, 6))
    activations = zeros_and_ones(normalized(own["binarizer"], x, train))
    assert 0.1 < activations.mean() < 0.9
    expected = convolve(activations, filters(own["weight"]), pad=0)
    np.testing.assert_allclose(layer.apply(params, x, train)[0], expected, rtol=1e-12, atol=1e-12)


def test_a_half_is_rounded_up():
    scheme = make_binarizer("dorefa")
    params = scheme.init(1, 1, 1, np.float64) | {"gain": np.zeros(1)}
    np.testing.assert_array_equal(params["shift"], 0.5)
    (bits, coefs, base), _ = scheme.activations(params, [np.ones((1, 1, 2, 2))])
    np.testing.assert_array_equal(base + coefs[0] * bits[0], 1)
    thresholds = scheme.lower(params, 1)
    np.testing.assert_array_equal(thresholds.shift, 0)
    assert not np.signbit(thresholds.shift).any()


def smooth_case(rng):
    layer, params, _ = one_conv("dorefa", rng)
    return of_parameters(layer, params), rng.standard_normal((2, 4, 3, 5)), *learned(params).values()


def test_gradient(monkeypatch, rng):
    smooth_scheme(monkeypatch, "dorefa")
    check_gradient(*smooth_case(rng))


@pytest.fixture
def planted(monkeypatch):
    """Planted bug: the filters' gradient keeps the factor E|W|."""
    right = DoReFa.filters

    def scaled(*args):
        return right(*args)[0], lambda dsigns, dscales: ([dsigns[0]], {})

    monkeypatch.setattr(DoReFa, "filters", scaled)


def test_a_scaled_gradient_is_caught(monkeypatch, rng, planted):
    smooth_scheme(monkeypatch, "dorefa")
    assert directional_error(*smooth_case(rng)) > 1e-2


def gradients_apart(rng):
    """How far gradients are from the paper's: of filters unchanged, of activations where 0 <= x <= 1."""
    layer, params, own = one_conv("dorefa", rng)
    x, dy = rng.standard_normal((2, 2, 4, 5, 6))
    z = normalized(own["binarizer"], x, train=True)
    grads = pulled(layer, params, x, dy)
    da = input_gradient(dy, filters(own["weight"]))
    return (
        apart(grads["weight"], filter_gradient(zeros_and_ones(z), dy, 3, pad=0)),
        apart(grads["binarizer.shift"], np.sum(da * ((z >= 0) & (z <= 1)), axis=(0, 2, 3))),
    )


def test_gradients_are_the_papers(rng):
    assert max(gradients_apart(rng)) < 1e-12


def test_gradients_of_another_size_are_caught(rng, planted):
    assert gradients_apart(rng)[0] > 1e-2


def test_filters_of_zeros_get_no_gradient():
    """Nothing would tell it from the signs' own."""
    scheme = make_binarizer("dorefa")
    own, pull = scheme.filters({}, [np.zeros((2, 2, 1, 1))])
    np.testing.assert_array_equal(own.scales, 0)
    np.testing.assert_array_equal(pull([np.ones((2, 2, 1, 1))], np.zeros((1, 2)))[0][0], 0)


def test_each_filter_is_a_bit_and_so_is_the_padding():
    scheme = make_binarizer("dorefa")
    assert (scheme.binary, scheme.float_activations, scheme.bound, scheme.pad) == (True, False, None, -1.0)
    assert scheme.remembers == (False, False)
    assert describe(scheme) == {"name": "dorefa"}
