"""Float layers: convolution, activations, pixel shuffle."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from npbsrn.layers.base import Back, Identity, Layer, Rng, Trace, taped, uniform_filters
from npbsrn.ops.conv import conv2d
from npbsrn.ops.pointwise import prelu, shifted_prelu
from npbsrn.ops.shuffle import pixel_shuffle
from npbsrn.storage.params import Params

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Conv(Layer):
    """Float convolution with a bias, padded with zeros; first filters are uniform within +-gain/sqrt(fan-in)."""

    can_lead: ClassVar[bool] = True
    inputs: int
    outputs: int
    size: int = 3
    gain: float = 1.0

    def init(self, rng: Rng, dtype: Any) -> Params:
        """Uniform filters, no bias yet."""
        weight = uniform_filters(rng, self.outputs, self.inputs, self.size, dtype, self.gain)
        return {"weight": weight, "bias": np.zeros(self.outputs, dtype)}

    def apply(self, params: Params, x: Array, train: bool) -> tuple[Array, Back]:
        """(N, inputs, H, W) to (N, outputs, H, W)."""
        y, pull = conv2d(x, params["weight"], params["bias"])

        def back(dy: Array, inner: bool = True) -> tuple[Array, Params]:
            dx, dw, dbias = pull(dy, inner)
            return dx, {"weight": dw, "bias": dbias}

        return y, taped(back, train)

    def trace(self, at: Trace) -> Trace:
        """One convolution."""
        return at.conv(self.inputs, self.outputs, self.size)


@dataclass(frozen=True)
class PReLU(Layer):
    """Parametric ReLU with one slope per channel."""

    channels: int

    def init(self, rng: Rng, dtype: Any) -> Params:
        """Slopes of 0.25."""
        return {"slope": np.full(self.channels, 0.25, dtype)}

    def apply(self, params: Params, x: Array, train: bool) -> tuple[Array, Back]:
        """(N, C, H, W) to the same."""
        y, pull = prelu(x, params["slope"])

        def back(dy: Array) -> tuple[Array, Params]:
            dx, dslope = pull(dy)
            return dx, {"slope": dslope}

        return y, taped(back, train)


@dataclass(frozen=True)
class RPReLU(Layer):
    """PReLU with one slope and one shift per channel, ``PReLU(y + shift)`` (Liu et al., ReActNet, ECCV 2020).

    The published RPReLU is ``PReLU(y + shift) + u`` with a second shift u per channel. Where a skip goes around each
    convolution and its activation, ``A_n = A_(n-1) + r (PReLU(y_n + shift_n) + u_n)``, it is redundant and left out:
    with ``U_n = r (u_1 + ... + u_n)`` and ``B_n = A_n - U_n``, the n-th convolution reads
    ``sign(A_(n-1) + t_n) = sign(B_(n-1) + (t_n + U_(n-1)))``, so that B follows the same recursion without any u, with
    other thresholds; and of the last ``A = B + U`` the float convolution behind it makes ``W * B + b + sum(W) U``,
    another bias. Only in the outermost ring of pixels is this another function: there some taps see padding, 0 instead
    of U.
    """

    channels: int

    def init(self, rng: Rng, dtype: Any) -> Params:
        """Slopes of 0.25, no shift yet."""
        return {"slope": np.full(self.channels, 0.25, dtype), "shift": np.zeros(self.channels, dtype)}

    def apply(self, params: Params, x: Array, train: bool) -> tuple[Array, Back]:
        """(N, C, H, W) to the same."""
        y, pull = shifted_prelu(x, params["slope"], params["shift"])

        def back(dy: Array) -> tuple[Array, Params]:
            dx, dslope, dshift = pull(dy)
            return dx, {"slope": dslope, "shift": dshift}

        return y, taped(back, train)


@dataclass(frozen=True)
class ReLU(Layer):
    """The positive part; after it, every sign would be +1."""

    def apply(self, params: Params, x: Array, train: bool) -> tuple[Array, Back]:
        """(N, C, H, W) to the same: PReLU with slopes of 0, which are not learned."""
        y, pull = prelu(x, np.zeros(x.shape[1], x.dtype))
        return y, taped(lambda dy: (pull(dy)[0], {}), train)


@dataclass(frozen=True)
class PixelShuffle(Layer):
    """Channels to pixels."""

    factor: int

    def apply(self, params: Params, x: Array, train: bool) -> tuple[Array, Back]:
        """(N, C * factor**2, H, W) to (N, C, H * factor, W * factor)."""
        y, pull = pixel_shuffle(x, self.factor)
        return y, taped(lambda dy: (pull(dy), {}), train)

    def trace(self, at: Trace) -> Trace:
        """More and smaller pixels."""
        r = self.factor
        return replace(at, height=at.height * r, width=at.width * r, step=at.step / r)


ACTIVATIONS = ("prelu", "relu", "none", "rprelu")


def activation_layer(name: str, channels: int) -> Layer:
    """The layer that one of `ACTIVATIONS` names."""
    layers = {"prelu": PReLU(channels), "relu": ReLU(), "none": Identity(), "rprelu": RPReLU(channels)}
    return layers[name]


def split_shift(activation: Layer, params: Params) -> tuple[Array | None, Layer]:
    """An activation as a shift (C,), or None, and a layer behind it, which has the same parameters.

    Outside of training, the shift is part of the offset of the convolution in front; see
    `npbsrn.layers.binary.BinaryConv.normal_form`.
    """
    if isinstance(activation, RPReLU):
        return params["shift"], PReLU(activation.channels)
    return None, activation
