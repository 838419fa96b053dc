"""Cotangents that wait are to the bit those that do not, whoever computes them."""

import numpy as np
import pytest

from npbsrn.ops.binary_conv import binary_conv
from npbsrn.ops.norm import norm_prelu
from npbsrn.ops.norm_sign import STES, norm_signs
from npbsrn.ops.pending import MayWait, Pending, PendingTerm
from npbsrn.ops.pointwise import Scaled
from npbsrn.ops.statistic import weight_by_statistic
from tests.ops.test_binary_conv import draw, packed

SIZES = [(1, 1), (3, 5), (7, 16), (6, 19), (13, 41)]


def values_of(seed, height, width, count, channels=32):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((3, channels, height, width)).astype(np.float32) for _ in range(count)]


def norm_of(seed, channels=32):
    """Gain, shift, running averages, slope."""
    rng = np.random.default_rng(seed)
    gain, shift, slope = (rng.standard_normal(channels).astype(np.float32) for _ in range(3))
    return gain, shift, (np.zeros(channels, np.float32), np.ones(channels, np.float32)), slope


def signs_cotangent(x, dbits, ste, waits):
    gain, shift, running, _ = norm_of(2)
    offsets = np.linspace(-0.5, 0.5, len(dbits)).astype(np.float32)
    _, pull = norm_signs([x], None, gain, shift, running, offsets, ste, 1.0)
    (dx,), _, *sums = pull(MayWait(dbits) if waits else dbits)
    return dx, sums


def prelu_cotangent(x, dy, waits):
    dx, *sums = norm_prelu(x, *norm_of(3)[:2], norm_of(3)[3], norm_of(3)[2], waits)[1](dy)
    return dx, sums


def same(given, wanted):
    for own, other in zip(given, wanted, strict=True):
        np.testing.assert_array_equal(own, other)


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("ste", STES)
@pytest.mark.parametrize("bases", [1, 3])
def test_of_signs(height, width, ste, bases):
    x, *dbits = values_of(1, height, width, 1 + bases)
    (waiting, sums), (dx, expected) = (signs_cotangent(x, dbits, ste, waits) for waits in (True, False))
    assert isinstance(waiting, Pending)
    assert (waiting.shape, waiting.dtype) == (dx.shape, dx.dtype)
    same([np.asarray(waiting), *sums], [dx, *expected])


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_of_prelu(height, width):
    x, dy = values_of(4, height, width, 2)
    (waiting, sums), (dx, expected) = (prelu_cotangent(x, dy, waits) for waits in (True, False))
    assert isinstance(waiting, Pending)
    same([np.asarray(waiting), *sums], [dx, *expected])


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("slope", [None, np.full(32, 0.25, np.float32)], ids=["plain", "prelu"])
def test_a_convolution_takes_in_what_waits(height, width, size, slope):
    args, _ = draw(3, 16, 32, height, width, size, 2, 1, 0.5, -1.0, 5)
    y, pull = binary_conv(*packed(args), slope)
    _, *dbits = values_of(6, height, width, 3)
    pairs = [[signs_cotangent(y, dbits, "steep", waits)[0] for waits in (True, False)]]
    pairs += [[prelu_cotangent(y, dbits[0], waits)[0] for waits in (True, False)]]
    for waiting, dy in pairs:
        given, wanted = pull(waiting), pull(dy)
        same([*given[0], given[1], *given[2], given[3]], [*wanted[0], wanted[1], *wanted[2], wanted[3]])
        if slope is not None:
            np.testing.assert_array_equal(given[4], wanted[4])


@pytest.mark.parametrize("statistic", ["abs", "mean", "none"])
@pytest.mark.parametrize("terms", [1, 2, 3])
def test_scaled_terms(statistic, terms):
    a, dbits, *values = values_of(7, 5, 41, 2 + terms)
    gain, shift, running, _ = norm_of(8)
    weights = np.linspace(0.5, 2, terms).astype(np.float32)
    _, pull = norm_signs(values, weights, gain, shift, running, np.zeros(1, np.float32), "clip", 1.0)
    (waiting, *sums), (dterms, *expected) = pull(MayWait([dbits])), pull([dbits])
    assert all(isinstance(dterm, Scaled) for dterm in waiting)
    same([*(np.asarray(dterm) for dterm in waiting), *sums], [*dterms, *expected])
    _, pull_a = weight_by_statistic(a, statistic)
    np.testing.assert_array_equal(pull_a(*waiting), pull_a(*dterms))


def term_cotangent(a, statistic, dys, waits):
    _, pull = weight_by_statistic(a, statistic, waits)
    return pull(*(Scaled(dy, np.float32(factor)) for dy, factor in zip(dys, (1.0, 0.5, -1.25, 3.0), strict=False)))


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("statistic", ["abs", "mean"])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_of_a_term(height, width, statistic, count):
    a, *dys = values_of(9, height, width, 1 + count)
    a[a < -1] = 0
    waiting, da = (term_cotangent(a, statistic, dys, waits) for waits in (True, False))
    assert isinstance(waiting, PendingTerm)
    assert isinstance(da, np.ndarray)
    assert (waiting.shape, waiting.dtype) == (da.shape, da.dtype)
    same([np.asarray(waiting)], [da])


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("slope", [None, np.full(32, 0.25, np.float32)], ids=["plain", "prelu"])
@pytest.mark.parametrize("statistic", ["abs", "mean"])
def test_a_convolution_takes_in_what_a_term_sends(height, width, size, slope, statistic):
    args, _ = draw(3, 16, 32, height, width, size, 2, 1, 0.5, -1.0, 5)
    y, pull = binary_conv(*packed(args), slope)
    for count in (1, 2, 3):
        dys = values_of(10, height, width, count)
        given, wanted = (pull(term_cotangent(y, statistic, dys, waits)) for waits in (True, False))
        same([*given[0], given[1], *given[2], given[3]], [*wanted[0], wanted[1], *wanted[2], wanted[3]])
        if slope is not None:
            np.testing.assert_array_equal(given[4], wanted[4])
