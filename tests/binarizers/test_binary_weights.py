"""Binary filters with float activations, in plain loops."""

import numpy as np
import pytest

from npbsrn.binarizers import describe, make_binarizer
from npbsrn.binarizers.binary_weights import BinaryWeights
from npbsrn.errors import UsageError
from npbsrn.layers.binary import BinaryConv
from tests.binarizers.twins import apart, convolve, filter_gradient, input_gradient, one_conv, pulled, signs
from tests.gradient import check_gradient, directional_error, learned, of_parameters
from tests.smooth import smooth_scheme

METHODS = ["bam", "gain"]


def standardized(w):
    """Each filter to a mean of 0 and a variance of 1."""
    return np.stack([(own - own.mean()) / np.sqrt(own.var() + 1e-5) for own in w])


def filters_of(own, method):
    if method == "gain":
        return signs(own["weight"]) * own["binarizer"]["gain"][:, None, None, None]
    magnitude = np.array([abs(w).mean() for w in own["weight"]])
    return signs(standardized(own["binarizer"]["alpha"] * own["weight"])) * magnitude[:, None, None, None]


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_a_convolution_of_floats_padded_with_zeros(rng, method, train):
    layer, params, own = one_conv({"name": "bw", "method": method}, rng)
    x = rng.standard_normal((2, 4, 5, 6))
    expected = convolve(x, filters_of(own, method), pad=0)
    np.testing.assert_allclose(layer.apply(params, x, train)[0], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("method", "count"), [("bam", 2), ("gain", 1)])
def test_filters_accumulate_by_alpha_alone(rng, method, count):
    scheme = make_binarizer({"name": "bw", "method": method})
    earlier, w = rng.standard_normal((2, 4, 4, 3, 3))
    conv = BinaryConv(4, 3, scheme, filters=2)
    params = conv.init(rng, np.float64) | {"weight": w}
    if method == "bam":
        params["binarizer"]["alpha"] = np.array([0.7, -0.4])
        total = standardized(0.7 * earlier - 0.4 * w)
    else:
        total = w
    own, kept, _ = conv.binarized_filters(params, (earlier,) if scheme.remembers[1] else ())
    np.testing.assert_array_equal(own.signs[0], signs(total))
    assert len(kept) == (count if scheme.remembers[1] else 0)
    assert not scheme.remembers[0]


def smooth_case(rng, method):
    layer, params, _ = one_conv({"name": "bw", "method": method}, rng)
    return of_parameters(layer, params), rng.standard_normal((2, 4, 3, 5)), *learned(params).values()


@pytest.mark.parametrize("method", METHODS)
def test_gradient(monkeypatch, rng, method):
    smooth_scheme(monkeypatch, "bw")
    check_gradient(*smooth_case(rng, method))


@pytest.mark.parametrize("method", METHODS)
def test_a_scale_without_a_gradient_is_caught(monkeypatch, rng, method):
    """Planted bug: nothing comes back to E|W|, or to the gains."""
    smooth_scheme(monkeypatch, "bw")
    right = BinaryWeights.filters

    def wrong(scheme, params, terms):
        own, pull = right(scheme, params, terms)
        return own, lambda dsigns, dscales: pull(dsigns, 0 * dscales)

    monkeypatch.setattr(BinaryWeights, "filters", wrong)
    assert directional_error(*smooth_case(rng, method)) > 1e-2


def test_the_gradient_of_gained_signs_passes_everywhere(rng):
    """The stand-in of the sign is 1; g is a factor of what comes to the filters, and gets the sum of the signs'."""
    layer, params, own = one_conv({"name": "bw", "method": "gain"}, rng)
    own["weight"] *= 3
    x, dy = rng.standard_normal((2, 2, 4, 5, 6))
    _, back = layer.apply(params, x, train=True)
    dfilters, gain = filter_gradient(x, dy, 3, pad=0), own["binarizer"]["gain"]
    grads = pulled(layer, params, x, dy)
    assert apart(grads["weight"], dfilters * gain[:, None, None, None]) < 1e-12
    assert apart(grads["binarizer.gain"], np.sum(dfilters * signs(own["weight"]), axis=(1, 2, 3))) < 1e-12
    assert apart(back(dy)[0], input_gradient(dy, filters_of(own, "gain"))) < 1e-12


def test_first_gains_are_the_mean_magnitude_of_first_filters(rng):
    params = BinaryConv(64, 3, make_binarizer({"name": "bw", "method": "gain"})).init(rng, np.float32)
    np.testing.assert_allclose(params["binarizer"]["gain"], abs(params["weight"]).mean((1, 2, 3)), rtol=1e-6)


def test_filters_are_bits_and_activations_none():
    scheme = make_binarizer("bw")
    assert (scheme.binary, scheme.float_activations, scheme.bound, scheme.pad) == (True, True, None, 0.0)
    assert describe(scheme) == {"name": "bw", "method": "bam", "filter_ste": "identity"}
    with pytest.raises(UsageError, match="method of bw cannot be 'xnor'; choose among bam, gain"):
        make_binarizer({"name": "bw", "method": "xnor"})
