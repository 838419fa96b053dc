"""Each vector operation against NumPy's, on 16 lanes."""

import numpy as np
import pytest
from numba import njit

from npbsrn.kernels.memory import load, store
from npbsrn.kernels.simd import magnitude, select, splat, to_float, total

A = np.linspace(-3, 4, 16).astype(np.float32)
B = np.linspace(2, -2, 16).astype(np.float32)
U = np.arange(100, 6500, 400).astype(np.uint16)
V = np.arange(65535, 63000, -160)[:16].astype(np.uint16)


@njit
def floats(a, b, out):
    x, y = load(a, 0), load(b, 0)
    store(out, 0, x + y)
    store(out, 16, x - y)
    store(out, 32, x * y)
    store(out, 48, -x)
    store(out, 64, magnitude(x))
    store(out, 80, select(x < y, x, y))
    store(out, 96, select(x >= np.float32(0), splat(np.float32(1)), splat(np.float32(-1))))
    store(out, 112, np.float32(2) * x + np.float32(1))
    return total(x)


def test_floats():
    out = np.empty(128, np.float32)
    whole = floats(A, B, out)
    expected = [A + B, A - B, A * B, -A, abs(A), np.where(A < B, A, B), np.where(A >= 0, 1, -1), 2 * A + 1]
    np.testing.assert_allclose(out.reshape(8, 16), np.stack(expected), rtol=1e-6)
    assert whole == pytest.approx(A.sum(), rel=1e-6)


@njit
def wholes(u, v, out, low, real):
    x, y, three = load(u, 0), load(v, 0), np.uint16(3)
    store(out, 0, x + y)
    store(out, 16, x - y)
    store(out, 32, x & y)
    store(out, 48, x | y)
    store(out, 64, x ^ y)
    store(out, 80, x << three)
    store(out, 96, y >> three)
    store(low, 0, x)
    store(real, 0, to_float(y))


def test_whole_numbers():
    out, low, real = np.empty(112, np.uint16), np.empty(16, np.uint8), np.empty(16, np.float32)
    wholes(U, V, out, low, real)
    expected = [U + V, U - V, U & V, U | V, U ^ V, U << 3, V >> 3]
    np.testing.assert_array_equal(out.reshape(7, 16), np.stack(expected))
    np.testing.assert_array_equal(low, U.astype(np.uint8))
    np.testing.assert_array_equal(real, V.astype(np.float32))


@njit
def move(a, out, source, target):
    store(out, target, load(a, source))


@pytest.mark.parametrize(("source", "target"), [(0, 0), (1, 3), (7, 16)])
def test_places_are_elements_and_need_no_alignment(source, target):
    a, out = np.arange(32, dtype=np.float32), np.zeros(33, np.float32)
    move(a, out, source, target)
    np.testing.assert_array_equal(out[target : target + 16], a[source : source + 16])
    assert np.count_nonzero(out) <= 16
