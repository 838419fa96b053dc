"""Binary convolutions, and the blocks in which they share what came before.

A block's memory, the activations and filters of its earlier convolutions, travels as an explicit value from one
convolution to the next, and its cotangent travels back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from npbsrn.binarizers.base import Binarizer, Remembered, RememberedGrad
from npbsrn.layers.base import Back, Layer, Rng, Trace, uniform_filters
from npbsrn.ops.conv import conv2d
from npbsrn.ops.pointwise import multiply_add, scale_channels
from npbsrn.storage.params import Params

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Memory:
    """What the earlier convolutions of a block leave to the later ones; see `npbsrn.binarizers.base`."""

    activations: Remembered = ()
    filters: Remembered = ()


@dataclass(frozen=True)
class MemoryGrad:
    """Cotangent of a `Memory`; None where nothing came back."""

    activations: RememberedGrad
    filters: RememberedGrad


BinaryBack = Callable[[Array, MemoryGrad], tuple[Array, MemoryGrad, Params]]


@dataclass(frozen=True)
class BinaryConv:
    """Convolution of +-1 with +-1, without a bias.

    The products are summed to integer counts, and only then multiplied by the filters' scale: with scaled filters a
    count of 0 would become a rounding error of either sign, and PReLU's gradient there noise.

    Parameters
    ----------
    channels, size : int
        Channels of input and output; extent of the filters.
    scheme : Binarizer
    inputs, filters : int
        How many activations and filters of this shape the block has had up to here, its own included.
    pad_value : float
        What stands around the binarized activations.
    """

    channels: int
    size: int
    scheme: Binarizer
    inputs: int = 1
    filters: int = 1
    pad_value: float = 1.0

    def init(self, rng: Rng, dtype: Any) -> Params:
        """Latent filters and the scheme's parameters."""
        weight = uniform_filters(rng, self.channels, self.channels, self.size, dtype)
        return {
            "weight": weight,
            "binarizer": self.scheme.init(self.channels, self.inputs, self.filters, dtype),
        }

    def apply(self, params: Params, x: Array, memory: Memory, train: bool) -> tuple[Array, Memory, BinaryBack]:
        """(N, C, H, W) to the same; ``back`` maps (dy, dmemory) to (dx, dmemory, grads)."""
        own = params.get("binarizer", {})  # a scheme without parameters leaves no name in a weight file
        xb, activations, pull_x = self.scheme.activations(own, x, memory.activations, train)
        wb, scale, filters, pull_w = self.scheme.filters(own, params["weight"], memory.filters)
        counts, pull_counts = conv2d(xb, wb, pad_value=self.pad_value)
        y, pull_y = scale_channels(counts, scale)

        def back(dy: Array, dmemory: MemoryGrad) -> tuple[Array, MemoryGrad, Params]:
            dcounts, dscale = pull_y(dy)
            dxb, dwb, _ = pull_counts(dcounts)
            dx, dactivations, grads_x = pull_x(dxb, dmemory.activations)
            dw, dfilters, grads_w = pull_w(dwb, dscale, dmemory.filters)
            return dx, MemoryGrad(dactivations, dfilters), {"weight": dw, "binarizer": grads_x | grads_w}

        return y, Memory(activations, filters), back

    def trace(self, at: Trace) -> Trace:
        """One convolution."""
        return at.conv(self.channels, self.channels, self.size)


BlockBack = Callable[[Array, RememberedGrad], tuple[Array, RememberedGrad, Params]]


