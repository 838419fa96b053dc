"""Signs of a normalised sum against their readable reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npbsrn.ops.bits import Bits
from npbsrn.ops.norm_sign import STES, norm_signs, norm_signs_ref
from npbsrn.ops.sign import STES as ALL
from tests.gradient import check_gradient

cases = st.fixed_dictionaries(
    {
        "n": st.integers(1, 6),
        "channels": st.sampled_from([16, 48, 64]),
        "height": st.integers(1, 6),
        "width": st.integers(1, 50),
        "terms": st.integers(0, 3),
        "bases": st.integers(1, 3),
        "seed": st.integers(0, 999),
    }
)


def draw(n, channels, height, width, terms, bases, seed, dtype=np.float32):
    """Arguments but the stand-in and the padding; 0 terms for one without a weight."""
    rng = np.random.default_rng(seed)

    def numbers(*shape):
        return rng.standard_normal(shape).astype(dtype)

    values = [numbers(n, channels, height, width) for _ in range(max(terms, 1))]
    running = numbers(channels), numbers(channels) ** 2
    weights = numbers(terms) if terms else None
    return values, weights, numbers(channels), numbers(channels), running, numbers(bases) / 2


def run(operation, args, ste="clip", pad=1.0):
    *rest, running, offsets = args
    own = tuple(average.copy() for average in running)
    bits, pull = operation(*rest, own, offsets, ste, pad)
    return bits, own, pull


def plain(bits):
    return [own.unpack() if isinstance(own, Bits) else own for own in bits]


def flat(results):
    return [*results[0], *(own for own in results[1:] if own is not None)]


@settings(max_examples=40, deadline=None)
@given(cases, st.sampled_from(STES), st.sampled_from([1.0, -1.0]))
def test_equals_its_twin(case, ste, pad):
    """Signs and statistics to the bit, cotangents but for the order of sums."""
    args = draw(**case)
    bits, running, pull = run(norm_signs, args, ste, pad)
    expected, running_expected, pull_expected = run(norm_signs_ref, args, ste, pad)
    assert all(isinstance(own, Bits) and own.pad == pad for own in bits)
    np.testing.assert_array_equal(np.stack(plain(bits)), np.stack(expected))
    for own, other in zip(running, running_expected, strict=True):
        np.testing.assert_array_equal(own, other)
    rng = np.random.default_rng(case["seed"])
    dbits = [rng.standard_normal(own.shape).astype(np.float32) for own in bits]
    results, wanted = pull(dbits), pull_expected(dbits)
    for own, other in zip(flat(results), flat(wanted), strict=True):
        assert own.dtype == other.dtype == np.float32
        # A weight's cotangent is a sum over all values, which BN makes nearly 0: what is left may be their roundings.
        rounding = np.finfo(np.float32).eps * args[0][0].size if own is results[1] else 0.0
        np.testing.assert_allclose(own, other, rtol=2e-3, atol=2e-4 * np.abs(other).max() + 1e-4 + rounding)


def test_threads_change_no_byte(monkeypatch):
    args = draw(5, 48, 6, 41, 2, 2, 3)
    results = []
    for threads in (1, 2, 3, 8):
        monkeypatch.setenv("NPBSRN_NUM_THREADS", str(threads))
        bits, running, pull = run(norm_signs, args)
        parts = [*(own.words for own in bits), *running, *flat(pull(plain(bits)))]
        results.append([part.tobytes() for part in parts])
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("change", [{"channels": 20}, {"dtype": np.float64}], ids=str)
def test_the_rest_takes_the_twin(change):
    args = draw(**{"n": 2, "channels": 16, "height": 3, "width": 4, "terms": 2, "bases": 2, "seed": 1} | change)
    bits, _, _ = run(norm_signs, args)
    assert not any(isinstance(own, Bits) for own in bits)
    np.testing.assert_array_equal(np.stack(bits), np.stack(run(norm_signs_ref, args)[0]))


def test_padding_with_a_third_value_takes_the_twin():
    args = draw(2, 16, 3, 4, 1, 1, 5)
    assert not isinstance(run(norm_signs, args, pad=0.0)[0][0], Bits)


@pytest.mark.parametrize("terms", [0, 1, 3])
def test_gradient(terms, monkeypatch):
    """With the identity in the place of the sign, of which it is the derivative."""
    monkeypatch.setitem(ALL, "identity", (lambda x: x, ALL["identity"][1]))
    values, weights, gain, shift, running, offsets = draw(2, 3, 3, 4, terms, 2, 7, np.float64)

    def function(*arrays):
        own, rest = arrays[: len(values)], list(arrays[len(values) :])
        weight = rest.pop(0) if terms else None
        bits, pull = norm_signs(own, weight, rest[0], rest[1], tuple(r.copy() for r in running), rest[2], "identity", 1)
        return np.stack(bits), lambda dy: tuple(flat(pull(list(dy))))

    check_gradient(function, *values, *([] if weights is None else [weights]), gain, shift, offsets)
