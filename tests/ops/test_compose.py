import numpy as np
import pytest

from npbsrn.ops.compose import compose
from npbsrn.ops.conv import conv2d
from npbsrn.ops.shuffle import pixel_shuffle
from tests.gradient import check_gradient, directional_error


@pytest.fixture(params=[(2, 3), (3, 3), (2, 5), (4, 3), (2, 1), (2, 9), (3, 9)], ids=lambda p: f"r{p[0]}m{p[1]}")
def case(request, rng):
    r, m = request.param
    shapes = (3, 4, m, m), (3,), (4 * r * r, 5, 3, 3), (4 * r * r,)
    return r, m, [rng.standard_normal(shape) for shape in shapes]


def test_inside_it_is_the_sequence(case, rng):
    r, m, (outer, outer_bias, inner, inner_bias) = case
    x = rng.standard_normal((2, 5, 11, 10))
    plain, _ = conv2d(pixel_shuffle(conv2d(x, inner, inner_bias)[0], r)[0], outer, outer_bias)
    (kernel, bias), _ = compose(outer, outer_bias, inner, inner_bias, r)
    composed, _ = pixel_shuffle(conv2d(x, kernel, bias)[0], r)
    ring = (m // 2 + r - 1) // r * r
    inside = (..., slice(ring, 11 * r - ring), slice(ring, 10 * r - ring))
    np.testing.assert_allclose(composed[inside], plain[inside], atol=1e-11)
    assert ring == 0 or not np.allclose(composed, plain)


def flattened(r, *limits):
    """`compose` with one result."""

    def flat(*arguments):
        (kernel, bias), pull = compose(*arguments, r, *limits)
        cut = kernel.size
        return np.append(kernel, bias), lambda u: pull(u[:cut].reshape(kernel.shape), u[cut:])

    return flat


def test_gradient(case):
    r, _, arguments = case
    check_gradient(flattened(r), *arguments)


def test_a_gradient_that_forgets_a_phase_is_caught(case, monkeypatch):
    r, _, arguments = case
    whole = np.sum
    monkeypatch.setattr(np, "sum", lambda x, axis: x[0, 0] if axis == (0, 1) else whole(x, axis))
    assert directional_error(flattened(r), *arguments) > 1e-3


def test_a_pixel_near_a_border_looks_at_nothing_beyond_it(case, rng):
    """With what is there on each side, the filters of each pixel of a small picture are exact for it."""
    r, _, (outer, outer_bias, inner, inner_bias) = case
    height, width = 2, 3
    x = rng.standard_normal((1, 5, height, width))
    plain, _ = conv2d(pixel_shuffle(conv2d(x, inner, inner_bias)[0], r)[0], outer, outer_bias)
    for h in range(height):
        for v in range(width):
            limits = (h, height - 1 - h), (v, width - 1 - v)
            (kernel, bias), _ = compose(outer, outer_bias, inner, inner_bias, r, *limits)
            own, _ = pixel_shuffle(conv2d(x, kernel, bias)[0], r)
            here = (..., slice(h * r, h * r + r), slice(v * r, v * r + r))
            np.testing.assert_allclose(own[here], plain[here], atol=1e-11)


def test_each_phase_may_have_outer_filters_of_its_own(rng):
    r, shapes = 3, ((3, 3, 2, 4, 5, 5), (3, 3, 2), (36, 5, 3, 3), (36,))
    outer, outer_bias, inner, inner_bias = (rng.standard_normal(shape) for shape in shapes)
    (kernel, bias), _ = compose(outer, outer_bias, inner, inner_bias, r)
    for a in range(r):
        for b in range(r):
            (one, one_bias), _ = compose(outer[a, b], outer_bias[a, b], inner, inner_bias, r)
            phase = slice(a * r + b, None, r * r)
            np.testing.assert_allclose(kernel[phase], one[phase], atol=1e-12)
            np.testing.assert_allclose(bias[phase], one_bias[phase], atol=1e-12)


@pytest.mark.parametrize("limits", [((0, 1), (2, 0)), ((0, 0), (0, 0))])
@pytest.mark.parametrize("phases", [(), (2, 2)])
def test_gradient_near_a_border(rng, limits, phases):
    shapes = (*phases, 3, 4, 9, 9), (*phases, 3), (16, 5, 3, 3), (16,)
    check_gradient(flattened(2, *limits), *(rng.standard_normal(shape) for shape in shapes))
