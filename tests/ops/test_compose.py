import numpy as np
import pytest

from npbsrn.ops.compose import compose
from npbsrn.ops.conv import conv2d
from npbsrn.ops.shuffle import pixel_shuffle
from tests.gradient import check_gradient


@pytest.fixture(params=[(2, 3), (3, 3), (2, 5), (4, 3), (2, 1)], ids=lambda p: f"r{p[0]}m{p[1]}")
def case(request, rng):
    r, m = request.param
    shapes = (3, 4, m, m), (3,), (4 * r * r, 5, 3, 3), (4 * r * r,)
    return r, m, [rng.standard_normal(shape) for shape in shapes]


def test_inside_it_is_the_sequence(case, rng):
    r, m, (outer, outer_bias, inner, inner_bias) = case
    x = rng.standard_normal((2, 5, 9, 8))
    plain, _ = conv2d(pixel_shuffle(conv2d(x, inner, inner_bias)[0], r)[0], outer, outer_bias)
    (kernel, bias), _ = compose(outer, outer_bias, inner, inner_bias, r)
    composed, _ = pixel_shuffle(conv2d(x, kernel, bias)[0], r)
    ring = (m // 2 + r - 1) // r * r
    inside = (..., slice(ring, 9 * r - ring), slice(ring, 8 * r - ring))
    np.testing.assert_allclose(composed[inside], plain[inside], atol=1e-11)
    assert ring == 0 or not np.allclose(composed, plain)


def test_gradient(case):
    r, _, arguments = case

    def flat(*arguments):
        (kernel, bias), pull = compose(*arguments, r)
        cut = kernel.size
        return np.append(kernel, bias), lambda u: pull(u[:cut].reshape(kernel.shape), u[cut:])

    check_gradient(flat, *arguments)
