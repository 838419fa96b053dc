"""The tail: from the trunk's result to the picture."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from npbsrn.layers.base import Back, Chain, Layer, Rng, Trace
from npbsrn.layers.conv import Conv, PixelShuffle
from npbsrn.ops.compose import compose
from npbsrn.ops.conv import conv2d
from npbsrn.ops.shuffle import pixel_shuffle
from npbsrn.storage.params import Params

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Tail(Layer):
    """Shuffle stages, each behind a float convolution, and a last convolution to three channels, or none.

    Without a last convolution (a direct tail), the one before the last shuffle gives the three colours of all pixels.

    The tail is linear, so in training it can be one convolution on the low-resolution grid, composed again in each
    step. If the last convolution is 3x3, the composed one is 5x5, at x4 58 K multiplications per pixel instead of 435
    K; if it is 9x9 (SRResNet), the composed one is 7x7, 151 K instead of 986 K. Composed and plain tail differ only on
    the outermost ring of the picture, one or two pixels wide (see `npbsrn.ops.compose.compose`); outside of training
    the plain tail is always taken.

    Parameters
    ----------
    factors : tuple of int
        Of the shuffles; there may be none.
    width : int
        Channels.
    composed : bool
        Whether training takes the composed convolution. One convolution alone is that already.
    last : int, or None
        Size of the last convolution, odd; None where there is none, but a stage at least.
    gain : float
        Of the last convolution's first filters; see `npbsrn.layers.conv.Conv`.
    """

    factors: tuple[int, ...]
    width: int
    composed: bool = True
    last: int | None = 3
    gain: float = 1.0

    def _plain(self) -> Chain:
        stages: list[tuple[str, Layer]] = []
        for n, factor in enumerate(self.factors, 1):
            outputs = 3 if self.last is None and n == len(self.factors) else self.width
            stages += [(f"conv{n}", Conv(self.width, outputs * factor**2)), (f"shuffle{n}", PixelShuffle(factor))]
        last = [] if self.last is None else [("last", Conv(self.width, 3, self.last, self.gain))]
        return Chain((*stages, *last))

    def init(self, rng: Rng, dtype: Any) -> Params:
        """``conv1, ..., last``."""
        return self._plain().init(rng, dtype)

    def apply(self, params: Params, x: Array, train: bool) -> tuple[Array, Back]:
        """(N, width, H, W) to (N, 3, H * scale, W * scale)."""
        if not (train and self.composed) or self.last is None:
            return self._plain().apply(params, x, train)
        filters, bias = params["last"]["weight"], params["last"]["bias"]
        pulls = []
        for n in range(len(self.factors), 0, -1):
            own = params[f"conv{n}"]
            (filters, bias), pull = compose(filters, bias, own["weight"], own["bias"], self.factors[n - 1])
            pulls.append((n, pull))
        y, pull_conv = conv2d(x, filters, bias)
        pulls_shuffle = []
        for factor in self.factors:
            y, pull_shuffle = pixel_shuffle(y, factor)
            pulls_shuffle.append(pull_shuffle)

        def back(dy: Array) -> tuple[Array, Params]:
            for pull_shuffle in reversed(pulls_shuffle):
                dy = pull_shuffle(dy)
            dx, dfilters, dbias = pull_conv(dy)
            assert dbias is not None  # there is a bias
            grads: Params = {}
            for n, pull in reversed(pulls):
                dfilters, dbias, dw, db = pull(dfilters, dbias)
                grads[f"conv{n}"] = {"weight": dw, "bias": db}
            return dx, grads | {"last": {"weight": dfilters, "bias": dbias}}

        return y, back

    def trace(self, at: Trace) -> Trace:
        """As the plain tail."""
        return self._plain().trace(at)
