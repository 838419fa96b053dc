"""Binary convolutions, and the blocks in which they share what came before.

A block's memory, the activations and filters of its earlier convolutions, travels as an explicit value from one
convolution to the next, and its cotangent travels back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from npbsrn.binarizers.bam import Bam
from npbsrn.binarizers.scheme import Binarizer, Remembered, RememberedGrad
from npbsrn.layers import Back, Identity, Layer, PReLU, Rng, Trace, uniform_filters
from npbsrn.ops.conv import conv2d
from npbsrn.ops.lb_block import CHANNELS, SIZES, LBWeights, lb_block
from npbsrn.ops.norm import move_running
from npbsrn.ops.pointwise import scale_channels
from npbsrn.params import Params

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Memory:
    """What the earlier convolutions of a block leave to the later ones; see `npbsrn.binarizers.scheme`."""

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
    """Convolution of +-1 with +-1, padded with +1, without a bias.

    The products are summed to integer counts, and only then multiplied by the filters' scale: with scaled filters a
    count of 0 would become a rounding error of either sign, and PReLU's gradient there noise.

    Parameters
    ----------
    channels, size : int
        Channels of input and output; extent of the filters.
    scheme : Binarizer
    inputs, filters : int
        How many activations and filters of this shape the block has had up to here, its own included.
    """

    channels: int
    size: int
    scheme: Binarizer
    inputs: int = 1
    filters: int = 1

    def init(self, rng: Rng, dtype: Any) -> Params:
        """Latent filters and the scheme's parameters."""
        weight = uniform_filters(rng, self.channels, self.channels, self.size, dtype)
        return {
            "weight": weight,
            "binarizer": self.scheme.init(self.channels, self.inputs, self.filters, dtype),
        }

    def apply(self, params: Params, x: Array, memory: Memory, train: bool) -> tuple[Array, Memory, BinaryBack]:
        """(N, C, H, W) to the same; ``back`` maps (dy, dmemory) to (dx, dmemory, grads)."""
        own = params["binarizer"]
        xb, activations, pull_x = self.scheme.activations(own, x, memory.activations, train)
        wb, scale, filters, pull_w = self.scheme.filters(own, params["weight"], memory.filters)
        counts, pull_counts = conv2d(xb, wb, pad_value=1.0)
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
        if train and self._fits_fast(x):
            return self._apply_fast(params, x, filters)
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
            y = x + y * x.dtype.type(self.residual)

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

    def _fits_fast(self, x: Array) -> bool:
        """Whether `lb_block`, the fused operation, does what this block's layers do."""
        return (
            x.dtype == np.float32
            and x.shape[3] % 16 == 0
            and self.skip == "block"
            and isinstance(self.activation, PReLU | Identity)
            and tuple((conv.channels, conv.size) for conv in self.convs) == tuple((CHANNELS, size) for size in SIZES)
            and all(isinstance(conv.scheme, Bam) and conv.scheme == self.convs[0].scheme for conv in self.convs)
        )

    def _apply_fast(self, params: Params, x: Array, filters: Remembered) -> tuple[Array, Remembered, BlockBack]:
        """What `apply` does in training, the filters by the scheme, all the rest in one operation."""
        convs = [params[f"conv{n}"] for n in (1, 2, 3)]
        own = [conv["binarizer"] for conv in convs]
        bits, scales, pulls = [], [], []
        for layer, conv in zip(self.convs, convs, strict=True):
            wb, scale, filters, pull_w = layer.scheme.filters(conv["binarizer"], conv["weight"], filters)
            bits.append(wb)
            scales.append(scale)
            pulls.append(pull_w)
        scheme = self.convs[0].scheme
        assert isinstance(scheme, Bam)  # see _fits_fast
        used = [slice(0 if scheme.accumulate_activations else n, n + 1) for n in range(3)]
        beta = np.zeros((3, 3), x.dtype)
        for n, o in enumerate(own):
            beta[n, used[n]] = o.get("beta", 1)
        ones = np.ones(CHANNELS, x.dtype)  # PReLU's slope where there is no activation function
        slope = np.stack([params.get(f"act{n}", {}).get("slope", ones) for n in (1, 2)])
        gain, shift = (np.stack([o[name] for o in own]) for name in ("gain", "shift"))
        weights = LBWeights(bits, np.stack(scales), slope, beta, gain, shift)
        y, moments, pull = lb_block(x, weights, self.residual, scheme.statistic, scheme.activation_ste)
        for o, mean, variance in zip(own, *moments, strict=True):
            move_running((o["running_mean"], o["running_variance"]), mean, variance, x.size // CHANNELS)

        def back(dy: Array, dfilters: RememberedGrad) -> tuple[Array, RememberedGrad, Params]:
            dx, d = pull(dy)
            learned = isinstance(self.activation, PReLU)
            grads: Params = {f"act{n}": {"slope": d.slope[n - 1]} if learned else {} for n in (1, 2)}
            for n in (2, 1, 0):
                dw, dfilters, grads_w = pulls[n](d.filters[n], d.scale[n], dfilters)
                grads_x = {"gain": d.gain[n], "shift": d.shift[n]}
                grads_x |= {"beta": d.beta[n, used[n]]} if "beta" in own[n] else {}
                grads[f"conv{n + 1}"] = {"weight": dw, "binarizer": grads_x | grads_w}
            return dx, dfilters, grads

        return y, filters, back

    def trace(self, at: Trace) -> Trace:
        """All convolutions."""
        for conv in self.convs:
            at = conv.trace(at)
        return at


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
        backs: list[tuple[str, BlockBack, list[bool]]] = []
        for n, block in enumerate(self.blocks, 1):
            x, remembered, back_block = block.apply(params[str(n)], x, filters, train)
            kept = [w.shape[-1] > 1 for w in remembered]
            filters = tuple(w for w, keep in zip(remembered, kept, strict=True) if keep)
            if train:
                backs.append((str(n), back_block, kept))
        dlast: RememberedGrad = (None,) * len(filters)

        def back(dy: Array) -> tuple[Array, Params]:
            grads: Params = {}
            dfilters = dlast
            for n, back_block, kept in reversed(backs):
                came_back = iter(dfilters)
                dremembered = tuple(next(came_back) if keep else None for keep in kept)
                dy, dfilters, grads[n] = back_block(dy, dremembered)
            return dy, grads

        return x, back

    def trace(self, at: Trace) -> Trace:
        """All blocks."""
        for block in self.blocks:
            at = block.trace(at)
        return at
