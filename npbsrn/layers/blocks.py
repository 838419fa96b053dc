"""Blocks of binary convolutions, and groups of blocks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from npbsrn.binarizers.base import Binarizer, Remembered, RememberedGrad
from npbsrn.layers.base import Back, Identity, Layer, Rng, Trace, taped, untaped
from npbsrn.layers.binary import BinaryBack, BinaryConv, Memory, MemoryGrad
from npbsrn.layers.conv import PReLU, split_shift
from npbsrn.ops.pointwise import add, multiply_add, scale
from npbsrn.storage.params import Params

Array = np.ndarray[Any, Any]

BlockBack = Callable[[Array, RememberedGrad], tuple[Array, RememberedGrad, Params]]


@dataclass(frozen=True)
class BinaryBlock:
    """Binary convolutions whose activations accumulate towards the last one.

    With a 3x3 and two 1x1 convolutions it is the paper's LB-block.

    Parameters
    ----------
    convs : tuple of BinaryConv
    activation : Layer
        Between the convolutions; with the skips "unit" and "none" also behind the last one. Each place has its own
        parameters.
    skip : {"block", "every", "unit", "none"}
        Where identity shortcuts go: around the whole block; around every convolution; around every convolution and
        the activation behind it, of which the last one has one, too; or nowhere.
    residual : float
        Factor on the term that a whole block ("block") or each of its convolutions ("unit") adds to its input.
    """

    convs: tuple[BinaryConv, ...]
    activation: Layer
    skip: str = "block"
    residual: float = 1.0

    @property
    def activated(self) -> int:
        """The number of convolutions followed by the activation."""
        return len(self.convs) - (self.skip in ("block", "every"))

    def init(self, rng: Rng, dtype: Any) -> Params:
        """``conv1, act1, conv2, ...``."""
        params: Params = {}
        for n, conv in enumerate(self.convs, 1):
            params[f"conv{n}"] = conv.init(rng, dtype)
            if n <= self.activated:
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
        if not train:
            return *self._infer(params, x, filters), untaped
        memory = Memory(filters=filters)
        backs: list[tuple[int, BinaryBack, Back | None]] = []
        y = x
        for n, conv in enumerate(self.convs, 1):
            activated = n <= self.activated
            slope = params[f"act{n}"]["slope"] if activated and isinstance(self.activation, PReLU) else None
            inner, memory, back_conv = conv.apply(params[f"conv{n}"], y, memory, True, slope, self._alone(n))
            back_act = None
            if activated and slope is None:
                inner, back_act = self.activation.apply(params.get(f"act{n}", {}), inner, True)
            y = self._with_skip(y, inner)
            backs.append((n, back_conv, back_act))
        if self.skip == "block":
            y = multiply_add(y, self.residual, x)

        def back(dy: Array, dfilters: RememberedGrad) -> tuple[Array, RememberedGrad, Params]:
            grads: Params = {}
            dmemory = MemoryGrad(((),) * len(memory.terms), dfilters)
            dx = scale(dy, self.residual) if self.skip == "block" else dy
            for n, back_conv, back_act in reversed(backs):
                dinner = scale(dx, self.residual) if self.skip == "unit" and self.residual != 1 else dx
                if back_act is not None:
                    dinner, grads[f"act{n}"] = back_act(np.asarray(dinner))
                dinput, dmemory, own = back_conv(dinner, dmemory)
                if "slope" in own:  # PReLU was part of the convolution
                    grads[f"act{n}"] = {"slope": own.pop("slope")}
                grads[f"conv{n}"] = own
                dx = add(dx, dinput) if self.skip in ("every", "unit") else dinput
            return add(dx, dy) if self.skip == "block" else dx, dmemory.filters, grads

        return y, memory.filters, back

    def _alone(self, n: int) -> bool:
        """Whether what the `n`-th convolution takes in comes from another one, or a PReLU, and goes nowhere else."""
        before = self.convs[n - 2]  # in front of the first one, the last one of the block before
        straight = self.skip == "none" or (self.skip == "block" and n > 1)
        return straight and before.size == 3 and isinstance(self.activation, PReLU | Identity)

    def _with_skip(self, x: Array, y: Array) -> Array:
        """A convolution's input and result to the next one's input."""
        if self.skip == "unit":
            return multiply_add(y, self.residual, x)
        return add(x, y) if self.skip == "every" else y

    def _infer(self, params: Params, x: Array, filters: Remembered) -> tuple[Array, Remembered]:
        """Outside of training: an activation's shift is added by the convolution in front of it."""
        memory, y = Memory(filters=filters), x
        for n, conv in enumerate(self.convs, 1):
            shift, activation = self.behind(n, params)
            inner, memory = conv.infer(params[f"conv{n}"], y, memory, shift)
            inner, _ = activation.apply(params.get(f"act{n}", {}), inner, False)
            y = self._with_skip(y, inner)
        return multiply_add(y, self.residual, x) if self.skip == "block" else y, memory.filters

    def behind(self, n: int, params: Params) -> tuple[Array | None, Layer]:
        """What stands behind the `n`-th convolution outside of training; see `npbsrn.layers.conv.split_shift`."""
        return (None, Identity()) if n > self.activated else split_shift(self.activation, params.get(f"act{n}", {}))

    def trace(self, at: Trace) -> Trace:
        """All convolutions."""
        for conv in self.convs:
            at = conv.trace(at)
        return at

    def latent(self) -> Iterator[tuple[str, Binarizer]]:
        """Those of all convolutions."""
        for n, conv in enumerate(self.convs, 1):
            for name, scheme in conv.latent():
                yield f"conv{n}.{name}", scheme


PullLongRange = Callable[[RememberedGrad], RememberedGrad]


def long_range(remembered: Remembered) -> tuple[Remembered, PullLongRange]:
    """The filters of a block that also accumulate in the next block: those larger than 1x1."""
    kept = [w.shape[-1] > 1 for w in remembered]

    def pull(dkept: RememberedGrad) -> RememberedGrad:
        came_back = iter(dkept)
        return tuple(next(came_back) if keep else None for keep in kept)

    return tuple(w for w, keep in zip(remembered, kept, strict=True) if keep), pull


@dataclass(frozen=True)
class BlockGroup(Layer):
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

        return x, taped(back, train)

    def trace(self, at: Trace) -> Trace:
        """All blocks."""
        for block in self.blocks:
            at = block.trace(at)
        return at

    def latent(self) -> Iterator[tuple[str, Binarizer]]:
        """Those of all blocks."""
        for n, block in enumerate(self.blocks, 1):
            for name, scheme in block.latent():
                yield f"{n}.{name}", scheme
