"""The composed tail, borders included, against the plain one and the bicubic base."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npbsrn.layers.tail import Tail as PlainTail
from npbsrn.ops.enlarge import enlarge
from npbsrn.packed.tail import Tail, base_filters
from tests.strategies import seeds, sides

FACTORS = {1: (), 2: (2,), 3: (3,), 4: (2, 2)}
SIZES = {3: 5, 9: 7}  # of the last convolution, and of the composed one behind any shuffle
EXTENTS = [(1, 1), (2, 1), (1, 4), (2, 2), (3, 3), (3, 5), (5, 3), (7, 4)]
CLOSE = 1e-4 / 255


def make_tails(rng, scale, width, base, last=3):
    plain = PlainTail(FACTORS[scale], width, last=last)
    params = plain.init(rng, np.float64)
    for layer in params.values():
        if layer:
            layer["bias"] = rng.standard_normal(layer["bias"].shape)
    stages = [(layer["weight"], layer["bias"]) for layer in params.values() if layer]
    return plain, params, Tail(stages, FACTORS[scale], base)


def apply_composed(tail, x, picture=None):
    """(C, H, W) and (3, H, W) to (3, H * s, W * s), pixel by pixel; without a picture in float64."""
    (_, height, width), s, reach = x.shape, tail.scale, tail.size // 2
    margins = (0, 0), (reach, reach), (reach, reach)
    padded, filters = np.pad(x, margins), tail.composed
    if picture is not None:
        padded, filters = np.concatenate([padded, np.pad(picture, margins, mode="symmetric")]), tail.filters
    y = np.empty((3, height, s, width, s))
    for h, v in np.ndindex(height, width):
        w, bias = filters(tail.place(h, height), tail.place(v, width))
        assert w.dtype == bias.dtype == (np.float64 if picture is None else np.float32)
        window = padded[:, h : h + tail.size, v : v + tail.size]
        phases = np.einsum("ocij,cij->o", w.astype(np.float64), window) + bias
        y[:, h, :, v] = phases.reshape(3, s, s)
    return y.reshape(3, height * s, width * s)


def check_exact(scale, last, width, height, extent, seed):
    rng = np.random.default_rng(seed)
    plain, params, tail = make_tails(rng, scale, width, False, last)
    assert (tail.scale, tail.size) == (scale, last if scale == 1 else SIZES[last])
    x = rng.standard_normal((1, width, height, extent))
    expected, _ = plain.apply(params, x, train=False)
    np.testing.assert_allclose(apply_composed(tail, x[0]), expected[0], atol=1e-13, rtol=1e-13)


def check_with_base(scale, last, width, height, extent, seed):
    rng = np.random.default_rng(seed)
    plain, params, tail = make_tails(rng, scale, width, True, last)
    x, picture = rng.standard_normal((1, width, height, extent)), rng.random((1, 3, height, extent))
    expected = plain.apply(params, x, train=False)[0] + enlarge(picture, scale)[0]
    np.testing.assert_allclose(apply_composed(tail, x[0], picture[0]), expected[0], atol=4 * CLOSE, rtol=0)


@pytest.mark.parametrize("scale", FACTORS)
@pytest.mark.parametrize("last", SIZES)
@pytest.mark.parametrize("check", [check_exact, check_with_base])
@pytest.mark.parametrize("extents", EXTENTS)
def test_equals_the_plain_tail_everywhere(scale, last, check, extents):
    check(scale, last, 5, *extents, seed=0)


@settings(max_examples=12)
@given(st.sampled_from([1, 2, 3, 4]), st.sampled_from([3, 5, 7, 9]), st.integers(1, 6), sides, sides, seeds)
def test_equals_the_plain_tail_at_any_size(scale, last, width, height, extent, seed):
    rng = np.random.default_rng(seed)
    plain, params, tail = make_tails(rng, scale, width, False, last)
    x = rng.standard_normal((1, width, min(height, 6), min(extent, 6)))
    expected, _ = plain.apply(params, x, train=False)
    np.testing.assert_allclose(apply_composed(tail, x[0]), expected[0], atol=1e-13, rtol=1e-13)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_direct_tail_has_the_same_filters_everywhere(rng, scale):
    w, bias = rng.standard_normal((3 * scale**2, 5, 3, 3)), rng.standard_normal(3 * scale**2)
    same = np.eye(3).reshape(3, 3, 1, 1), np.zeros(3)
    tail = Tail([(w, bias), same], (scale,), False)
    assert (tail.size, tail.ring) == (3, 0)
    found, shift = tail.composed(tail.inside, tail.inside)
    np.testing.assert_array_equal(found, w)
    np.testing.assert_array_equal(shift, bias)


@pytest.mark.parametrize(("scale", "last", "ring"), [(1, 9, 0), *((s, 3, 1) for s in (2, 3, 4)), (2, 9, 2), (4, 9, 2)])
def test_every_place_has_filters_of_its_own(rng, scale, last, ring):
    _, _, tail = make_tails(rng, scale, 3, True, last)
    assert tail.ring == ring
    assert tail.inside == tail.place(50, 101)
    places = list(product(range(ring + 1), repeat=2))
    assert {tail.place(h, n) for n in range(1, 9) for h in range(n)} == set(places)
    kernels = [tail.filters(row, column) for row in places for column in places]
    assert {w.shape for w, _ in kernels} == {(3 * scale**2, 6, tail.size, tail.size)}
    assert len({w.tobytes() for w, _ in kernels}) == len(places) ** 2


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("last", SIZES)
def test_a_border_looks_at_nothing_beyond_it(rng, scale, last):
    """What stands there is 0; but the filters' inner taps could have left weights there."""
    _, _, tail = make_tails(rng, scale, 3, False, last)
    reach = tail.size // 2
    for before, after in product(range(tail.ring + 1), repeat=2):
        w, _ = tail.filters((before, after), tail.inside)
        taps = np.arange(-reach, reach + 1)
        # the inner convolution at the border looks one pixel further, at zeros
        beyond = [taps < -before - 1] * (before < tail.ring) + [taps > after + 1] * (after < tail.ring)
        outside = np.any(beyond, axis=0) if beyond else np.zeros(tail.size, bool)
        assert not np.any(w[:, :, outside])
        assert np.any(w[:, :, ~outside])


@pytest.mark.parametrize(("scale", "size"), [(1, 3), (2, 5), (3, 5), (4, 5), (2, 7), (4, 7)])
def test_base_filters_keep_a_grey_plane(scale, size):
    w = base_filters(scale, size).reshape(3, scale * scale, 3, size**2)
    np.testing.assert_allclose(w.sum(-1), np.broadcast_to(np.eye(3)[:, None], (3, scale * scale, 3)), atol=1e-12)
