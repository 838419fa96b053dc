"""The compiled counts against the readable ones, exactly."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from npbsrn.kernels.bits import TILE, counts_ref, pack_filters, pack_picture, planes_of
from npbsrn.kernels.counts import arranged, count1, count3, filter_size
from tests.strategies import PLANE_CHANNELS, plane_channels, seeds, tile_widths


@njit
def count(rows, planes, words, first, size, outputs, together, out):
    """`out` (H, more than T * outputs * 32), by some tiles at once as `npbsrn.packed.wavefront.blocks_rows` walks."""
    bits, plane = rows.ravel(), rows.shape[2]
    row, tiles = planes * plane, (plane - 2) // TILE
    for y in range(len(out)):
        for t in range(0, tiles, together):
            n, place, own = min(together, tiles - t), y * row + t * TILE, out[y, t * outputs * TILE :]
            if size == 3:
                count3(bits, place, row, plane, planes, n, words, first, outputs, own)
            else:
                count1(bits, place + row + 1, plane, planes, n, words, first, outputs, own)


def check_counts(channels, size, outputs, height, width, seed, first=0, together=2):
    rng = np.random.default_rng(seed)
    tiles = -(-width // TILE)
    rows = pack_picture(rng.random((channels, height, width)) < 0.5, tiles * TILE + 2)
    words = pack_filters(rng.choice([-1, 1], (outputs, channels, size, size)))
    out = np.full((height, tiles * outputs * TILE + 8), 54321, np.uint16)
    before, filters = rng.integers(0, 65536, first).astype(np.uint16), arranged(words, outputs, size)
    assert len(filters) == filter_size(outputs, len(words) // outputs)
    count(rows, planes_of(channels), np.concatenate([before, filters]), first, size, outputs, together, out)
    assert np.all(out[:, tiles * outputs * TILE :] == 54321)
    counts = out[:, : tiles * outputs * TILE].reshape(height, tiles, outputs, TILE).transpose(2, 0, 1, 3)
    counts = counts.reshape(outputs, height, tiles * TILE)[:, :, :width]
    np.testing.assert_array_equal(counts, counts_ref(rows, words, size, height, width))


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("channels", PLANE_CHANNELS)
@settings(max_examples=8)
@given(plane_channels, st.integers(1, 4), tile_widths, seeds, st.integers(0, 70), st.integers(1, 5))
def test_counts(channels, size, outputs, height, width, seed, first, together):
    check_counts(channels, size, outputs, height, width, seed, first, together)


def check_extreme_counts(channels, size, same):
    """All products -1, or none: the largest numbers that bytes and words must hold."""
    x, w = np.full((channels, 3, TILE), not same), np.ones((3, channels, size, size))
    rows, out = pack_picture(x, TILE + 2), np.empty((3, 3 * TILE), np.uint16)
    count(rows, planes_of(channels), arranged(pack_filters(w), 3, size), 0, size, 3, 1, out)
    counts = out.reshape(3, 3, TILE).transpose(1, 0, 2)
    np.testing.assert_array_equal(counts, counts_ref(rows, pack_filters(w), size, 3, TILE))
    assert np.all(counts[:, 1, 1:-1] == (0 if same else channels * size * size))


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("channels", PLANE_CHANNELS)
@pytest.mark.parametrize("same", [True, False])
def test_extreme_counts(channels, size, same):
    check_extreme_counts(channels, size, same)


PROGRAM = """
import sys
from npbsrn.kernels.counts import CHOSEN
from tests.kernels.test_pixel_conv import check_column, check_outputs
from tests.packed import test_wavefront as blocks
from tests.packed.test_engine import small_engine, smooth_picture
from tests.kernels.test_counts import *
assert CHOSEN == sys.argv[1]
for channels in PLANE_CHANNELS:
    for size in (1, 3):
        check_counts(channels, size, 5, 3, 45, channels)
        check_extreme_counts(channels, size, False)
case = blocks.make_case(1, 17, 4, 40, whole=False, kind=blocks.lb_blocks)
assert np.array_equal(blocks.run(case, 2), blocks.expected(case))
for size in (3, 5, 7):
    check_column(size, 19, 27, 11, 3, 0)
    for outputs in (12, 27, 48):
        check_outputs(size, outputs)
picture = smooth_picture(np.random.default_rng(0), 21, 50)
for variant in ("x4", "x3 without activation"):
    engine = small_engine(variant)
    assert engine.run(picture, 2, 17).tobytes() == engine.run(picture).tobytes()
"""
AVX2 = "+avx2,+fma,+bmi,+bmi2,+popcnt"


@pytest.mark.slow
@pytest.mark.parametrize(("features", "kernel"), [("+sse4.2", "portable"), (AVX2, "avx2"), (AVX2, "portable")])
def test_lesser_cpus_count_the_same(tmp_path, features, kernel):
    """Without BITALG nibbles are looked up, and without AVX2 bits are counted by byte."""
    if os.uname().machine != "x86_64":
        pytest.skip("these features are of x86-64")
    environment = {"NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": features}
    if (features, kernel) == (AVX2, "portable"):  # not its own choice
        environment["NPBSRN_KERNEL"] = kernel
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, kernel],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
