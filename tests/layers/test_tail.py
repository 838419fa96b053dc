import numpy as np
import pytest

from npbsrn.layers.base import Trace
from npbsrn.layers.tail import Tail
from npbsrn.ops.conv import conv2d_ref
from tests.gradient import check_gradient


def make_tail(rng, factors, width=4, **options):
    """A tail and parameters with biases."""
    tail = Tail(factors, width, **options)
    params = tail.init(rng, np.float64)
    for layer in (params[name] for name in params if "bias" in params[name]):
        layer["bias"] += rng.standard_normal(layer["bias"].shape)
    return tail, params


@pytest.mark.parametrize(("last", "ring"), [(3, 1), (9, 2)])
@pytest.mark.parametrize("factors", [(2,), (3,), (2, 2)])
def test_composed_equals_plain_but_for_the_outermost_ring(rng, factors, last, ring):
    tail, params = make_tail(rng, factors, last=last)
    x = rng.standard_normal((2, 4, 7, 6))
    composed, _ = tail.apply(params, x, train=True)
    plain, _ = tail.apply(params, x, train=False)
    ring *= int(np.prod(factors))
    inside = (..., slice(ring, -ring), slice(ring, -ring))
    np.testing.assert_allclose(composed[inside], plain[inside], atol=1e-13)
    assert not np.allclose(composed, plain)


@pytest.mark.parametrize("last", [3, 9])
def test_without_stages_it_is_the_last_convolution(rng, last):
    tail, params = make_tail(rng, (), last=last)
    assert list(params) == ["last"]
    assert params["last"]["weight"].shape == (3, 4, last, last)
    x = rng.standard_normal((1, 4, 5, 6))
    composed, _ = tail.apply(params, x, train=True)
    plain, _ = tail.apply(params, x, train=False)
    np.testing.assert_array_equal(composed, plain)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("train", [True, False])
def test_a_direct_tail_is_one_convolution_and_one_shuffle(rng, scale, train):
    tail, params = make_tail(rng, (scale,), last=None)
    assert {name for name in params if params[name]} == {"conv1"}
    w, bias = params["conv1"]["weight"], params["conv1"]["bias"]
    assert w.shape == (3 * scale**2, 4, 3, 3)
    x = rng.standard_normal((2, 4, 5, 6))
    phases = conv2d_ref(x, w, bias)[0].reshape(2, 3, scale, scale, 5, 6)  # colours, rows and columns within a pixel
    expected = phases.transpose(0, 1, 4, 2, 5, 3).reshape(2, 3, 5 * scale, 6 * scale)
    np.testing.assert_allclose(tail.apply(params, x, train)[0], expected, atol=1e-13)


@pytest.mark.parametrize(("factors", "last"), [((), 3), ((3,), 9), ((2, 2), 9), ((3,), None), ((2, 2), None)])
@pytest.mark.parametrize("composed", [True, False])
def test_gradient(rng, factors, last, composed):
    tail, params = make_tail(rng, factors, width=2, composed=composed, last=last)
    names = [(name, kind) for name in params for kind in params[name]]

    def flat(x, *values):
        own = {name: {} for name in params}
        for (name, kind), value in zip(names, values, strict=True):
            own[name][kind] = value
        y, back = tail.apply(own, x, train=True)

        def pull(dy):
            dx, grads = back(dy)
            return dx, *(grads[name][kind] for name, kind in names)

        return y, pull

    check_gradient(flat, rng.standard_normal((2, 2, 3, 4)), *(params[name][kind] for name, kind in names))


@pytest.mark.parametrize(
    ("factors", "last", "macs", "reach"),
    [
        ((), 3, 64 * 3 * 9, 1),
        ((2,), 9, 64 * 256 * 9 + 4 * 64 * 3 * 81, 3),
        ((2, 2), 9, 5 * 64 * 256 * 9 + 16 * 64 * 3 * 81, 2.5),
        ((2, 2), 3, 5 * 64 * 256 * 9 + 16 * 64 * 3 * 9, 1.75),
        ((4,), None, 64 * 48 * 9, 1),
    ],
)
@pytest.mark.parametrize("composed", [True, False])
def test_cost_and_reach_are_those_of_the_plain_tail(factors, last, macs, reach, composed):
    at = Tail(factors, 64, composed, last).trace(Trace(5, 7))
    scale = int(np.prod(factors))
    assert (at.height, at.width) == (5 * scale, 7 * scale)
    assert at.macs == 35 * macs
    assert at.reach == reach
