import numpy as np
import pytest

from npbsrn.networks.base import make_network
from npbsrn.storage.params import leaves
from npbsrn.training.optimizer import EPSILON, Vector, adam, adam_ref, clip_norm, keep_within, moving_average

NAMES = ("a", "b.running_mean", "c")


@pytest.fixture
def arrays(rng):
    return {name: rng.standard_normal((2, 3)) for name in NAMES}


def test_a_vector_is_its_arrays(arrays):
    vector = Vector(arrays)
    assert list(vector) == ["a", "c", "b.running_mean"]
    for name in NAMES:
        np.testing.assert_array_equal(vector[name], arrays[name])
    vector.vector[:] = 7
    assert all(np.all(a == 7) for a in vector.values())
    assert not np.any(arrays["a"] == 7)


def test_adam_follows_algorithm_1(rng):
    """The readable reference, scalar by scalar, five steps, with decay."""
    param, m, v = rng.standard_normal(3), np.zeros(3), np.zeros(3)
    expected, first, second = param.copy(), np.zeros(3), np.zeros(3)
    for step in range(5):
        grad = rng.standard_normal(3)
        for i in range(3):
            g = grad[i] + 0.01 * expected[i]
            first[i] = 0.5 * first[i] + 0.5 * g
            second[i] = 0.9 * second[i] + 0.1 * g * g
            m_hat, v_hat = first[i] / (1 - 0.5 ** (step + 1)), second[i] / (1 - 0.9 ** (step + 1))
            expected[i] -= 0.1 * m_hat / (np.sqrt(v_hat) + EPSILON)
        param, m, v = adam_ref(param, grad, m, v, step, 0.1, 0.5, 0.9, 0.01)
        np.testing.assert_allclose(param, expected)


def test_latent_filters_are_marked_as_their_schemes_declare():
    for scheme, count in (("bam", 2 * 2 * (9 + 1 + 1) * 16), ("bnn", 2 * 2 * (9 + 1 + 1) * 16), ("none", 0)):
        network = make_network({"scale": 4, "blocks": 2, "width": 4, "binarizer": scheme})
        params = Vector(dict(leaves(network.init(0))))
        marked = params.mark(network.latent())
        assert marked.shape == params.vector.shape
        assert marked.sum() == network.count_parameters(params.nested)["binary"] == count
        for name, own in Vector({name: np.array(a) for name, a in _split(params, marked)}).items():
            assert np.all(own) == (name in network.latent())


def _split(params, marked):
    ends = np.cumsum([a.size for a in params.values()])
    return zip(params, np.split(marked, ends[:-1]), strict=True)


def test_latent_filters_are_kept_within_their_bound():
    params = Vector({"a.weight": np.array([-3.0, 0.5, 2.0]), "b.weight": np.array([4.0])})
    keep_within(params, {"a.weight": 1.0})
    np.testing.assert_array_equal(params.vector, [-1, 0.5, 1, 4])


@pytest.mark.parametrize("factor", [1.0, 0.2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_adam_equals_its_twin(rng, arrays, dtype, factor):
    arrays |= {"d.weight": np.ones((2, 3)), "d.binarizer.beta": np.ones((2, 3))}
    rates = {"d.weight": 0.1 * factor}
    params = Vector({name: a.astype(dtype) for name, a in arrays.items()})
    learned = [name for name in params if ".running_" not in name]
    m, v = (Vector({name: np.zeros((2, 3), dtype) for name in learned}) for _ in range(2))
    binary = m.mark(["d.weight"])
    twins = {name: (params[name].copy(), m[name].copy(), v[name].copy()) for name in learned}
    for step in range(4):
        grads = {name: rng.standard_normal((2, 3)).astype(dtype) for name in reversed(learned)}
        adam(
            params, np.concatenate([grads[n].ravel() for n in m]), m, v, step, *(0.1, 0.9, 0.999, 0.01), factor, binary
        )
        for name in learned:
            rate = rates.get(name, 0.1)
            twins[name] = adam_ref(twins[name][0], grads[name], *twins[name][1:], step, rate, 0.9, 0.999, 0.01)
            for a, b in zip((params[name], m[name], v[name]), twins[name], strict=True):
                np.testing.assert_allclose(a, b, rtol=100 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(params["b.running_mean"], arrays["b.running_mean"].astype(dtype))


def test_moving_average():
    average, params = Vector({"a": np.zeros(1)}), Vector({"a": np.ones(1)})
    for step in range(2000):
        moving_average(average, params, step, 0.99)
        if step == 0:
            assert average["a"] == pytest.approx(0.9)
    assert average["a"] == pytest.approx(1)
    moving_average(average, Vector({"a": np.full(1, 3.0)}), 5, 0.0)
    assert average["a"] == 3


def test_clip_norm(rng):
    grad = rng.standard_normal(50)
    norm = np.linalg.norm(grad)
    assert clip_norm(grad, 0) is grad
    assert clip_norm(grad, 2 * norm) is grad
    clipped = clip_norm(grad, norm / 3)
    np.testing.assert_allclose(clipped * 3, grad)
