import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npbsrn.ops.norm import EPS, affine, batch_norm, batch_norm_ref, norm_prelu, standardize
from npbsrn.ops.pointwise import prelu_ref
from tests.gradient import check_gradient, directional_error


@pytest.fixture
def x(rng):
    return 3 + 2 * rng.standard_normal((4, 3, 5, 6))


@pytest.mark.parametrize("axes", [(0, 2, 3), (1, 2, 3)])
def test_standardize(x, axes):
    y, mean, variance, _ = standardize(x, axes)
    np.testing.assert_allclose(y.mean(axes), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axes), x.var(axes) / (x.var(axes) + EPS))
    np.testing.assert_allclose(mean, x.mean(axes, keepdims=True))
    np.testing.assert_allclose(variance, x.var(axes, keepdims=True))


def standardized(x, axes):
    y, _, _, pull = standardize(x, axes)
    return y, pull


@pytest.mark.parametrize("axes", [(0, 2, 3), (1, 2, 3)])
def test_gradient_of_standardize(x, axes):
    check_gradient(lambda x: standardized(x, axes), x)


def test_a_gradient_that_forgets_the_variance_is_caught(x):
    def forgetful(x):
        y, _, variance, _ = standardize(x, (0, 2, 3))
        return y, lambda dy: (dy - dy.mean((0, 2, 3), keepdims=True)) / np.sqrt(variance + EPS)

    assert directional_error(forgetful, x) > 1e-4


def test_gradient_of_affine(rng, x):
    check_gradient(affine, x, rng.standard_normal(3), rng.standard_normal(3))


@pytest.mark.parametrize("train", [True, False])
def test_gradient_of_batch_norm(rng, x, train):
    mean, variance = rng.standard_normal(3), rng.random(3) + 0.5

    def normed(x, gain, shift):
        return batch_norm(x, gain, shift, (mean.copy(), variance.copy()), train)

    check_gradient(normed, x, rng.standard_normal(3), rng.standard_normal(3))


def test_running_averages_move_towards_the_batch_in_training_alone(x):
    mean, variance = np.zeros(3), np.ones(3)
    batch_norm(x, np.ones(3), np.zeros(3), (mean, variance), train=False)
    assert not mean.any()
    for _ in range(200):
        batch_norm(x, np.ones(3), np.zeros(3), (mean, variance), train=True)
    np.testing.assert_allclose(mean, x.mean((0, 2, 3)))
    np.testing.assert_allclose(variance, x.var((0, 2, 3), ddof=1))


def test_converged_running_averages_give_the_training_result(x):
    gain, shift = np.array([1.0, -2.0, 0.0]), np.array([0.0, 1.0, 2.0])
    running = x.mean((0, 2, 3)), x.var((0, 2, 3))
    y, _ = batch_norm(x, gain, shift, running, train=False)
    z, _ = batch_norm(x, gain, shift, (running[0].copy(), running[1].copy()), train=True)
    np.testing.assert_allclose(y, z)


def test_one_pixel_has_no_sample_variance_but_does_no_harm():
    running = np.zeros(1), np.ones(1)
    y, _ = batch_norm(np.full((1, 1, 1, 1), 5.0), np.ones(1), np.zeros(1), running, train=True)
    assert y.item() == 0
    assert np.all(np.isfinite(running))


shapes = st.tuples(st.integers(1, 6), st.integers(1, 20), st.integers(1, 9), st.integers(1, 40))


@settings(max_examples=40, deadline=None)
@given(shapes, st.integers(0, 999))
def test_compiled_equals_its_twin(shape, seed):
    """Results and statistics to the bit, cotangents but for the order of sums."""
    rng = np.random.default_rng(seed)
    x, dy = (rng.standard_normal(shape).astype(np.float32) * 2 + 1 for _ in range(2))
    gain, shift, mean, spread = (rng.standard_normal(shape[1]).astype(np.float32) for _ in range(4))
    results = []
    for operation in (batch_norm, batch_norm_ref):
        running = mean.copy(), spread**2
        y, pull = operation(x, gain, shift, running, train=True)
        results.append(((y, *running), pull(dy)))
    (own, down), (expected, down_expected) = results
    for a, b in zip(own, expected, strict=True):
        assert a.dtype == np.float32
        np.testing.assert_array_equal(a, b)
    for a, b in zip(down, down_expected, strict=True):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * np.abs(b).max() + 1e-4)


def norm_prelu_ref(x, gain, shift, slope, running):
    z, pull_norm = batch_norm_ref(x, gain, shift, running, train=True)
    y, pull_prelu = prelu_ref(z, slope)

    def pull(dy):
        dz, dslope = pull_prelu(dy)
        return *pull_norm(dz), dslope

    return y, pull


@settings(max_examples=40, deadline=None)
@given(shapes, st.integers(0, 999))
def test_with_prelu_it_equals_the_two(shape, seed):
    """Slopes of any sign: what PReLU's input was is computed again."""
    rng = np.random.default_rng(seed)
    x, dy = (rng.standard_normal(shape).astype(np.float32) * 2 + 1 for _ in range(2))
    gain, shift, slope = (rng.standard_normal(shape[1]).astype(np.float32) for _ in range(3))
    results = []
    for operation in (norm_prelu, norm_prelu_ref):
        running = np.zeros(shape[1], np.float32), np.ones(shape[1], np.float32)
        y, pull = operation(x, gain, shift, slope, running)
        results.append(((y, *running), pull(dy)))
    (own, down), (expected, down_expected) = results
    for a, b in zip(own, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(down, down_expected, strict=True):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * np.abs(b).max() + 1e-4)


def test_gradient_with_prelu(rng, x):
    mean, variance = rng.standard_normal(3), rng.random(3) + 0.5

    def normed(x, gain, shift, slope):
        return norm_prelu(x, gain, shift, slope, (mean.copy(), variance.copy()))

    check_gradient(normed, x, *rng.standard_normal((3, 3)))


def test_threads_change_no_byte(rng, monkeypatch):
    x, dy = (rng.standard_normal((5, 20, 6, 41)).astype(np.float32) for _ in range(2))
    gain, shift = rng.standard_normal((2, 20)).astype(np.float32)
    results = []
    for threads in (1, 2, 3):
        monkeypatch.setenv("NPBSRN_NUM_THREADS", str(threads))
        running = np.zeros(20, np.float32), np.ones(20, np.float32)
        y, pull = batch_norm(x, gain, shift, running, train=True)
        results.append([part.tobytes() for part in (y, *running, *pull(dy))])
    assert all(result == results[0] for result in results)
