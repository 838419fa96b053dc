"""The order of sums, stated by loops over Python's numbers, which are float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npbsrn.kernels import filters
from npbsrn.ops.pointwise import mean_magnitude
from npbsrn.ops.statistic import weight_by_statistic
from npbsrn.ops.sums import mean_over, total_by_halves
from tests.strategies import seeds


def uneven(seed, *shape):
    """Numbers of which any other order gives another sum, mostly."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) * 2.0 ** rng.integers(-30, 30, shape)).astype(np.float32)


def by_halves(values):
    values = [float(value) for value in values]
    while len(values) > 1:
        half = (len(values) + 1) // 2
        first, second = values[:half], values[half:]
        values = [a + b for a, b in zip(first, second, strict=False)] + first[len(second) :]
    return values[0]


@given(seeds, st.integers(1, 70) | st.sampled_from([144, 431, 432, 433]))
def test_totals_are_made_by_halves(seed, count):
    values = uneven(seed, 2, count)
    expected = [by_halves(row) for row in values]
    np.testing.assert_array_equal(total_by_halves(values), expected)
    wide = np.concatenate([values, np.full_like(values, np.nan)], axis=1).astype(np.float64)
    np.testing.assert_array_equal([filters.total_by_halves(row, count) for row in wide], expected)


def test_another_order_would_be_seen():
    values = uneven(1, 1, 432).astype(np.float64)
    expected = by_halves(values[0])
    assert total_by_halves(values)[0] == expected
    assert expected not in (values[0].sum(), values[0].cumsum()[-1], total_by_halves(values[:, ::-1])[0])


@pytest.mark.parametrize(("axes", "shape"), [((0, 2, 3), (1, 3, 1, 1)), ((1, 2, 3), (2, 1, 1, 1))])
def test_means(axes, shape):
    x = uneven(2, 2, 3, 4, 5)
    mean = mean_over(x, axes)
    rows = x.transpose(1, 0, 2, 3).reshape(3, -1) if axes == (0, 2, 3) else x.reshape(2, -1)
    assert (mean.shape, mean.dtype) == (shape, np.float32)
    np.testing.assert_array_equal(mean.ravel(), np.float32([by_halves(row) / len(row) for row in rows]))
    np.testing.assert_array_equal(mean_magnitude(x)[0], mean_over(abs(x), (1, 2, 3)).ravel())


@pytest.mark.parametrize("statistic", ["abs", "mean"])
@given(seeds, st.integers(1, 70), st.integers(1, 3), st.integers(1, 3))
def test_channels_are_added_one_after_another(statistic, seed, channels, height, width):
    """In float32, as the kernels do it; also for one pixel, whose channels NumPy's mean adds in another order."""
    a = uneven(seed, 1, channels, height, width)
    y, _ = weight_by_statistic(a, statistic)
    for h, w in np.ndindex(height, width):
        total = np.float32(0)
        for value in a[0, :, h, w]:
            total += abs(value) if statistic == "abs" else value
        np.testing.assert_array_equal(y[0, :, h, w], total / np.float32(channels) * a[0, :, h, w])
