"""The binary convolution against its readable reference, and that against its own derivative."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npbsrn.ops.binary_conv import binary_conv, binary_conv_ref, filter_offset
from npbsrn.ops.bits import pack
from npbsrn.ops.conv import conv2d_ref
from tests.gradient import check_gradient, directional_error

widths = st.sampled_from([16, 32, 48, 64, 80, 96])
cases = st.fixed_dictionaries(
    {
        "n": st.integers(1, 6),
        "inputs": widths,
        "outputs": widths,
        "height": st.integers(1, 6),
        "width": st.integers(1, 50),
        "size": st.sampled_from([1, 3]),
        "bases": st.integers(1, 3),
        "terms": st.integers(1, 3),
        "base": st.sampled_from([0.0, 0.5, -0.25]),
        "pad": st.sampled_from([1.0, -1.0]),
        "seed": st.integers(0, 999),
    }
)


def draw(n, inputs, outputs, height, width, size, bases, terms, base, pad, seed, dtype=np.float32, whole=True):
    """Arguments of the operation, and a cotangent; whole numbers make every sum exact in float32."""
    rng = np.random.default_rng(seed)

    def signs(*shape):
        return rng.choice(np.array([-1, 1], dtype), shape)

    def numbers(*shape):
        drawn = rng.integers(-4, 5, shape) / 4 if whole else rng.standard_normal(shape)
        return drawn.astype(dtype)

    bits = [signs(n, inputs, height, width) for _ in range(bases)]
    filters = [signs(outputs, inputs, size, size) for _ in range(terms)]
    args = bits, numbers(bases), filters, numbers(terms, outputs), base, pad
    return args, numbers(n, outputs, height, width)


def spreads(args, dy):
    """For each cotangent the root of the sum of its squared terms: about as large as a sum of random signs would be.

    A sum that happens to be near 0 is rounded no better than others, so errors are held against this. Every term is a
    product of arguments, so the twin finds the sum at their squares.
    """
    bits, coefs, filters, scales, base, pad = args
    _, pull = binary_conv_ref([b * b for b in bits], coefs**2, [f * f for f in filters], scales**2, base**2, pad**2)
    return [np.sqrt(own) for own in flat(pull(dy**2))]


def assert_near(results, expected, sizes, tolerance):
    for own, other, size in zip(results, expected, sizes, strict=True):
        np.testing.assert_allclose(own, other, rtol=0, atol=tolerance * size.max())


def flat(results):
    """Cotangents without the lists among them, and without what is not there."""
    parts = [own for result in results for own in (result if isinstance(result, list) else [result])]
    return [own for own in parts if own is not None]


@settings(max_examples=30, deadline=None)
@given(cases)
def test_equals_its_twin(case):
    """Every number is a multiple of 1/64, so that no order of sums matters.

    Winograd's filtering, of 3x3 filters, divides by other numbers: there the nearest multiple is the right one, and
    sums of thousands of such cotangents are right but for their roundings.
    """
    args, dy = draw(**case)
    y, pull = binary_conv(*packed(args))
    expected, pull_expected = binary_conv_ref(*args)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, expected)
    results, wanted = flat(pull(dy)), flat(pull_expected(dy))
    assert all(own.dtype == np.float32 for own in results)
    if case["size"] == 3:
        results = [np.round(64 * own) / 64 if own.ndim == 4 else own for own in results]
        assert_near(results, wanted, spreads(args, dy), 1e-5)
    for own, other in zip(results, wanted, strict=True):
        if case["size"] == 1 or own.ndim == 4:
            np.testing.assert_array_equal(own, other)


@settings(max_examples=20, deadline=None)
@given(cases)
def test_forward_equals_its_twin_to_the_bit(case):
    """Any numbers: the order of roundings is written down."""
    args, dy = draw(**case, whole=False)
    y, pull = binary_conv(*packed(args))
    expected, pull_expected = binary_conv_ref(*args)
    np.testing.assert_array_equal(y, expected)
    assert_near(flat(pull(dy)), flat(pull_expected(dy)), spreads(args, dy), 1e-4)


@settings(max_examples=30, deadline=None)
@given(cases, st.booleans())
def test_with_prelu_it_equals_its_twin(case, positive):
    """Slopes that are not all above 0 make PReLU an operation of its own."""
    args, dy = draw(**case, whole=False)
    rng = np.random.default_rng(case["seed"])
    slope = rng.uniform(0.01 if positive else -1, 1, case["outputs"]).astype(np.float32)
    y, pull = binary_conv(*packed(args), slope)
    expected, pull_expected = binary_conv_ref(*args, slope)
    np.testing.assert_array_equal(y, expected)
    results, wanted = flat(pull(dy)), flat(pull_expected(dy))
    assert len(results) == len(wanted) == case["bases"] + case["terms"] + 3
    assert all(own.dtype == np.float32 for own in results)
    sizes = [*spreads(args, dy), np.sqrt(np.sum((dy * y) ** 2, axis=(0, 2, 3)))]  # slopes are 1 at most
    assert_near(results, wanted, sizes, 1e-4)


def test_the_result_is_held_for_prelu_alone():
    """Without one there are bits to go back by, and memory for the next layer."""
    args, _ = draw(2, 16, 32, 3, 17, 3, 1, 1, 0.0, 1.0, 4)
    for slope in (None, np.full(32, 0.25, np.float32)):
        y, pull = binary_conv(*packed(args), slope)
        held = [cell.cell_contents for cell in pull.__closure__]
        assert any(isinstance(a, np.ndarray) and np.shares_memory(a, y) for a in held) == (slope is not None)


@pytest.mark.parametrize("where", [0.0, -0.25, 1e-30])
def test_slopes_by_which_nothing_can_be_divided(where):
    args, dy = draw(2, 16, 32, 3, 17, 3, 1, 1, 0.0, 1.0, 4)
    slope = np.full(32, 0.25, np.float32)
    slope[5] = where
    (y, pull), (expected, pull_expected) = binary_conv(*packed(args), slope), binary_conv_ref(*args, slope)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_allclose(pull(dy)[-1], pull_expected(dy)[-1], rtol=1e-4)


def packed(args, pad=None):
    """The same arguments with bits for signs."""
    return [pack(own, pad or args[-1]) for own in args[0]], *args[1:]


@pytest.mark.parametrize("pad", [1.0, -1.0])
def test_bits_may_have_been_padded_otherwise(pad):
    args, dy = draw(2, 16, 16, 3, 17, 3, 2, 1, 0.5, pad, 9)
    y, pull = binary_conv(*packed(args, -pad))
    expected, pull_expected = binary_conv(*packed(args))
    np.testing.assert_array_equal(y, expected)
    for own, other in zip(flat(pull(dy)), flat(pull_expected(dy)), strict=True):
        np.testing.assert_array_equal(own, other)


@pytest.mark.parametrize("change", [{"outputs": 24}, {"pad": 0.0}], ids=str)
def test_bits_where_the_twin_is_taken(change):
    case = {
        "n": 2, "inputs": 16, "outputs": 16, "height": 3, "width": 5, "size": 3, "bases": 2, "terms": 2, "base": 0.5,
        "pad": 1.0, "seed": 1,
    }  # fmt: skip
    args, _ = draw(**case | change)
    np.testing.assert_array_equal(binary_conv(*packed(args, 1.0))[0], binary_conv_ref(*args)[0])


def test_floats_are_not_taken_for_signs():
    """As activations of a scheme that leaves them as they are, whatever stands around them."""
    (bits, *rest), _ = draw(2, 16, 16, 3, 17, 3, 1, 1, 0.0, 1.0, 9)
    y, expected = (conv([bits[0] * 3], *rest)[0] for conv in (binary_conv, binary_conv_ref))
    np.testing.assert_array_equal(y, expected)
    assert np.any(y != binary_conv([pack(bits[0], 1.0)], *rest)[0])


def test_sums_of_signs_are_exact():
    """With factors of one the result is the whole number itself."""
    (bits, _, signs, *_), _ = draw(2, 64, 64, 5, 41, 3, 1, 1, 0.0, -1.0, 7)
    ones = np.ones(1, np.float32), signs, np.ones((1, 64), np.float32)
    y, _ = binary_conv([pack(bits[0], -1.0)], *ones, 0.0, -1.0)
    np.testing.assert_array_equal(y, conv2d_ref(bits[0], signs[0], pad_value=-1.0)[0])


@pytest.mark.parametrize("size", [1, 3])
def test_threads_change_no_byte(monkeypatch, size):
    args, dy = draw(5, 64, 48, 6, 41, size, 2, 2, 0.5, -1.0, 3, whole=False)
    results = []
    for threads in (1, 2, 3, 8):
        monkeypatch.setenv("NPBSRN_NUM_THREADS", str(threads))
        y, pull = binary_conv(*packed(args))
        results.append([own.tobytes() for own in (y, *flat(pull(dy)))])
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("change", [{}, {"inputs": 20}, {"size": 5}, {"pad": 0.0}, {"dtype": np.float64}], ids=str)
def test_arrays_take_the_twin(change):
    case = {
        "n": 2, "inputs": 16, "outputs": 16, "height": 3, "width": 5, "size": 3, "bases": 2, "terms": 2, "base": 0.5,
        "pad": 1.0, "seed": 1,
    }  # fmt: skip
    args, dy = draw(**case | change)
    y, pull = binary_conv(*args)
    expected, pull_expected = binary_conv_ref(*args)
    np.testing.assert_array_equal(y, expected)
    for own, other in zip(flat(pull(dy)), flat(pull_expected(dy)), strict=True):
        np.testing.assert_array_equal(own, other)


def of_floats(conv, base, pad, bases=2, terms=2):
    """The operation as a function of arrays, which a gradient check moves: +-1 becomes any number."""

    def function(*arrays):
        bits, coefs, signs, scales = arrays[:bases], arrays[bases], arrays[bases + 1 : -1], arrays[-1]
        y, pull = conv(bits, coefs, signs, scales, base, pad)
        return y, lambda dy: tuple(flat(pull(dy)))

    return function


@pytest.mark.parametrize("base", [0.0, 0.5])
@pytest.mark.parametrize("size", [1, 3])
def test_gradient(base, size):
    (bits, coefs, signs, scales, _, pad), _ = draw(
        2, 3, 4, 3, 5, size, 2, 2, base, -1.0, 11, dtype=np.float64, whole=False
    )
    check_gradient(of_floats(binary_conv, base, pad), *bits, coefs, *signs, scales)


def test_gradient_with_prelu():
    (bits, coefs, signs, scales, base, pad), _ = draw(
        2, 3, 4, 3, 5, 3, 2, 2, 0.5, -1.0, 11, dtype=np.float64, whole=False
    )
    slope = np.array([0.25, -0.5, 0.1, 0.7])

    def function(*arrays):
        y, pull = binary_conv(arrays[:2], arrays[2], arrays[3:5], arrays[5], base, pad, arrays[6])
        return y, lambda dy: tuple(flat(pull(dy)))

    check_gradient(function, *bits, coefs, *signs, scales, slope)


@pytest.mark.parametrize("nth", range(6))
def test_the_check_finds_a_planted_bug(nth):
    """Each cotangent in turn loses the offset's part, or a part of its scale."""
    (bits, coefs, signs, scales, base, pad), _ = draw(
        2, 3, 4, 3, 5, 3, 2, 2, 0.5, -1.0, 11, dtype=np.float64, whole=False
    )

    def broken(*args):
        y, pull = binary_conv_ref(*args)

        def wrong(dy):
            parts = flat(pull(dy))
            parts[nth] = parts[nth] * 1.01
            return parts[:2], parts[2], parts[3:5], parts[5], None

        return y, wrong

    assert directional_error(of_floats(broken, base, pad), *bits, coefs, *signs, scales) > 1e-5


def test_offset_is_what_the_base_adds():
    """``base + bits`` convolved in float64, where the base stands around the picture, too."""
    (bits, coefs, signs, scales, base, pad), _ = draw(1, 16, 16, 4, 4, 3, 1, 2, 0.5, -1.0, 5, dtype=np.float64)
    filters = sum(own * scale[:, None, None, None] for own, scale in zip(signs, scales, strict=True))
    whole, _ = conv2d_ref(base + coefs[0] * bits[0], filters, pad_value=base + coefs[0] * pad)
    y, _ = binary_conv(bits, coefs, signs, scales, base, pad)
    np.testing.assert_allclose(y, whole, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        filter_offset(signs, scales, base), conv2d_ref(np.full((1, 16, 3, 3), base), filters)[0][0, :, 1, 1], atol=1e-12
    )
