"""Operations on a divided batch equal those on the whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npbsrn.ops.across import count_across, moments_across, sums_across
from npbsrn.ops.norm import batch_norm, batch_norm_ref, norm_prelu
from npbsrn.ops.norm_sign import norm_signs
from npbsrn.ops.pending import MayWait
from npbsrn.runtime.shards import Shards
from tests.strategies import seeds


def divided(shards, function, *arrays):
    """`function` of each shard's samples of some arrays; what each gives, in the order of the shards."""

    def work(shard):
        return function(*(np.split(array, shards.count)[shard.number] for array in arrays))

    return shards.run(work)[0]


@settings(max_examples=30)
@given(st.integers(2, 5), st.integers(1, 3), st.integers(1, 9), seeds)
def test_moments_and_sums(count, samples, pixels, seed):
    x = 10 + np.random.default_rng(seed).standard_normal((count * samples, 3, pixels))
    found = divided(
        Shards(count),
        lambda own: (
            *moments_across(np.mean(own, axis=(0, 2)), np.var(own, axis=(0, 2))),
            *sums_across(np.sum(own, axis=(0, 2)), np.sum(own * own, axis=(0, 2))),
            count_across(own.size),
        ),
        x,
    )
    for mean, variance, total, squares, size in found:
        np.testing.assert_allclose(mean, np.mean(x, axis=(0, 2)), rtol=1e-12)
        np.testing.assert_allclose(variance, np.var(x, axis=(0, 2)), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(total, np.sum(x, axis=(0, 2)), rtol=1e-12)
        np.testing.assert_allclose(squares, np.sum(x * x, axis=(0, 2)), rtol=1e-12)
        assert size == x.size


def test_each_shard_for_itself():
    x = np.arange(12.0).reshape(4, 3)
    found = divided(Shards(2, synchronize=False), lambda own: moments_across(np.mean(own), np.var(own)), x)
    assert found == [(np.mean(half), np.var(half)) for half in np.split(x, 2)]


def numbers(dtype, seed=3, channels=16):
    rng = np.random.default_rng(seed)
    x, dy = (rng.standard_normal((4, channels, 3, 7)).astype(dtype) for _ in range(2))
    gain, shift, slope = (rng.uniform(0.5, 1.5, channels).astype(dtype) for _ in range(3))
    return x, dy, gain, shift, slope


def running(dtype, channels=16):
    return np.zeros(channels, dtype), np.ones(channels, dtype)


@pytest.mark.parametrize(
    ("norm", "dtype", "tolerance"),
    [(batch_norm_ref, np.float64, 1e-12), (batch_norm, np.float32, 1e-5)],
)
def test_batch_norm(norm, dtype, tolerance):
    x, dy, gain, shift, _ = numbers(dtype)
    whole_running = running(dtype)
    y, pull = norm(x, gain, shift, whole_running, True)
    dx, dgain, dshift = pull(dy)

    def work(x, dy):
        moved = running(dtype)
        y, pull = norm(x, gain, shift, moved, True)
        return (y, *pull(dy), moved)

    found = divided(Shards(2), work, x, dy)
    near = {"rtol": tolerance, "atol": tolerance}
    np.testing.assert_allclose(np.concatenate([own[0] for own in found]), y, **near)
    np.testing.assert_allclose(np.concatenate([own[1] for own in found]), dx, **near)
    np.testing.assert_allclose(sum(own[2] for own in found), dgain, rtol=10 * tolerance, atol=10 * tolerance)
    np.testing.assert_allclose(sum(own[3] for own in found), dshift, rtol=10 * tolerance, atol=10 * tolerance)
    for own in found:
        for moved, wanted in zip(own[4], whole_running, strict=True):
            np.testing.assert_allclose(moved, wanted, **near)
    apart = divided(Shards(2, synchronize=False), work, x, dy)
    assert np.abs(np.concatenate([own[1] for own in apart]) - dx).max() > 1e-2  # or this would show nothing


@pytest.mark.parametrize("may_wait", [False, True])
def test_norm_and_prelu(may_wait):
    x, dy, gain, shift, slope = numbers(np.float32)
    y, pull = norm_prelu(x, gain, shift, slope, running(np.float32))
    expected = y, *pull(dy)

    def work(x, dy):
        y, pull = norm_prelu(x, gain, shift, slope, running(np.float32), may_wait)
        dx, *rest = pull(dy)
        return y, np.asarray(dx), *rest

    found = divided(Shards(2), work, x, dy)
    for k, wanted in enumerate(expected):
        parts = [own[k] for own in found]
        np.testing.assert_allclose(np.concatenate(parts) if k < 2 else sum(parts), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["terms", "one", "waiting", "waiting terms"])
def test_signs(kind):
    """Values that are far from a change of sign, so that the last bit of a mean changes none."""
    x, dbits, gain, shift, _ = numbers(np.float32)
    x = np.where(np.abs(x) < 0.3, x + 0.6, x).astype(np.float32)
    weights = np.array([0.5, 0.25], np.float32) if "terms" in kind else None
    offsets = np.zeros(1, np.float32)

    def work(x, dbits):
        terms = [x, x[:, ::-1].copy()] if weights is not None else [x]
        bits, pull = norm_signs(terms, weights, gain, 0 * shift, running(np.float32), offsets, "clip", 1.0)
        given = MayWait([dbits]) if "waiting" in kind else [dbits]
        dterms, dweights, *rest = pull(given)
        return bits[0].unpack(), [np.asarray(d) for d in dterms], dweights, *rest

    bits, dterms, dweights, *rest = work(x, dbits)
    found = divided(Shards(2), work, x, dbits)
    same = np.mean(np.concatenate([own[0] for own in found]) == bits)
    assert same > 0.99
    for k, wanted in enumerate(dterms):
        parts = np.concatenate([own[1][k] for own in found])
        assert np.mean(np.isclose(parts, wanted, rtol=1e-3, atol=1e-3)) > 0.99
    for k, wanted in enumerate(rest, 3):
        np.testing.assert_allclose(sum(own[k] for own in found), wanted, rtol=1e-3, atol=1e-2)
    if weights is not None:
        np.testing.assert_allclose(sum(own[2] for own in found), dweights, rtol=1e-3, atol=1e-2)
