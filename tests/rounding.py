"""Products and sums of float32 that are rounded once, from exact fractions."""

from fractions import Fraction

import numpy as np

BEYOND = Fraction(2**128 - 2**103)  # what lies as far from 0 as this is infinite as a float32


def awkward_terms(rng, count):
    """x, y and z whose exact x * y + z lies near the middle of two float32, by less than a float64 can say, or not."""
    x, y = ((1 + rng.integers(0, 2**11, count) / 2**11 + 2.0**-12).astype(np.float32) for _ in range(2))
    z = (rng.choice([-1, 1], count) * 2.0 ** rng.integers(-120, 40, count)).astype(np.float32)
    z[::5] = -x[::5] * y[::5]
    z[::7] = rng.standard_normal(len(z[::7]))
    return x * rng.choice(np.float32([-1, 1]), count), y, z


def exactly(x, y, z):
    """``x * y + z`` as a fraction."""
    return Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))


def nearest(exact):
    """The nearest float32 of a fraction, of two the even one."""
    if abs(exact) >= BEYOND:
        return np.float32(np.inf if exact > 0 else -np.inf)
    with np.errstate(over="ignore"):
        guess = np.float32(float(exact))
        around = [np.nextafter(guess, np.float32(-np.inf)), guess, np.nextafter(guess, np.float32(np.inf))]
    finite = [value for value in around if np.isfinite(value)]
    return min(finite, key=lambda value: (abs(Fraction(float(value)) - exact), int(value.view(np.uint32)) & 1))


def fused_exactly(x, y, z):
    """``x * y + z`` of float32, element by element, rounded once."""
    return np.array([_fused(*terms) for terms in zip(x, y, z, strict=True)], np.float32)


def _fused(x, y, z):
    exact = exactly(x, y, z)
    if exact == 0:  # the product is exact in float64, and so is a sum of 0, with its sign
        return np.float32(np.float64(x) * np.float64(y) + np.float64(z))
    rounded = nearest(exact)
    return np.copysign(rounded, np.float32(-1 if exact < 0 else 1))  # of what is too small, too
