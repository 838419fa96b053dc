from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from npbsrn.ops import pointwise
from npbsrn.ops.pointwise import (
    add,
    mean_magnitude,
    multiply_add,
    prelu,
    prelu_ref,
    scale,
    scale_channels,
    shifted_prelu,
    shifted_prelu_ref,
    weighted_sum,
)
from tests.gradient import check_gradient, directional_error
from tests.rounding import awkward_terms, exactly, fused_exactly
from tests.strategies import drawn, integer_arrays, map_shapes, sides


def test_gradients(rng):
    x = rng.standard_normal((2, 3, 4, 5))
    check_gradient(prelu, x, rng.standard_normal(3))
    check_gradient(shifted_prelu, x, rng.standard_normal(3), rng.standard_normal(3))
    check_gradient(scale_channels, x, rng.standard_normal(3))
    check_gradient(mean_magnitude, x)


@given(integer_arrays(2, 3, sides, sides), integer_arrays(3))
def test_prelu_element_by_element(x, slope):
    y, pull = prelu(x, slope)
    dx, _ = pull(np.ones_like(x))
    for index in np.ndindex(*x.shape):
        factor = 1 if x[index] > 0 else slope[index[1]]
        assert y[index] == x[index] * factor
        assert dx[index] == factor


@given(integer_arrays(2, 3, sides, sides), integer_arrays(3), integer_arrays(3))
def test_shifted_prelu_element_by_element(x, slope, shift):
    y, pull = shifted_prelu(x, slope, shift)
    dx, dslope, dshift = pull(np.ones_like(x))
    expected = np.zeros((2, 3))
    for index in np.ndindex(*x.shape):
        c = index[1]
        z = x[index] + shift[c]
        factor = 1 if z > 0 else slope[c]
        assert y[index] == z * factor
        assert dx[index] == factor
        expected[:, c] += min(z, 0), factor
    np.testing.assert_array_equal([dslope, dshift], expected)


@pytest.mark.parametrize("wrong", [lambda dx, da, db: (dx, da, -db), lambda dx, da, db: (dx, db, db)])
def test_a_wrong_gradient_of_a_shift_or_a_slope_is_caught(rng, wrong):
    def planted(*args):
        y, pull = shifted_prelu(*args)
        return y, lambda dy: wrong(*pull(dy))

    x = rng.standard_normal((2, 3, 4, 5))
    assert directional_error(planted, x, rng.standard_normal(3), rng.standard_normal(3)) > 1e-2


@pytest.mark.parametrize("count", [1, 2, 3])
def test_weighted_sum(rng, count):
    terms = [rng.standard_normal((2, 3)) for _ in range(count)]
    weights = rng.standard_normal(count)
    y, _ = weighted_sum(terms, weights)
    np.testing.assert_allclose(y, sum(w * t for w, t in zip(weights, terms, strict=True)))

    def flat(weights, *terms):
        y, pull = weighted_sum(terms, weights)
        return y, lambda dy: (pull(dy)[1], *pull(dy)[0])

    check_gradient(flat, weights, *terms)


def check_rounded_once(x, y, z):
    """But where a sum lies as near to the middle of two float32 as one part in 2**29 it may be either of them."""
    with np.errstate(over="ignore"):
        result = multiply_add(x, y, z)
    expected = fused_exactly(x, y, z)
    assert result.dtype == np.float32
    for n in np.flatnonzero(result != expected):
        low, high = sorted(Fraction(float(value)) for value in (result[n], expected[n]))
        assert np.nextafter(result[n], expected[n]) == expected[n]
        assert abs(exactly(x[n], y[n], z[n]) - (low + high) / 2) <= (high - low) / 2**29
    return result, expected


vectors = hnp.arrays(np.float32, 8, elements=st.floats(-(2.0**50), 2.0**50, width=32))


@given(vectors, vectors, vectors)
def test_multiply_add_of_any_numbers(x, factor, y):
    check_rounded_once(x, factor, y)


def test_multiply_add_of_awkward_numbers(rng):
    terms = awkward_terms(rng, 2048)
    x, factor, y = terms
    result, expected = check_rounded_once(*terms)
    assert np.mean(result == expected) > 0.5
    assert np.mean(x * factor + y == expected) < np.mean(result == expected)  # which is rounded twice


