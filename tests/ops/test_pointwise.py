import numpy as np
import pytest
from hypothesis import given

from npbsrn.ops import pointwise
from npbsrn.ops.pointwise import mean_magnitude, prelu, scale_channels, weight_by_statistic, weighted_sum
from tests.gradient import check_gradient, directional_error
from tests.strategies import integer_arrays, sides


def test_gradients(rng):
    x = rng.standard_normal((2, 3, 4, 5))
    check_gradient(prelu, x, rng.standard_normal(3))
    check_gradient(scale_channels, x, rng.standard_normal(3))
    check_gradient(mean_magnitude, x)


@given(integer_arrays(2, 3, sides, sides), integer_arrays(3))
def test_prelu_element_by_element(x, slope):
    y, pull = prelu(x, slope)
    dx, _ = pull(np.ones_like(x))
    for index in np.ndindex(*x.shape):
        factor = 1 if x[index] > 0 else slope[index[1]]
        assert y[index] == x[index] * factor
        assert dx[index] == factor


@pytest.mark.parametrize("statistic", ["abs", "mean", "none"])
def test_statistics(rng, statistic):
    a = rng.standard_normal((2, 3, 4, 5))
    y, _ = weight_by_statistic(a, statistic)
    e = {"abs": np.abs(a).mean(1), "mean": a.mean(1), "none": np.ones((2, 4, 5))}[statistic]
    np.testing.assert_allclose(y, a * e[:, None])
    check_gradient(lambda a: weight_by_statistic(a, statistic), a)


def test_a_statistic_taken_for_a_constant_is_caught(rng, monkeypatch):
    monkeypatch.setitem(pointwise.STATISTICS, "abs", (np.abs, np.zeros_like))
    assert directional_error(lambda a: weight_by_statistic(a, "abs"), rng.standard_normal((2, 3, 4, 5))) > 1e-3


@pytest.mark.parametrize("count", [1, 2, 3])
def test_weighted_sum(rng, count):
    terms = [rng.standard_normal((2, 3)) for _ in range(count)]
    weights = rng.standard_normal(count)
    y, _ = weighted_sum(terms, weights)
    np.testing.assert_allclose(y, sum(w * t for w, t in zip(weights, terms, strict=True)))

    def flat(weights, *terms):
        y, pull = weighted_sum(terms, weights)
        return y, lambda dy: (pull(dy)[1], *pull(dy)[0])

    check_gradient(flat, weights, *terms)
