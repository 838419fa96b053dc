"""Each vector operation against NumPy's, on 16 lanes."""

from fractions import Fraction

import numpy as np
import pytest
from numba import njit

from npbsrn.kernels import simd
from npbsrn.kernels.memory import load, store
from npbsrn.kernels.simd import fused, magnitude, select, splat, to_float, total

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
    np.testing.assert_array_equal(out.reshape(8, 16), np.stack(expected).astype(np.float32))
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


def awkward_terms(rng, count):
    """x, y and z whose exact x * y + z lies near the middle of two float32, by less than a float64 can say, or not."""
    x, y = ((1 + rng.integers(0, 2**11, count) / 2**11 + 2.0**-12).astype(np.float32) for _ in range(2))
    z = (rng.choice([-1, 1], count) * 2.0 ** rng.integers(-120, 40, count)).astype(np.float32)
    z[::5] = -x[::5] * y[::5]
    z[::7] = rng.standard_normal(len(z[::7]))
    return x * rng.choice(np.float32([-1, 1]), count), y, z


def nearest(exact):
    """The nearest float32 of a fraction, of two the even one."""
    guess = np.float32(float(exact))
    around = [np.nextafter(guess, np.float32(-np.inf)), guess, np.nextafter(guess, np.float32(np.inf))]
    return min(around, key=lambda value: (abs(Fraction(float(value)) - exact), int(value.view(np.uint32)) & 1))


def accumulate(x, y, z, out, rounded):
    for at in range(0, x.size, 16):
        store(out, at, fused(load(x, at), load(y, at), load(z, at)))
        store(rounded, at, load(x, at) * load(y, at) + load(z, at))


@pytest.mark.parametrize("instruction", [True, False])
def test_a_fused_sum_is_rounded_once_and_a_plain_one_twice(rng, monkeypatch, instruction):
    """Also on CPUs without such an instruction."""
    if not instruction:
        monkeypatch.setattr(simd, "has_fma", lambda: False)
    x, y, z = awkward_terms(rng, 4096)
    out, rounded = np.empty_like(z), np.empty_like(z)
    njit(accumulate)(x, y, z, out, rounded)
    exact = [Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c)) for a, b, c in zip(x, y, z, strict=True)]
    expected = np.array([nearest(value) for value in exact], np.float32)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(rounded, x * y + z)
    assert not np.array_equal(expected, rounded)
    assert not np.array_equal(expected, (x.astype(np.float64) * y + z).astype(np.float32))
