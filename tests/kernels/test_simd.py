"""Each vector operation against NumPy's, on 16 lanes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numba import njit

from npbsrn.kernels import simd
from npbsrn.kernels.memory import load, memory, store, store_words
from npbsrn.kernels.simd import (
    divide,
    fused,
    magnitude,
    no_bits,
    push_sign,
    select,
    splat,
    to_float,
    total,
)
from tests.rounding import awkward_terms, fused_exactly

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
    expected = fused_exactly(x, y, z)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(rounded, x * y + z)
    assert not np.array_equal(expected, rounded)
    assert not np.array_equal(expected, (x.astype(np.float64) * y + z).astype(np.float32))


def fuse(x, y, z, scalar, out):
    a, b, c = load(x, 0), load(y, 0), load(z, 0)
    store(out, 0, fused(a, b, c))
    store(out, 16, fused(a, scalar, c))
    store(out, 32, fused(scalar, b, c))
    store(out, 48, fused(a, b, scalar))


@pytest.fixture(scope="module", params=[True, False], ids=["by an instruction", "by float64"])
def fuse_compiled(request):
    """`fuse`, on a CPU with and without such an instruction."""
    with pytest.MonkeyPatch.context() as patch:
        if not request.param:
            patch.setattr(simd, "has_fma", lambda: False)
        own, none = njit(fuse), np.zeros(16, np.float32)
        own(none, none, none, np.float32(0), np.empty(64, np.float32))
    return own


vectors = hnp.arrays(np.float32, 16, elements=st.floats(width=32, allow_nan=False, allow_infinity=False))


@given(vectors, vectors, vectors, st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_fused_of_any_numbers(fuse_compiled, x, y, z, scalar):
    """Too small for a float32, or too large, too; scalars take the place of vectors. To the bit: zeros have signs."""
    out, scalar = np.empty(64, np.float32), np.float32(scalar)
    fuse_compiled(x, y, z, scalar, out)
    every = np.full(16, scalar)
    for own, terms in zip(out.reshape(4, 16), [(x, y, z), (x, every, z), (every, y, z), (x, y, every)], strict=True):
        np.testing.assert_array_equal(own.view(np.uint32), fused_exactly(*terms).view(np.uint32))


def test_fused_of_what_is_no_number(fuse_compiled):
    inf, nan = np.float32(np.inf), np.float32(np.nan)
    x, y, z = np.array([(inf, 2, 1), (-inf, 2, 1), (inf, 0, 1), (inf, 1, -inf), (1, 1, inf), (nan, 1, 1)], np.float32).T
    x, y, z = (np.resize(a, 16).astype(np.float32) for a in (x, y, z))
    out = np.empty(64, np.float32)
    fuse_compiled(x, y, z, np.float32(0), out)
    np.testing.assert_array_equal(out[:6], [inf, -inf, nan, nan, inf, nan])


@njit
def divided(x, divisor, out):
    store(out, 0, divide(load(x, 0), divisor))


@given(vectors, st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_divide_is_rounded_once(x, divisor):
    """A division, and not the product with the rounded reciprocal; also by 0, where the quotient is no number."""
    out, divisor = np.empty(16, np.float32), np.float32(divisor)
    divided(x, divisor, out)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(out, x / divisor)


@pytest.mark.parametrize("channels", np.float32([3, 20, 48, 65]))
def test_divide_by_the_channels_of_a_network(rng, channels):
    x, out = rng.standard_normal((100, 16)).astype(np.float32), np.empty((100, 16), np.float32)
    for values, result in zip(x, out, strict=True):
        divided(values, channels, result)
    np.testing.assert_array_equal(out, x / channels)
    assert not np.array_equal(out, x * (1 / channels))


def push(x, count, out):
    bits = no_bits()
    for n in range(count):
        bits = push_sign(bits, load(x, 16 * n))
    store(out, 0, bits)


def words_of(x, y, count, out, place):
    left, right = no_bits(), no_bits()
    for n in range(count):
        left, right = push_sign(left, load(x, 16 * n)), push_sign(right, load(y, 16 * n))
    store_words(out, place, left, right)


push_compiled, words_compiled = njit(push), njit(words_of)


@njit
def words_by_memory(x, y, count, out, place):
    words_of_memory(x, y, count, memory(out), place)


words_of_memory = njit(words_of)


def signs_as_numbers(x):
    """The first sign is the highest bit; of more than 32 the first are lost."""
    return [int("".join("01"[int(v < 0)] for v in lane), 2) % 2**32 for lane in x.reshape(-1, 16).T]


@pytest.mark.parametrize("count", [1, 16, 32, 40])
def test_push_sign(rng, count):
    """Down to the smallest numbers; -0.0, which only a sum too small for a float32 gives, counts as negative."""
    x, out = rng.standard_normal(16 * count).astype(np.float32), np.empty(16, np.uint32)
    x[::3] = rng.choice(np.float32([0.0, 1e-45, -1e-45, np.inf, -np.inf]), len(x[::3]))
    push_compiled(x, count, out)
    assert out.tolist() == signs_as_numbers(x)
    x[-16:] = np.float32(-0.0)
    push_compiled(x, count, out)
    assert np.all(out & 1 == 1)


@pytest.mark.parametrize("store_them", [words_compiled, words_by_memory], ids=["array", "memory"])
@pytest.mark.parametrize("count", [5, 16, 23])
@pytest.mark.parametrize("place", [0, 1, 7, 33])
def test_store_words(rng, store_them, count, place):
    """The low halves, one vector behind the other, wherever that is, and nothing before and behind them."""
    x, y = rng.standard_normal((2, 16 * count)).astype(np.float32)
    out = np.full(66, 54321, np.uint16)
    store_them(x, y, count, out, place)
    expected = [number % 2**16 for number in signs_as_numbers(x) + signs_as_numbers(y)]
    assert out[place : place + 32].tolist() == expected
    assert np.all(np.delete(out, slice(place, place + 32)) == 54321)
