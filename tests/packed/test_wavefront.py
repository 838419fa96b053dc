"""Blocks on bits against their reference in NumPy, value for value; test_lower.py holds that to the layers."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npbsrn.kernels.bits import TILE
from npbsrn.packed.plan import Block, Step
from npbsrn.packed.program import compile_blocks
from npbsrn.packed.reference import blocks_ref
from npbsrn.packed.wavefront import blocks_rows
from npbsrn.packed.workspace import make_job, make_values, map_of, tiles_of
from npbsrn.runtime.threads import run_parallel
from tests.packed.plans import KINDS, REAL, Draw, lb_blocks, random_blocks
from tests.strategies import plane_channels, seeds, tile_widths


@dataclass
class Case:
    x: np.ndarray  # C H W
    blocks: list


def make_case(seed, channels, height, width, whole=True, kind=random_blocks, **options):
    x = Draw(np.random.default_rng(seed), whole).stream(channels, height, width)
    return Case(x, kind(seed, channels, whole=whole, **options))


def expected(case):
    return blocks_ref(case.x, case.blocks)


def run(case, workers=1, beyond=0.0, depth=1, strip=9, rows=None):
    """The kernel's result as C H W; `beyond` is wherever nothing has been written, as beyond the picture's width."""
    channels, height, width = case.x.shape
    workers = min(workers, -(-height // 2))
    depth = max(1, min(depth, height // workers // 2))
    program, full = compile_blocks(case.blocks, channels), -(-width // TILE) * TILE
    values = make_values(program, workers, height, width)
    values[...] = beyond
    whole = np.full((channels, height, full), beyond, REAL)
    whole[:, :, :width] = case.x
    stream = whole.reshape(channels, height, -1, TILE).transpose(1, 2, 0, 3).reshape(height, -1, channels * TILE)
    map_of(program, values, 0, height, width)[:, :, : channels * TILE] = stream
    job = make_job(program, values, workers, (height, width), depth, strip, rows or (0, height))
    job.bits[...] = 0x5A5A
    for workspace in (job.workspaces.counts, job.workspaces.bits):
        workspace[...] = 0xA5A5
    job.workspaces.sums[...] = np.nan
    run_parallel(blocks_rows, workers, job)
    assert job.done.sum() == tiles_of(program, (height, width), rows or (0, height))
    y = map_of(program, values, program.result, height, width)[:, :, : channels * TILE]
    return y.reshape(height, -1, channels, TILE).transpose(2, 0, 1, 3).reshape(channels, height, full)[:, :, :width]


@pytest.mark.parametrize(("statistic", "sloped"), KINDS)
@settings(max_examples=30)
@given(
    seeds, plane_channels, st.integers(1, 9), tile_widths, st.integers(1, 3), st.integers(1, 3), st.integers(1, 4),
    st.integers(1, 3), st.booleans(), st.booleans(),
)  # fmt: skip
def test_equals_its_twin(
    statistic, sloped, seed, channels, height, width, count, workers, depth, strip, whole, several
):  # fmt: skip
    width = min(width, 70) if channels < 64 else min(width, 40)
    options = {"count": count, "statistic": statistic, "sloped": sloped, "several": several}
    case = make_case(seed, channels, height, width, whole, **options)
    np.testing.assert_array_equal(run(case, workers, np.nan, depth, strip), expected(case))


@pytest.mark.parametrize(("statistic", "sloped"), KINDS)
@pytest.mark.parametrize("channels", [4, 48, 65])
def test_wide_pictures(statistic, sloped, channels):
    case = make_case(3, channels, 3, 130, kind=lb_blocks, count=2, statistic=statistic, sloped=sloped)
    np.testing.assert_array_equal(run(case, 2), expected(case))


def test_each_block_has_a_statistic_of_its_own():
    parts = [lb_blocks(n, 17, 1, statistic) for n, statistic in enumerate(("abs", "none", "mean", "none"))]
    case = Case(make_case(7, 17, 5, 40, whole=False).x, [block for part in parts for block in part])
    np.testing.assert_array_equal(run(case, 2, np.nan, 3), expected(case))


def on_the_threshold(channels, x, gain):
    """Each convolution binarizes zeros, and its filters are all +1."""
    steps = []
    for n, (size, total) in enumerate(((3, x), (1, 9 * channels), (1, channels))):  # of the convolution before
        weight, shift = np.zeros((1, n + 1, channels), REAL), np.full((1, channels), -gain * total + 0.0, REAL)
        weight[:, n] = gain
        ones = (np.ones((channels, channels, size, size), np.int8),)
        factor = np.ones((1, 1, channels), REAL)
        steps.append(Step(ones, factor, None, weight, shift, tuple(range(n + 1)), 1.0, None))
    return Case(np.full((channels, 2, 35), x, REAL), [Block(tuple(steps), "none", 0.5)])


@pytest.mark.parametrize("channels", [1, 16, 48])
@pytest.mark.parametrize("x", [3.0, 0.0, -0.0, -5.0])
@pytest.mark.parametrize("gain", [2.0, -2.0])
def test_zero_counts_as_plus_one(channels, x, gain):
    case = on_the_threshold(channels, REAL(x), REAL(gain))
    np.testing.assert_array_equal(run(case), np.full_like(case.x, x + 0.5 * channels))


@pytest.mark.parametrize("n", [0, 1, 2])
def test_the_next_number_below_the_threshold_counts_as_minus_one(n):
    case = on_the_threshold(16, REAL(3), REAL(2))
    shift = case.blocks[0].steps[n].shift
    shift[...] = np.nextafter(shift, REAL(-np.inf))
    result = run(case)
    np.testing.assert_array_equal(result, expected(case))
    if n == 2:
        np.testing.assert_array_equal(result, np.full_like(case.x, 3 - 0.5 * 16))
    else:
        assert not np.array_equal(result, np.full_like(case.x, 3 + 0.5 * 16))


def test_a_gain_of_zero_leaves_the_sign_of_the_shift():
    case = make_case(5, 20, 3, 40, kind=lb_blocks, count=1)
    for step in case.blocks[0].steps:
        step.weight[...] = 0
    last = replace(case.blocks[0].steps[2], offset=None)
    case.blocks[0] = replace(case.blocks[0], steps=(*case.blocks[0].steps[:2], last))
    last.shift[0, :7] = -1
    last.shift[0, 7:] = 0
    sums = last.signs[0][:, :, 0, 0].astype(REAL) @ np.where(np.arange(20) < 7, REAL(-1), REAL(1))
    whole = case.x + (REAL(0.03) * (last.factor[0, 0] * sums))[:, None, None]
    np.testing.assert_allclose(run(case), whole, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("offset", [None, 0.0])
def test_sums_of_nothing_keep_their_sign(offset):
    """Without an offset the first product is alone: -0.0 where a sum of 0 has a negative factor."""
    case = on_the_threshold(2, REAL(3), REAL(2))
    signs = (REAL([[[[1]], [[-1]]], [[[-1]], [[1]]]]).astype(np.int8),)
    start = None if offset is None else np.full(2, offset, REAL)
    step = replace(case.blocks[0].steps[0], signs=signs, factor=np.full((1, 1, 2), -1, REAL), offset=start)
    case = replace(case, blocks=[Block((step,), "none", None)])
    assert np.signbit(run(case)).all() == np.signbit(expected(case)).all() == (offset is None)


@pytest.mark.parametrize(("statistic", "sloped"), KINDS)
@pytest.mark.parametrize(("height", "width"), [(1, 33), (2, 5), (5, 64), (18, 100)])
@pytest.mark.parametrize("kind", [lb_blocks, random_blocks])
def test_workers_and_depth_and_strips_change_no_byte(statistic, sloped, height, width, kind):
    case = make_case(11, 20, height, width, whole=False, kind=kind, count=3, statistic=statistic, sloped=sloped)
    ways = [(workers, depth, strip) for workers in (1, 2, 3, 3) for depth in (1, 2, 3) for strip in (1, 2, 9)]
    results = [run(case, workers, 0.0, depth, strip).tobytes() for workers, depth, strip in ways]
    assert results == results[:1] * len(results)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("rows", [(0, 4), (7, 8), (9, 18)])
@pytest.mark.parametrize("kind", [lb_blocks, random_blocks])
def test_only_some_rows_are_wanted(workers, rows, kind):
    case = make_case(19, 20, 18, 40, whole=False, kind=kind, count=5)
    whole, part = run(case, workers), run(case, workers, 0.0, 3, 1, rows)
    np.testing.assert_array_equal(part[:, slice(*rows)], whole[:, slice(*rows)])
    assert not np.array_equal(part, whole)  # something was left out


@pytest.mark.parametrize("beyond", [-7.5, 1e30, -np.inf, np.nan])
@pytest.mark.parametrize("width", [1, 31, 33, 48])
def test_what_lies_beyond_the_width_does_not_matter(width, beyond):
    case = make_case(13, 17, 3, width, whole=False, kind=lb_blocks)
    assert run(case, beyond=beyond).tobytes() == run(case).tobytes()


def test_blocks_follow_each_other():
    case = make_case(17, 33, 3, 40, whole=False, kind=lb_blocks)
    one_by_one = case
    for block in case.blocks:
        one_by_one = Case(run(replace(one_by_one, blocks=[block])), [])
    assert run(case).tobytes() == one_by_one.x.tobytes()


def test_skips_around_a_step_and_its_block_are_refused():
    block = lb_blocks(1, 4, 1)[0]
    steps = *block.steps[:2], replace(block.steps[2], skip=True)
    with pytest.raises(ValueError, match="one skip"):
        compile_blocks([replace(block, steps=steps)], 4)
