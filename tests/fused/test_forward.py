"""The statistics of the fused blocks, in the order that their documentation states."""

import numpy as np
import pytest

from npbsrn.fused.forward import _sample_moments, combine
from npbsrn.fused.shared import to_tiles

LANES, CHANNELS = 16, 48


def total(lanes):
    """By halves, in float32."""
    while len(lanes) > 1:
        lanes = lanes[: len(lanes) // 2] + lanes[len(lanes) // 2 :]
    return lanes[0]


def moments_of(values):
    """Mean and sum of squared deviations of one channel: pixel p in lane p % 16, one vector after another."""
    pixels = np.float32(len(values))
    sums = np.zeros(LANES, np.float32)
    for vector in values.reshape(-1, LANES):
        sums = sums + vector
    mean = total(sums) / pixels
    squares = np.zeros(LANES, np.float32)
    for vector in values.reshape(-1, LANES):
        squares = squares + (vector - mean) * (vector - mean)
    return mean, total(squares)


@pytest.mark.parametrize("pixels", [16, 48, 256])
def test_moments_have_one_order(rng, pixels):
    x = (3 + rng.standard_normal((4, CHANNELS, pixels))).astype(np.float32)
    moments, tiles = np.empty((4, CHANNELS, 2), np.float32), np.empty((4, CHANNELS * pixels), np.float32)
    for sample, tile, moment in zip(x, tiles, moments, strict=True):
        to_tiles(sample, tile)
        _sample_moments(tile, pixels, moment)
    np.testing.assert_array_equal(moments, [[moments_of(channel) for channel in sample] for sample in x])
    mean, inverse, variance = (np.empty(CHANNELS, np.float32) for _ in range(3))
    combine(moments, pixels, mean, inverse, variance)
    for c in range(CHANNELS):
        m = v = 0.0
        for s in range(4):
            m += float(moments[s, c, 0])
        m /= 4
        for s in range(4):
            v += float(moments[s, c, 1]) + pixels * (float(moments[s, c, 0]) - m) ** 2
        v = np.float32(v / (4 * pixels))
        assert (mean[c], variance[c], inverse[c]) == (np.float32(m), v, 1 / np.sqrt(v + np.float32(1e-5)))
