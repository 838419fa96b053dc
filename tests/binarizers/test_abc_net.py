"""ABC-Net against the paper's equations in plain loops and NumPy's least squares."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from npbsrn.binarizers import describe, make_binarizer
from npbsrn.binarizers.abc_net import AbcNet, least_squares
from npbsrn.errors import UsageError
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
from tests.strategies import seeds


def bases_of(w, count):
    """Eq. 3 and 4."""
    centres = [-1 + 2 * m / (count - 1) for m in range(count)] if count > 1 else [0.0]
    return [signs(w - w.mean() + u * w.std()) for u in centres]


def fitted(w, count):
    """The filters' bases, and their coefficients by NumPy, eq. 5."""
    bases = bases_of(w, count)
    alpha, *_ = np.linalg.lstsq(np.stack([b.ravel() for b in bases], axis=1), w.ravel(), rcond=None)
    return bases, alpha


def activations_of(own, x, train):
    """Eq. 8 to 11: one picture of signs for each shift."""
    z = normalized(own["binarizer"], x, train)
    return z, [signs(np.clip(z + v, 0, 1) - 0.5) for v in own["binarizer"]["offset"]]


OPTIONS = [{"bases": m, "activation_bases": n} for m, n in ((3, 1), (1, 1), (2, 2), (5, 3))]


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_convolution_is_the_sum_of_those_of_all_bases(rng, options, train):
    layer, params, own = one_conv({"name": "abc", **options}, rng)
    x = rng.standard_normal((2, 4, 5, 6))
    bases, alpha = fitted(own["weight"], options["bases"])
    _, bits = activations_of(own, x, train)
    taken = sum(b * a for b, a in zip(own["binarizer"]["beta"], bits, strict=True))
    around = own["binarizer"]["beta"].sum()
    expected = sum(a * convolve(taken, b, pad=around) for a, b in zip(alpha, bases, strict=True))
    np.testing.assert_allclose(layer.apply(params, x, train)[0], expected, rtol=1e-10, atol=1e-10)


def smooth_case(rng, **options):
    layer, params, _ = one_conv({"name": "abc", **options}, rng)
    return of_parameters(layer, params), rng.standard_normal((2, 4, 3, 5)), *learned(params).values()


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_gradient(monkeypatch, rng, options):
    smooth_scheme(monkeypatch, "abc")
    check_gradient(*smooth_case(rng, **options))


@pytest.fixture
def planted(monkeypatch):
    """Planted bug: alpha is a factor of the filters' gradient twice."""
    right = AbcNet.filters

    def twice(*args):
        own, _ = right(*args)
        return own, lambda dsigns, dscales: ([sum(a[0] * d for a, d in zip(own.scales, dsigns, strict=True))], {})

    monkeypatch.setattr(AbcNet, "filters", twice)


def test_a_factor_too_many_is_caught(monkeypatch, rng, planted):
    smooth_scheme(monkeypatch, "abc")
    assert directional_error(*smooth_case(rng)) > 1e-2


def gradients_apart(rng, **options):
    """How far gradients are from the paper's, alpha not derived, eq. 6 and 10."""
    layer, params, own = one_conv({"name": "abc", **options}, rng)
    x, dy = rng.standard_normal((2, 2, 4, 5, 6))
    z, bits = activations_of(own, x, train=True)
    beta, offset = own["binarizer"]["beta"], own["binarizer"]["offset"]
    bases, alpha = fitted(own["weight"], options.get("bases", 3))
    whole = sum(a * b for a, b in zip(alpha, bases, strict=True))
    taken = sum(b * a for b, a in zip(beta, bits, strict=True))
    windows = [(z + v >= 0) & (z + v <= 1) for v in offset]
    das = [b * input_gradient(dy, whole) * window for b, window in zip(beta, windows, strict=True)]
    grads = pulled(layer, params, x, dy)
    return (
        apart(grads["weight"], alpha.sum() * filter_gradient(taken, dy, 3, pad=beta.sum())),
        apart(grads["binarizer.beta"], np.array([np.sum(convolve(b, whole, pad=1) * dy) for b in bits])),
        apart(grads["binarizer.offset"], np.array([np.sum(da) for da in das])),
        apart(grads["binarizer.shift"], np.sum(sum(das), axis=(0, 2, 3))),
    )


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_gradients_are_the_papers(rng, options):
    assert max(gradients_apart(rng, **options)) < 1e-10


