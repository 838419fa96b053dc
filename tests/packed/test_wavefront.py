"""LB-blocks on bits against their twin in NumPy, value for value; test_fold.py holds that to the layers."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npbsrn.kernels.bits import TILE, pack_filters, planes_of
from npbsrn.packed.lower import ABS, MEAN, Coefficients
from npbsrn.packed.reference import blocks_ref
from npbsrn.packed.wavefront import blocks_rows, make_rooms
from npbsrn.runtime.threads import run_parallel
from tests.strategies import plane_channels, seeds, tile_widths

KINDS = [(None, False), (None, True), (ABS, False), (ABS, True), (MEAN, True)]  # statistic; whether there are slopes
REAL = np.float32


@dataclass
class Case:
    x: np.ndarray  # C H W
    signs: list  # of three arrays B C C k k
    own: Coefficients


def make_case(seed, channels, height, width, blocks, statistic=None, slopes=True, whole=True):
    """Whole numbers and powers of two, of which sums are exact and often meet a threshold, or any numbers."""
    rng = np.random.default_rng(seed)
    signs = [rng.choice(np.int8([-1, 1]), (blocks, channels, channels, k, k)) for k in (3, 1, 1)]
    if whole:
        x = rng.integers(-4, 5, (channels, height, width)).astype(REAL)
        x[rng.random(x.shape) < 0.1] = -0.0
        weight = rng.choice(REAL([-2, -1, -0.5, 0, 0.5, 1, 2]), (blocks, 3, 3, channels))
        shift = rng.integers(-3, 4, (blocks, 3, channels)).astype(REAL)
        scale = rng.choice(REAL([0, 0.25, 0.5, 1]), (blocks, 3, channels))
        slope = rng.choice(REAL([-0.5, 0, 0.25, 0.5, 1]), (blocks, 2, channels))
        residual = REAL(0.5)
    else:
        draw = lambda *shape: rng.standard_normal(shape).astype(REAL)  # noqa: E731
        x, weight, shift = draw(channels, height, width), draw(blocks, 3, 3, channels), draw(blocks, 3, channels)
        scale, slope, residual = abs(draw(blocks, 3, channels)) / 8, draw(blocks, 2, channels), REAL(0.03)
    return Case(x, signs, Coefficients(weight, shift, scale, slope if slopes else None, residual, statistic))


def run(case, workers=1, beyond=0.0, depth=1, strip=9, rows=None):
    """The kernel's result as C H W; `beyond` is in the stream where the last tile goes beyond the picture."""
    channels, height, width = case.x.shape
    depth = max(1, min(depth, height // workers // 2))
    tiles, planes = -(-width // TILE), planes_of(channels)
    whole = np.full((channels, height, tiles * TILE), beyond, REAL)
    whole[:, :, :width] = case.x
    stream = whole.reshape(channels, height, tiles, TILE).transpose(1, 2, 0, 3).reshape(height, tiles, channels * TILE)
    stream = np.ascontiguousarray(stream)
    bits = np.zeros((depth + 1, height + 2, planes, tiles * TILE + 2), np.uint16)
    w3, *w1 = ([pack_filters(w) for w in signs] for signs in case.signs)
    rooms = make_rooms(workers, channels, planes)
    rooms[...] = np.nan
    filters = np.stack(w3), np.stack(w1, axis=1)
    run_parallel(blocks_rows, workers, stream, width, bits, *filters, case.own, rooms, strip, *(rows or (0, height)))
    y = stream.reshape(height, tiles, channels, TILE).transpose(2, 0, 1, 3)
    return y.reshape(channels, height, tiles * TILE)[:, :, :width]


@pytest.mark.parametrize(("statistic", "slopes"), KINDS)
@settings(max_examples=20)
@given(
    seeds, plane_channels, st.integers(1, 9), tile_widths, st.integers(1, 4), st.integers(1, 3), st.integers(1, 3),
    st.integers(1, 3), st.booleans(),
)  # fmt: skip
def test_equals_its_twin(statistic, slopes, seed, channels, height, width, blocks, workers, depth, strip, whole):
    case = make_case(seed, channels, height, min(width, 70), blocks, statistic, slopes, whole)
    np.testing.assert_array_equal(run(case, workers, np.nan, depth, strip), blocks_ref(case.x, case.signs, case.own))


@pytest.mark.parametrize(("statistic", "slopes"), KINDS)
@pytest.mark.parametrize("channels", [4, 48, 65])
def test_wide_pictures(statistic, slopes, channels):
    case = make_case(3, channels, 3, 130, 2, statistic, slopes)
    np.testing.assert_array_equal(run(case, 2), blocks_ref(case.x, case.signs, case.own))


def on_the_threshold(channels, x, gain):
    """Each convolution binarizes zeros, and its filters are all +1."""
    ones = [np.ones((1, channels, channels, k, k), np.int8) for k in (3, 1, 1)]
    weight, shift = np.zeros((1, 3, 3, channels), REAL), np.zeros((1, 3, channels), REAL)
    weight[0, 0, 0], shift[0, 0] = gain, -gain * x + 0.0
    for n, total in ((1, 9 * channels), (2, channels)):  # of the convolution before
        weight[0, n, n], shift[0, n] = gain, -gain * total
    stream = np.full((channels, 2, 35), x, REAL)
    return Case(stream, ones, Coefficients(weight, shift, np.ones_like(shift), None, REAL(0.5), None))


@pytest.mark.parametrize("channels", [1, 16, 48])
@pytest.mark.parametrize("x", [3.0, 0.0, -0.0, -5.0])
@pytest.mark.parametrize("gain", [2.0, -2.0])
def test_zero_counts_as_plus_one(channels, x, gain):
    case = on_the_threshold(channels, REAL(x), REAL(gain))
    np.testing.assert_array_equal(run(case), np.full_like(case.x, x + 0.5 * channels))


@pytest.mark.parametrize("n", [0, 1, 2])
def test_the_next_number_below_the_threshold_counts_as_minus_one(n):
    case = on_the_threshold(16, REAL(3), REAL(2))
    case.own.shift[0, n] = np.nextafter(case.own.shift[0, n], REAL(-np.inf))
    result = run(case)
    np.testing.assert_array_equal(result, blocks_ref(case.x, case.signs, case.own))
    if n == 2:
        np.testing.assert_array_equal(result, np.full_like(case.x, 3 - 0.5 * 16))
    else:
        assert not np.array_equal(result, np.full_like(case.x, 3 + 0.5 * 16))


def test_a_gain_of_zero_leaves_the_sign_of_the_shift():
    case = make_case(5, 20, 3, 40, 1)
    case.own.weight[...] = 0
    case.own.shift[0, 2, :7] = -1
    case.own.shift[0, 2, 7:] = 0
    expected = case.signs[2][0, :, :, 0, 0].astype(REAL) @ np.where(np.arange(20) < 7, REAL(-1), REAL(1))
    expected = case.x + (case.own.residual * case.own.scale[0, 2] * expected)[:, None, None]
    np.testing.assert_array_equal(run(case), expected)


@pytest.mark.parametrize(("statistic", "slopes"), KINDS)
@pytest.mark.parametrize(("height", "width"), [(1, 33), (2, 5), (5, 64), (18, 100)])
def test_workers_and_depth_and_strips_change_no_byte(statistic, slopes, height, width):
    case = make_case(11, 20, height, width, 3, statistic, slopes, whole=False)
    ways = [(workers, depth, strip) for workers in (1, 2, 3, 3) for depth in (1, 2, 3) for strip in (1, 2, 9)]
    results = [run(case, workers, 0.0, depth, strip).tobytes() for workers, depth, strip in ways]
    assert results == results[:1] * len(results)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("rows", [(0, 4), (7, 8), (9, 18)])
def test_only_some_rows_are_wanted(workers, rows):
    case = make_case(19, 20, 18, 40, 5, whole=False)
    whole, part = run(case, workers), run(case, workers, 0.0, 3, 1, rows)
    np.testing.assert_array_equal(part[:, slice(*rows)], whole[:, slice(*rows)])
    assert not np.array_equal(part, whole)  # something was left out


@pytest.mark.parametrize("beyond", [-7.5, 1e30, -np.inf, np.nan])
@pytest.mark.parametrize("width", [1, 31, 33, 48])
def test_what_lies_beyond_the_width_does_not_matter(width, beyond):
    case = make_case(13, 17, 3, width, 3, ABS, whole=False)
    assert run(case, beyond=beyond).tobytes() == run(case).tobytes()


def test_blocks_follow_each_other():
    case = make_case(17, 33, 3, 40, 3, ABS, whole=False)
    one_by_one = case
    for b in range(3):
        part = Coefficients(*(v[b : b + 1] for v in case.own[:4]), case.own.residual, ABS)
        one_by_one = replace(one_by_one, signs=[w[b : b + 1] for w in case.signs], own=part)
        one_by_one = replace(one_by_one, x=run(one_by_one))
    assert run(case).tobytes() == one_by_one.x.tobytes()
