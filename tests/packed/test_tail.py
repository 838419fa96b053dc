"""The composed tail, borders included, against the plain one and the bicubic base."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npbsrn.layers.tail import Tail as PlainTail
from npbsrn.ops.enlarge import enlarge
from npbsrn.packed.tail import BOTH, FIRST, INSIDE, LAST, Tail, base_filters
from tests.strategies import seeds, sides

FACTORS = {2: (2,), 3: (3,), 4: (2, 2)}
CLOSE = 1e-4 / 255


def make_tails(rng, scale, width, base):
    plain = PlainTail(FACTORS[scale], width)
    params = plain.init(rng, np.float64)
    for layer in params.values():
        if layer:
            layer["bias"] = rng.standard_normal(layer["bias"].shape)
    stages = [(layer["weight"], layer["bias"]) for layer in params.values() if layer]
    return plain, params, Tail(stages, FACTORS[scale], base)


def place(at, extent):
    return at == 0, at == extent - 1


def apply_composed(tail, x, picture):
    """(C, H, W) and (3, H, W) to (3, H * s, W * s), pixel by pixel."""
    (_, height, width), s = x.shape, tail.scale
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2)))
    if tail.base:
        padded = np.concatenate([padded, np.pad(picture, ((0, 0), (2, 2), (2, 2)), mode="symmetric")])
    y = np.empty((3, height, s, width, s))
    for h in range(height):
        for v in range(width):
            w, bias = tail.filters(place(h, height), place(v, width))
            assert w.dtype == bias.dtype == np.float32
            phases = np.einsum("ocij,cij->o", w.astype(np.float64), padded[:, h : h + 5, v : v + 5]) + bias
            y[:, h, :, v] = phases.reshape(3, s, s)
    return y.reshape(3, height * s, width * s)


def check_tail(scale, width, base, height, extent, seed):
    rng = np.random.default_rng(seed)
    plain, params, tail = make_tails(rng, scale, width, base)
    assert tail.scale == scale
    x, picture = rng.standard_normal((1, width, height, extent)), rng.random((1, 3, height, extent))
    expected, _ = plain.apply(params, x, train=False)
    if base:
        expected = expected + enlarge(picture, scale)[0]
    np.testing.assert_allclose(apply_composed(tail, x[0], picture[0]), expected[0], atol=4 * CLOSE, rtol=0)


@pytest.mark.parametrize("scale", FACTORS)
@pytest.mark.parametrize("base", [True, False])
@pytest.mark.parametrize("extents", [(1, 1), (1, 4), (4, 1), (2, 2), (3, 5), (7, 4)])
def test_equals_the_plain_tail_everywhere(scale, base, extents):
    check_tail(scale, 5, base, *extents, seed=0)


@settings(max_examples=12)
@given(st.sampled_from([2, 3, 4]), st.integers(1, 6), st.booleans(), sides, sides, seeds)
def test_equals_the_plain_tail_at_any_size(scale, width, base, height, extent, seed):
    check_tail(scale, width, base, min(height, 6), min(extent, 6), seed)


@pytest.mark.parametrize("scale", FACTORS)
def test_every_place_has_filters_of_its_own(rng, scale):
    _, _, tail = make_tails(rng, scale, 3, True)
    places = INSIDE, FIRST, LAST, BOTH
    kernels = [tail.filters(row, column) for row in places for column in places]
    assert {w.shape for w, _ in kernels} == {(3 * scale**2, 6, 5, 5)}
    assert len({w.tobytes() for w, _ in kernels}) == 16


@pytest.mark.parametrize("scale", FACTORS)
def test_a_border_looks_at_nothing_beyond_it(rng, scale):
    """What stands there is 0; but the filters' inner taps could have left weights there."""
    _, _, tail = make_tails(rng, scale, 3, False)
    reach = {INSIDE: slice(0, 5), FIRST: slice(1, 5), LAST: slice(0, 4), BOTH: slice(1, 4)}
    for row in reach:
        w, _ = tail.filters(row, INSIDE)
        outside = np.ones(5, bool)
        outside[reach[row]] = False
        assert not np.any(w[:, :, outside])
        assert np.any(w[:, :, reach[row]])


@pytest.mark.parametrize("scale", FACTORS)
def test_base_filters_keep_a_grey_plane(scale):
    w = base_filters(scale).reshape(3, scale * scale, 3, 25)
    np.testing.assert_allclose(w.sum(-1), np.broadcast_to(np.eye(3)[:, None], (3, scale * scale, 3)), atol=1e-12)
