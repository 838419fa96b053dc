"""Float layers: convolution, PReLU, pixel shuffle."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from npbsrn.layers.base import Back, Identity, Layer, Rng, Trace, taped, uniform_filters
from npbsrn.ops.conv import conv2d
from npbsrn.ops.pointwise import prelu
from npbsrn.ops.shuffle import pixel_shuffle
from npbsrn.storage.params import Params

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Conv(Layer):
    """Float convolution with a bias, padded with zeros."""

    inputs: int
    outputs: int
    size: int = 3

    def init(self, rng: Rng, dtype: Any) -> Params:
        """Uniform filters, no bias yet."""
        weight = uniform_filters(rng, self.outputs, self.inputs, self.size, dtype)
        return {"weight": weight, "bias": np.zeros(self.outputs, dtype)}

    def apply(self, params: Params, x: Array, train: bool) -> tuple[Array, Back]:
        """(N, inputs, H, W) to (N, outputs, H, W)."""
        y, pull = conv2d(x, params["weight"], params["bias"])

        def back(dy: Array) -> tuple[Array, Params]:
            dx, dw, dbias = pull(dy)
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


ACTIVATIONS = ("prelu", "relu", "none")


def activation_layer(name: str, channels: int) -> Layer:
    """The layer that one of `ACTIVATIONS` names."""
    return PReLU(channels) if name == "prelu" else ReLU() if name == "relu" else Identity()