@dataclass(frozen=True)
class BinaryBlock:
    """Binary convolutions whose activations accumulate towards the last one.

    With a 3x3 and two 1x1 convolutions it is the paper's LB-block.

    Parameters
    ----------
    convs : tuple of BinaryConv
    activation : Layer
        Stands between the convolutions, with parameters of its own at each place.
    skip : {"block", "every"}
        Where identity shortcuts go: around the whole block, or around every convolution.
    residual : float
        Factor of what a whole block adds to its input.
    """

    convs: tuple[BinaryConv, ...]
    activation: Layer
    skip: str = "block"
    residual: float = 1.0

    def init(self, rng: Rng, dtype: Any) -> Params:
        """``conv1, act1, conv2, ...``."""
        params: Params = {}
        for n, conv in enumerate(self.convs, 1):
            params[f"conv{n}"] = conv.init(rng, dtype)
            if n < len(self.convs):
                params[f"act{n}"] = self.activation.init(rng, dtype)
        return params

    def apply(self, params: Params, x: Array, filters: Remembered, train: bool) -> tuple[Array, Remembered, BlockBack]:
        """Pass the block.

        Parameters
        ----------
        params : dict
        x : (N, C, H, W)
        filters : tuple of arrays
            Latent filters of earlier blocks that accumulate here (the long range).
        train : bool

        Returns
        -------
        y : (N, C, H, W)
        filters : tuple of arrays
            Those that came in and this block's own.
        back : (dy, dfilters) -> (dx, dfilters, grads)
        """
        memory = Memory(filters=filters)
        backs: list[tuple[int, BinaryBack, Back | None]] = []
        y = x
        for n, conv in enumerate(self.convs, 1):
            inner, memory, back_conv = conv.apply(params[f"conv{n}"], y, memory, train)
            back_act = None
            if n < len(self.convs):
                inner, back_act = self.activation.apply(params.get(f"act{n}", {}), inner, train)
            y = y + inner if self.skip == "every" else inner
            if train:
                backs.append((n, back_conv, back_act))
        if self.skip == "block":
            y = multiply_add(y, self.residual, x)

        def back(dy: Array, dfilters: RememberedGrad) -> tuple[Array, RememberedGrad, Params]:
            grads: Params = {}
            dmemory = MemoryGrad((None,) * len(self.convs), dfilters)
            dx = dy * dy.dtype.type(self.residual) if self.skip == "block" else dy
            for n, back_conv, back_act in reversed(backs):
                dinner = dx
                if back_act is not None:
                    dinner, grads[f"act{n}"] = back_act(dinner)
                dinput, dmemory, grads[f"conv{n}"] = back_conv(dinner, dmemory)
                dx = dx + dinput if self.skip == "every" else dinput
            return dx + dy if self.skip == "block" else dx, dmemory.filters, grads

        return y, memory.filters, back

    def trace(self, at: Trace) -> Trace:
        """All convolutions."""
        for conv in self.convs:
            at = conv.trace(at)
        return at


PullLongRange = Callable[[RememberedGrad], RememberedGrad]


def long_range(remembered: Remembered) -> tuple[Remembered, PullLongRange]:
    """Of a block's filters those that accumulate in the next block, too: the ones larger than 1x1."""
    kept = [w.shape[-1] > 1 for w in remembered]

    def pull(dkept: RememberedGrad) -> RememberedGrad:
        came_back = iter(dkept)
        return tuple(next(came_back) if keep else None for keep in kept)

    return tuple(w for w, keep in zip(remembered, kept, strict=True) if keep), pull


@dataclass(frozen=True)
class BlockGroup:
    """Blocks along which the filters larger than 1x1 accumulate: the paper's HPB."""

    blocks: tuple[BinaryBlock, ...]

    def init(self, rng: Rng, dtype: Any) -> Params:
        """``1, 2, ...``."""
        return {str(n): block.init(rng, dtype) for n, block in enumerate(self.blocks, 1)}

    def apply(self, params: Params, x: Array, train: bool) -> tuple[Array, Back]:
        """(N, C, H, W) to the same."""
        filters: Remembered = ()
        backs: list[tuple[str, BlockBack, PullLongRange]] = []
        for n, block in enumerate(self.blocks, 1):
            x, remembered, back_block = block.apply(params[str(n)], x, filters, train)
            filters, pull_filters = long_range(remembered)
            if train:
                backs.append((str(n), back_block, pull_filters))
        dlast: RememberedGrad = (None,) * len(filters)

        def back(dy: Array) -> tuple[Array, Params]:
            grads: Params = {}
            dfilters = dlast
            for n, back_block, pull_filters in reversed(backs):
                dy, dfilters, grads[n] = back_block(dy, pull_filters(dfilters))
            return dy, grads

        return x, back

    def trace(self, at: Trace) -> Trace:
        """All blocks."""
        for block in self.blocks:
            at = block.trace(at)
        return at