def test_multiply_add_takes_arrays_that_broadcast_and_scalars(rng):
    x, y = rng.standard_normal((2, 2, 3, 4, 5)).astype(np.float32)
    factor = rng.standard_normal((3, 1, 1)).astype(np.float32)
    for other in (factor, factor[0, 0, 0], 0.03):  # a Python number becomes a float32
        every = np.broadcast_to(np.asarray(other, np.float32), x.shape)
        expected = fused_exactly(x.ravel(), every.ravel(), y.ravel()).reshape(x.shape)
        np.testing.assert_array_equal(multiply_add(x, other, y), expected)
    short = multiply_add(x, factor, y[:1, :, :1])
    np.testing.assert_array_equal(short, multiply_add(x, factor, np.broadcast_to(y[:1, :, :1], x.shape).copy()))


def test_multiply_add_of_float64_is_what_it_says(rng):
    """Rounded twice: only float32 decides signs."""
    x, y = rng.standard_normal((2, 3, 4))
    result = multiply_add(x, 0.03, y)
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, x * 0.03 + y)


@settings(max_examples=25, deadline=None)
@given(map_shapes)
def test_compiled_prelu(shape):
    x, slope, dy = drawn(shape), drawn(shape[1], 1), drawn(shape, 2)
    x[..., ::3] = 0
    (y, pull), (expected, pull_expected) = prelu(x, slope), prelu_ref(x, slope)
    np.testing.assert_array_equal(y, expected)
    (dx, dslope), (dx_expected, dslope_expected) = pull(dy), pull_expected(dy)
    np.testing.assert_array_equal(dx, dx_expected)
    np.testing.assert_allclose(dslope, dslope_expected, rtol=1e-4, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(map_shapes)
def test_compiled_shifted_prelu(shape):
    x, slope, shift, dy = drawn(shape), drawn(shape[1], 1), drawn(shape[1], 2), drawn(shape, 3)
    x[..., ::3] = -shift[:, None, None]
    (y, pull), (expected, pull_expected) = (of(x, slope, shift) for of in (shifted_prelu, shifted_prelu_ref))
    np.testing.assert_array_equal(y, expected)
    (dx, *sums), (dx_expected, *sums_expected) = pull(dy), pull_expected(dy)
    np.testing.assert_array_equal(dx, dx_expected)
    np.testing.assert_allclose(sums, sums_expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("slope", [-0.5, 0.0, 0.25])
def test_a_prelu_without_a_shift_keeps_zeros_signs(slope):
    x = np.array([-0.0, 0.0, -1e-45], np.float32).reshape(1, 1, 1, 3)
    y, expected = (of(x, np.full(1, slope, np.float32))[0] for of in (prelu, prelu_ref))
    assert y.tobytes() == expected.tobytes()


@settings(max_examples=25, deadline=None)
@given(map_shapes)
def test_compiled_sums(shape):
    """Also those of arrays that do not lie as the kernels want them."""
    x, y = drawn(shape), drawn(shape[::-1], 1).transpose()
    for few in (0, x.size + 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pointwise, "FEW", few)
            np.testing.assert_array_equal(add(x, y), x + y)
    np.testing.assert_array_equal(scale(x, 0.03), x * np.float32(0.03))
    exact = x.astype(np.longdouble) * np.longdouble(np.float32(0.03)) + y
    np.testing.assert_array_equal(multiply_add(x, 0.03, y), exact.astype(np.float32))


def test_threads_change_no_byte(monkeypatch):
    monkeypatch.setattr(pointwise, "FEW", 0)
    x, slope, dy = drawn((5, 6, 7, 9)), drawn(6, 1), drawn((5, 6, 7, 9), 2)
    results = []
    for threads in (1, 2, 3, 8):
        monkeypatch.setenv("NPBSRN_NUM_THREADS", str(threads))
        y, pull = prelu(x, slope)
        shifted, pull_shifted = shifted_prelu(x, slope, slope)
        parts = y, *pull(dy), shifted, *pull_shifted(dy), add(x, dy), multiply_add(x, 0.5, dy)
        results.append([part.tobytes() for part in parts])
    assert all(result == results[0] for result in results)
