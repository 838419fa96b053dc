"""Skips of a block, and the activations behind its convolutions."""

import dataclasses

import numpy as np
import pytest

from npbsrn.binarizers import make_binarizer
from npbsrn.layers import blocks
from npbsrn.layers.binary import BinaryConv, Memory
from npbsrn.layers.blocks import BinaryBlock, BlockGroup
from npbsrn.layers.conv import Conv, RPReLU, activation_layer
from npbsrn.storage.params import leaves, map_leaves, nest
from tests.gradient import check_gradient, directional_error, learned, of_parameters
from tests.smooth import smooth_scheme

CHANNELS = 4


def block(skip, scheme="bbcu", activation="rprelu", residual=0.5, norm=False):
    binarizer = make_binarizer(scheme)
    convs = tuple(BinaryConv(CHANNELS, 3, binarizer, n, n, norm) for n in (1, 2))
    return BinaryBlock(convs, activation_layer(activation, CHANNELS), skip, residual)


def drawn(layer, rng, dtype=np.float64):
    """Parameters off their first values."""
    moved = {
        name: a if "running" in name else a + 0.3 * rng.standard_normal(a.shape)
        for name, a in leaves(layer.init(rng, dtype))
    }
    return nest({name: a.astype(dtype) for name, a in moved.items()})


@pytest.mark.parametrize(("skip", "activated"), [("block", [1]), ("every", [1]), ("unit", [1, 2]), ("none", [1, 2])])
@pytest.mark.parametrize("train", [True, False])
def test_where_skips_and_activations_are(rng, skip, activated, train):
    """From the convolutions and the activation by themselves."""
    own = block(skip)
    params, x = drawn(own, rng), rng.standard_normal((2, CHANNELS, 5, 6))
    assert {name for name in params if name.startswith("act")} == {f"act{n}" for n in activated}
    a = x
    for n, conv in enumerate(own.convs, 1):
        y, _, _ = conv.apply(params[f"conv{n}"], a, Memory(), train)
        if n in activated:
            act = params[f"act{n}"]
            z = y + act["shift"][:, None, None]
            y = np.where(z > 0, z, z * act["slope"][:, None, None])
        a = {"every": a + y, "unit": a + 0.5 * y}.get(skip, y)
    expected = x + 0.5 * a if skip == "block" else a
    np.testing.assert_allclose(own.apply(params, x, (), train)[0], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("activation", ["prelu", "relu", "none", "rprelu"])
@pytest.mark.parametrize("skip", ["block", "every", "unit", "none"])
def test_gradient(monkeypatch, rng, skip, activation):
    smooth_scheme(monkeypatch, "bbcu")
    check_gradient(*case(BlockGroup((block(skip, activation=activation),)), rng))


def case(layer, rng):
    params = drawn(layer, rng)
    return of_parameters(layer, params), rng.standard_normal((2, CHANNELS, 3, 5)), *learned(params).values()


def test_a_forgotten_factor_is_caught(monkeypatch, rng):
    """Planted bug: what a unit adds is pulled back as if its factor were 1."""
    smooth_scheme(monkeypatch, "bbcu")
    monkeypatch.setattr(blocks, "scale", lambda d, factor: d)
    assert directional_error(*case(BlockGroup((block("unit"),)), rng)) > 1e-2


@pytest.mark.parametrize("residual", [1.0, 0.3])
def test_in_single_precision_training_and_inference_are_one_function(rng, residual):
    """To the bit: without a normalisation, a shift is added to the rounded product in both."""
    own = BlockGroup((block("unit", residual=residual),))
    params, x = drawn(own, rng, np.float32), rng.standard_normal((2, CHANNELS, 5, 37)).astype(np.float32)
    np.testing.assert_array_equal(own.apply(params, x, True)[0], own.apply(params, x, False)[0])


@dataclasses.dataclass(frozen=True)
class Published(RPReLU):
    """With the second shift."""

    def apply(self, params, x, train):
        inner, _ = super().apply(params, x, train)
        return inner + params["second"][:, None, None], None


def test_a_second_shift_would_be_redundant(rng):
    """Thresholds of later convolutions and the trunk's bias take it over, up to what the trunk sees of its padding."""
    residual, count, x = 0.3, 3, rng.standard_normal((1, CHANNELS, 7, 8))
    conv = BinaryConv(CHANNELS, 3, make_binarizer("bbcu"))
    plain = [BinaryBlock((conv,), RPReLU(CHANNELS), "unit", residual) for _ in range(count)]
    units = [drawn(own, rng) for own in plain]
    trunk = drawn(Conv(CHANNELS, CHANNELS), rng)
    seconds = rng.standard_normal((count, CHANNELS))
    expected = x
    for own, second in zip(units, seconds, strict=True):
        published = BinaryBlock((conv,), Published(CHANNELS), "unit", residual)
        expected = published.apply({**own, "act1": {**own["act1"], "second": second}}, expected, (), True)[0]
    expected = Conv(CHANNELS, CHANNELS).apply(trunk, expected, False)[0]

    a, whole = x, np.zeros(CHANNELS)
    for layer, own, second in zip(plain, units, seconds, strict=True):
        moved = map_leaves(np.copy, own)
        moved["conv1"]["binarizer"]["shift"] += whole
        a, whole = layer.apply(moved, a, (), True)[0], whole + residual * second
    bias = trunk["bias"] + np.einsum("oikl,i->o", trunk["weight"], whole)
    result = Conv(CHANNELS, CHANNELS).apply({**trunk, "bias": bias}, a, False)[0]
    inside = (..., slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(result[inside], expected[inside], rtol=1e-12, atol=1e-12)
    assert not np.allclose(result, expected)
