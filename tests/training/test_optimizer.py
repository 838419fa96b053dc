import numpy as np
import pytest

from npbsrn.training.optimizer import EPSILON, adam, moving_average


def test_adam_follows_algorithm_1(rng):
    """Scalar by scalar, five steps, with decay."""
    params = {"a": rng.standard_normal(3), "fixed": np.ones(2)}
    m, v = ({"a": np.zeros(3)} for _ in range(2))
    expected = params["a"].copy()
    first, second = np.zeros(3), np.zeros(3)
    for step in range(5):
        grads = {"a": rng.standard_normal(3)}
        for i in range(3):
            g = grads["a"][i] + 0.01 * expected[i]
            first[i] = 0.5 * first[i] + 0.5 * g
            second[i] = 0.9 * second[i] + 0.1 * g * g
            m_hat, v_hat = first[i] / (1 - 0.5 ** (step + 1)), second[i] / (1 - 0.9 ** (step + 1))
            expected[i] -= 0.1 * m_hat / (np.sqrt(v_hat) + EPSILON)
        before = {name: a.copy() for name, a in params.items()}
        old = params
        params, m, v = adam(params, grads, m, v, step, 0.1, 0.5, 0.9, 0.01)
        assert all(np.array_equal(old[name], before[name]) for name in old)  # nothing in place
        np.testing.assert_allclose(params["a"], expected)
    np.testing.assert_array_equal(params["fixed"], 1)


def test_moving_average():
    average = {"a": np.zeros(1)}
    for step in range(2000):
        average = moving_average(average, {"a": np.ones(1)}, step, 0.99)
        if step == 0:
            assert average["a"] == pytest.approx(0.9)
    assert average["a"] == pytest.approx(1)
    assert moving_average({"a": np.zeros(1)}, {"a": np.ones(1)}, 5, 0.0)["a"] == 1