def test_gradients_of_another_size_are_caught(rng, planted):
    assert gradients_apart(rng)[0] > 1e-2


# --- least squares ---


@given(seeds, st.integers(1, 5), st.sampled_from([(1, 1, 1), (1, 2, 1), (2, 1, 1), (2, 3, 1), (3, 2, 3), (4, 4, 3)]))
def test_least_squares_are_numpys(seed, count, shape):
    """Of few filters some bases depend on each other: then what the coefficients give is the same."""
    w = np.random.default_rng(seed).standard_normal((*shape, shape[-1]))
    bases, alpha = fitted(w, count)
    own = least_squares(bases, w)
    matrix = np.stack([b.ravel() for b in bases])
    np.testing.assert_allclose(own @ matrix, alpha @ matrix, rtol=1e-9, atol=1e-9)
    if np.linalg.matrix_rank(matrix) == count:
        np.testing.assert_allclose(own, alpha, rtol=1e-9, atol=1e-9)


def test_a_base_that_others_give_counts_for_nothing(rng):
    w = rng.standard_normal((4, 4, 3, 3))
    first, second = bases_of(w, 2)
    alpha = least_squares([first, second, -first, second, (first + second) / 2], w)
    np.testing.assert_allclose(alpha, [*least_squares([first, second], w), 0, 0, 0])
    np.testing.assert_array_equal(least_squares([first] * 3, np.full_like(w, 0.25))[1:], 0)


@pytest.mark.parametrize("value", [0.25, -0.25, 0.0])
def test_filters_without_a_spread(value):
    """All signs are alike, whatever their centre: one base is left."""
    own, _ = make_binarizer("abc").filters({}, [np.full((2, 2, 1, 1), value)])
    assert own.scales.shape == (3, 2)
    whole = sum(scale[:, None, None, None] * s for scale, s in zip(own.scales, own.signs, strict=True))
    np.testing.assert_allclose(whole, value, atol=1e-12)


def test_the_number_of_threads_changes_no_bit(rng, monkeypatch):
    w = rng.standard_normal((64, 64, 3, 3)).astype(np.float32)
    seen = set()
    for threads in (1, 2, 3):
        monkeypatch.setenv("NPBSRN_NUM_THREADS", str(threads))
        with threadpool_limits(threads, "blas"):
            own, _ = make_binarizer("abc").filters({}, [w])
        assert own.scales.dtype == np.float32
        seen.add(own.scales.tobytes() + b"".join(s.tobytes() for s in own.signs))
    assert len(seen) == 1


def test_filters_are_bits_of_several_bases():
    scheme = make_binarizer("abc")
    assert (scheme.binary, scheme.float_activations, scheme.bound, scheme.pad) == (True, False, None, 1.0)
    assert scheme.remembers == (False, False)
    assert describe(scheme) == {"name": "abc", "bases": 3, "activation_bases": 1}
    w = np.random.default_rng(0).standard_normal((2, 2, 3, 3))
    for s in scheme.filters({}, [w])[0].signs:
        assert np.all(abs(s) == 1)


@pytest.mark.parametrize("value", [0, 6, 2.0, "3", True])
@pytest.mark.parametrize("option", ["bases", "activation_bases"])
def test_other_numbers_of_bases_are_refused(option, value):
    with pytest.raises(UsageError, match=f"option {option} of abc cannot be {value!r}; choose among 1, 2, 3, 4, 5"):
        make_binarizer({"name": "abc", option: value})
