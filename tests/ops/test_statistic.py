import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npbsrn.ops import statistic as statistics
from npbsrn.ops.statistic import weight_by_statistic, weight_by_statistic_ref
from tests.gradient import check_gradient, directional_error
from tests.strategies import drawn, map_shapes


@pytest.mark.parametrize("statistic", ["abs", "mean", "none"])
def test_statistics(rng, statistic):
    a = rng.standard_normal((2, 3, 4, 5))
    y, _ = weight_by_statistic(a, statistic)
    e = {"abs": np.abs(a).mean(1), "mean": a.mean(1), "none": np.ones((2, 4, 5))}[statistic]
    np.testing.assert_allclose(y, a * e[:, None])
    check_gradient(lambda a: weight_by_statistic(a, statistic), a)


def test_a_statistic_taken_for_a_constant_is_caught(rng, monkeypatch):
    monkeypatch.setitem(statistics.STATISTICS, "abs", (np.abs, np.zeros_like))
    assert directional_error(lambda a: weight_by_statistic(a, "abs"), rng.standard_normal((2, 3, 4, 5))) > 1e-3


@settings(max_examples=25, deadline=None)
@given(map_shapes, st.sampled_from(["abs", "mean", "none"]), st.integers(1, 3))
def test_compiled_statistic(shape, statistic, count):
    a, dys = drawn(shape), [drawn(shape, 1 + k) for k in range(count)]
    a[..., ::3] = 0
    (y, pull), (expected, pull_expected) = (of(a, statistic) for of in (weight_by_statistic, weight_by_statistic_ref))
    np.testing.assert_array_equal(y, expected)
    da = pull(*dys)
    np.testing.assert_allclose(da, pull_expected(*dys), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(da, pull(sum(dys[1:], start=dys[0])))  # the sum of all, in this order


def test_threads_change_no_byte(monkeypatch):
    x, dy = drawn((5, 6, 7, 9)), drawn((5, 6, 7, 9), 2)
    results = []
    for threads in (1, 2, 3, 8):
        monkeypatch.setenv("NPBSRN_NUM_THREADS", str(threads))
        term, pull = weight_by_statistic(x, "abs")
        results.append((term.tobytes(), pull(dy).tobytes()))
    assert all(result == results[0] for result in results)
