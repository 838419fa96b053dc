"""Signs around a threshold for each channel against their readable reference, and that against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npbsrn.ops import sign
from npbsrn.ops.bits import Bits
from npbsrn.ops.norm_sign import STES
from npbsrn.ops.normal_form import binarize_terms
from npbsrn.ops.shift_sign import shifted_signs, shifted_signs_ref
from tests.gradient import check_gradient, directional_error
from tests.smooth import slope

shapes = st.tuples(st.integers(1, 5), st.sampled_from([16, 48, 64]), st.integers(1, 6), st.integers(1, 50))
windows = st.sampled_from([0.3, 1.0, 25.0])


def draw(shape, seed=0, dtype=np.float32):
    """What stands on a threshold, too, and the least numbers that do not."""
    rng = np.random.default_rng(seed)
    x, shift = rng.standard_normal(shape).astype(dtype), rng.standard_normal(shape[1]).astype(dtype)
    shift[::3] = 0
    x[..., ::3] = -shift[:, None, None]
    x[:, ::3, :, 1::4] = rng.choice(np.array([-1e-45, -0.0, 1e-45], dtype), x[:, ::3, :, 1::4].shape)
    return x, shift, rng.standard_normal(shape).astype(dtype)


@settings(max_examples=40, deadline=None)
@given(shapes, windows, st.sampled_from(STES), st.sampled_from([1.0, -1.0]), st.integers(0, 99))
def test_equals_its_twin(shape, window, ste, pad, seed):
    """Signs and cotangents of x to the bit, those of the shift but for the order of sums."""
    x, shift, dbits = draw(shape, seed)
    (bits, pull), (expected, pull_expected) = (
        of(x, shift, window, ste, pad) for of in (shifted_signs, shifted_signs_ref)
    )
    assert isinstance(bits, Bits)
    assert bits.pad == pad
    np.testing.assert_array_equal(bits.unpack(), expected)
    (dx, dshift), (dx_expected, dshift_expected) = pull(dbits), pull_expected(dbits)
    assert dx.dtype == dshift.dtype == np.float32
    np.testing.assert_array_equal(dx, dx_expected)
    np.testing.assert_allclose(dshift, dshift_expected, rtol=1e-4, atol=1e-4 * np.abs(dx).max(initial=0))


@settings(max_examples=20, deadline=None)
@given(shapes, windows, st.integers(0, 99))
def test_signs_are_those_of_inference(shape, window, seed):
    x, shift, _ = draw(shape, seed)
    bits, _ = shifted_signs(x, shift, window, "bireal", 1.0)
    (expected,) = binarize_terms([x], np.ones((1, 1, shape[1]), np.float32), shift[None] + np.float32(0))
    np.testing.assert_array_equal(bits.unpack(), expected)


@pytest.mark.parametrize("window", [0.5, 1.0, 4.0])
def test_the_gradient_passes_within_the_window(rng, window):
    """Of Bi-Real's stand-in, element by element, from its formula."""
    x, shift, dbits = draw((2, 3, 4, 5), 7, np.float64)
    dx, dshift = shifted_signs(2 * x, shift, window, "bireal", 1.0)[1](dbits)
    passed = 0
    for n, c, h, w in np.ndindex(*x.shape):
        z = (2 * x[n, c, h, w] + shift[c]) / window
        factor = 2 - 2 * abs(z) if abs(z) < 1 else 0.0
        passed += factor > 0
        assert dx[n, c, h, w] == pytest.approx(dbits[n, c, h, w] * factor / window, rel=1e-12, abs=1e-15)
    assert 0 < passed < x.size
    np.testing.assert_allclose(dshift, dx.sum((0, 2, 3)), rtol=1e-12)


def smooth(monkeypatch, window):
    """tanh in the place of the sign, as wide as the window."""
    monkeypatch.setitem(sign.STES, "clip", (lambda z: np.tanh(z / window), lambda z, dy: dy * slope(z)))


def function(window, steepness=1.0):
    def own(x, shift):
        y, pull = shifted_signs(x, shift, window, "clip", 1.0)
        return y, lambda dy: tuple(steepness * d for d in pull(dy))

    return own


@pytest.mark.parametrize("window", [0.5, 1.0, 4.0])
def test_gradient(monkeypatch, rng, window):
    smooth(monkeypatch, window)
    check_gradient(function(window), rng.standard_normal((2, 3, 4, 5)), rng.standard_normal(3))


def test_a_forgotten_width_is_caught(monkeypatch, rng):
    """Planted bug: the cotangent is not divided by the window."""
    smooth(monkeypatch, 4.0)
    assert directional_error(function(4.0, 4.0), rng.standard_normal((2, 3, 4, 5)), rng.standard_normal(3)) > 1e-2


def test_threads_change_no_byte(monkeypatch):
    x, shift, dbits = draw((5, 48, 6, 41), 3)
    results = []
    for threads in (1, 2, 3, 8):
        monkeypatch.setenv("NPBSRN_NUM_THREADS", str(threads))
        bits, pull = shifted_signs(x, shift, 2.0, "bireal", 1.0)
        results.append([part.tobytes() for part in (bits.words, *pull(dbits))])
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("change", [{"channels": 20}, {"dtype": np.float64}, {"pad": 0.0}], ids=str)
def test_the_rest_takes_the_twin(change):
    case = {"channels": 16, "dtype": np.float32, "pad": 1.0} | change
    x, shift, _ = draw((2, case["channels"], 3, 4), 1, case["dtype"])
    bits, _ = shifted_signs(x, shift, 1.0, "bireal", case["pad"])
    assert not isinstance(bits, Bits)
    assert bits.dtype == case["dtype"]
