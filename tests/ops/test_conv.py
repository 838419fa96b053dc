import numpy as np
import pytest
from hypothesis import given

from npbsrn.ops import conv
from npbsrn.ops.conv import conv2d, conv2d_ref
from npbsrn.ops.pointwise import multiply_add
from tests.gradient import check_gradient, directional_error
from tests.other_cpus import CPUS, run_held
from tests.strategies import convolutions


def naive(x, w, bias, pad_value):
    """The sum of the docstring, term by term."""
    (n, _, height, width), (outputs, _, size, _) = x.shape, w.shape
    margin = size // 2
    padded = np.pad(x, ((0, 0), (0, 0), (margin, margin), (margin, margin)), constant_values=pad_value)
    y = np.empty((n, outputs, height, width))
    for index in np.ndindex(*y.shape):
        b, o, h, v = index
        y[index] = bias[o] + np.sum(w[o] * padded[b, :, h : h + size, v : v + size])
    return y


@given(convolutions())
def test_equals_the_naive_sum(case):
    x, w, bias, pad_value = case
    y, _ = conv2d(x, w, bias, pad_value)
    np.testing.assert_array_equal(y, naive(x, w, bias, pad_value))


@given(convolutions())
def test_bands_change_nothing(case):
    x, w, bias, pad_value = case
    y, pull = conv2d(x, w, bias, pad_value)
    grads = pull(y)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conv, "COLUMN_VALUES", 1)
        z, pull = conv2d(x, w, bias, pad_value)
        np.testing.assert_array_equal(y, z)
        for a, b in zip(grads, pull(z), strict=True):
            np.testing.assert_array_equal(a, b)


@given(convolutions(sizes=(3, 5, 7, 9), width=40))
def test_compiled_equals_readable(case):
    """Whole numbers in float32: exactly."""
    check_compiled(*case)


@pytest.mark.parametrize("size", [3, 5, 7, 9])
@pytest.mark.parametrize(("inputs", "outputs"), [(3, 64), (64, 3), (9, 8), (8, 9), (33, 1)])
@pytest.mark.parametrize("pad_value", [0, 1])
def test_few_inputs_and_few_outputs(rng, size, inputs, outputs, pad_value):
    shapes = (3, inputs, 5, 21), (outputs, inputs, size, size), (outputs,)
    check_compiled(*(rng.integers(-3, 4, shape) for shape in shapes), pad_value)


def check_compiled(x, w, bias, pad_value):
    x, w, bias = (a.astype(np.float32) for a in (x, w, bias))
    y, pull = conv2d(x, w, bias, pad_value)
    y_ref, pull_ref = conv2d_ref(x, w, bias, pad_value)
    np.testing.assert_array_equal(y, y_ref)
    dy = y % 7 - 3
    for a, b in zip(pull(dy), pull_ref(dy), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("shape", [(1, 3, 11, 33), (8, 48, 3, 16)])
@pytest.mark.parametrize(("outputs", "size"), [(20, 3), (3, 9)])
def test_the_number_of_threads_changes_no_byte(rng, monkeypatch, shape, outputs, size):
    x, w = (rng.standard_normal(s).astype(np.float32) for s in (shape, (outputs, shape[1], size, size)))
    results = []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("NPBSRN_NUM_THREADS", threads)
        y, pull = conv2d(x, w)
        results.append([a.tobytes() for a in (y, *pull(y)[:2])])
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("size", [1, 3, 9])
@pytest.mark.parametrize("pad_value", [0.0, 1.0])
def test_gradient(rng, size, pad_value):
    x, w, b = (
        rng.standard_normal((2, 3, 5, 7)),
        rng.standard_normal((4, 3, size, size)),
        rng.standard_normal(4),
    )
    check_gradient(lambda x, w, b: conv2d(x, w, b, pad_value), x, w, b)


def test_without_a_bias_there_is_no_gradient_of_one(rng):
    y, pull = conv2d(rng.standard_normal((1, 2, 3, 3)), rng.standard_normal((2, 2, 3, 3)))
    assert pull(y)[2] is None


@pytest.mark.parametrize("part", ["dx", "dw"])
def test_unturned_filters_in_the_compiled_backward_pass_are_caught(rng, monkeypatch, part):
    x, w, dy = (rng.integers(-3, 4, shape).astype(np.float32) for shape in ((4, 9, 9, 9), (3, 9, 7, 7), (4, 3, 9, 9)))
    right = dict(zip(("dx", "dw"), conv2d_ref(x, w)[1](dy), strict=False))
    monkeypatch.setattr(conv, "_turned", lambda w: w.transpose(1, 0, 2, 3))
    wrong = dict(zip(("dx", "dw"), conv2d(x, w)[1](dy), strict=False))
    assert np.any(wrong[part] != right[part])


@pytest.mark.parametrize("size", [3, 7, 9])
def test_the_head_is_fused_input_after_input(size):
    """Its result decides signs, so that each of its roundings is written down: channel, row, tap."""
    check_head(size)


def check_head(size):
    rng = np.random.default_rng(size)
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((1, 3, 9, 21), (10, 3, size, size)))
    y, _ = conv2d(x, w)
    padded = np.pad(x[0], ((0, 0), (size // 2,) * 2, (size // 2,) * 2))
    expected = np.zeros_like(y[0])
    for c, i, j in np.ndindex(3, size, size):
        expected = multiply_add(padded[c, i : i + 9, j : j + 21], w[:, c, i, j, None, None], expected)
    np.testing.assert_array_equal(y[0], expected)


@pytest.mark.slow
@pytest.mark.parametrize("cpu", CPUS)
def test_the_head_is_the_same_on_every_cpu(tmp_path, cpu):
    run_held(cpu, tmp_path, f"from {__name__} import check_head; check_head(3); check_head(9)")


@pytest.mark.slow
@pytest.mark.parametrize("cpu", CPUS)
def test_lesser_cpus_convolve_whole_numbers_exactly(tmp_path, cpu):
    program = (
        f"import numpy as np; from {__name__} import check_compiled; rng = np.random.default_rng(0)\n"
        "for inputs, outputs, size in ((3, 3, 3), (3, 20, 9), (20, 3, 9), (20, 20, 7), (17, 8, 5)):\n"
        "    shapes = (3, inputs, 5, 21), (outputs, inputs, size, size), (outputs,)\n"
        "    check_compiled(*(rng.integers(-3, 4, shape) for shape in shapes), 0)"
    )
    run_held(cpu, tmp_path, program)


def test_unturned_filters_in_the_backward_pass_are_caught(rng, monkeypatch):
    monkeypatch.setattr(np, "flip", lambda w, axis: w)
    x, w, b = rng.standard_normal((2, 3, 5, 7)), rng.standard_normal((4, 3, 3, 3)), rng.standard_normal(4)
    assert directional_error(conv2d, x, w, b) > 1e-3
