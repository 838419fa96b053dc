"""A chain of block groups; in training, one fused operation if the groups are the paper's."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from npbsrn.binarizers.bam import Bam
from npbsrn.binarizers.base import Binarizer, Remembered, RememberedGrad
from npbsrn.fused.lb_blocks import CHANNELS, SIZES, STES, LBWeights, lb_blocks
from npbsrn.layers.base import Back, Chain, Identity, Layer, Rng, Trace, hand_over, taped
from npbsrn.layers.blocks import BinaryBlock, BlockGroup, long_range
from npbsrn.layers.conv import PReLU
from npbsrn.ops.across import count_across
from npbsrn.ops.norm import move_running
from npbsrn.storage.params import Params

Array = np.ndarray[Any, Any]
BackWeights = Callable[[LBWeights, RememberedGrad], tuple[RememberedGrad, Params]]


@dataclass(frozen=True)
class BlockChain(Layer):
    """Groups one after another, as a `Chain` of them would do it.

    In training all blocks together are one operation, `npbsrn.fused.lb_blocks.lb_blocks`, where they are the paper's
    LB-blocks of 48 channels with the binarizer BAM (any option of it), patches are a multiple of 16 wide, and numbers
    are float32.
    """

    groups: tuple[BlockGroup, ...]

    def _plain(self) -> Chain:
        return Chain(tuple((str(n), group) for n, group in enumerate(self.groups, 1)))

    def init(self, rng: Rng, dtype: Any) -> Params:
        """``1, 2, ...``."""
        return self._plain().init(rng, dtype)

    def apply(self, params: Params, x: Array, train: bool) -> tuple[Array, Back]:
        """(N, C, H, W) to the same."""
        if not (train and self._fits_fast(x)):
            y, back_plain = self._plain().apply(params, x, train)
            return y, taped(lambda dy: _computed(*back_plain(dy)), train)
        weights, backs = [], []
        for g, group in enumerate(self.groups, 1):
            filters: Remembered = ()
            for n, block in enumerate(group.blocks, 1):
                own, remembered, back_weights = block_weights(block, params[str(g)][str(n)], filters)
                filters, pull_filters = long_range(remembered)
                weights.append(own)
                # where a group ends, nothing comes back to its filters
                dlast = (None,) * len(filters) if n == len(group.blocks) else None
                backs.append((str(g), str(n), back_weights, pull_filters, dlast))
        first = self.groups[0].blocks[0]
        scheme = first.convs[0].scheme
        assert isinstance(scheme, Bam)  # see _fits_fast
        y, moments, pull = lb_blocks(x, weights, first.residual, scheme.statistic, scheme.activation_ste)
        for (at, nth, *_), (means, variances) in zip(backs, moments, strict=True):
            _move_running(params[at][nth], means, variances, count_across(x.size // CHANNELS))

        def back(dy: Array) -> tuple[Array, Params]:
            dx, dweights = pull(dy)
            grads: Params = {str(g): {} for g in range(1, len(self.groups) + 1)}
            dfilters: RememberedGrad = ()
            for (at, nth, back_weights, pull_filters, dlast), own in zip(backs[::-1], reversed(dweights), strict=True):
                dfilters, grads[at][nth] = back_weights(own, pull_filters(dfilters if dlast is None else dlast))
                hand_over(grads[at][nth])
            return dx, grads

        return y, back

    def _fits_fast(self, x: Array) -> bool:
        """Whether `lb_blocks` does what the layers do."""
        first = self.groups[0].blocks[0]
        return (
            x.dtype == np.float32
            and x.shape[3] % 16 == 0
            and first.skip == "block"
            and isinstance(first.activation, PReLU | Identity)
            and tuple((conv.channels, conv.size) for conv in first.convs) == tuple((CHANNELS, size) for size in SIZES)
            and isinstance(first.convs[0].scheme, Bam)
            and first.convs[0].scheme.pad == 1
            and first.convs[0].scheme.activation_ste in STES
            and not first.convs[0].norm
            and all(conv.scheme == first.convs[0].scheme for conv in first.convs)
            and all(_kind(block) == _kind(first) for group in self.groups for block in group.blocks)
        )

    def trace(self, at: Trace) -> Trace:
        """All groups."""
        return self._plain().trace(at)

    def latent(self) -> Iterator[tuple[str, Binarizer]]:
        """Those of all groups."""
        return self._plain().latent()


def _computed(dx: Array, grads: Params) -> tuple[Array, Params]:
    """Of what comes back from binary convolutions, dx as an array: see `npbsrn.ops.pending.Pending`."""
    return np.asarray(dx), grads


def _kind(block: BinaryBlock) -> Any:
    """What all blocks of one operation have in common."""
    convs = tuple((conv.channels, conv.size, conv.scheme, conv.norm) for conv in block.convs)
    return convs, block.activation, block.skip, block.residual


def block_weights(block: BinaryBlock, params: Params, filters: Remembered) -> tuple[LBWeights, Remembered, BackWeights]:
    """A block's binarized filters and other weights; ``back`` maps (dweights, dfilters) to (dfilters, grads)."""
    scheme = block.convs[0].scheme
    assert isinstance(scheme, Bam)
    convs = [params[f"conv{n}"] for n in (1, 2, 3)]
    own = [conv["binarizer"] for conv in convs]
    bits, scales, pulls = [], [], []
    for layer, conv in zip(block.convs, convs, strict=True):
        binarized, filters, pull_w = layer.binarized_filters(conv, filters)
        bits.append(binarized.signs[0])
        scales.append(binarized.scales[0])
        pulls.append(pull_w)
    used = [slice(0 if scheme.accumulate_activations else n, n + 1) for n in range(3)]
    beta = np.zeros((3, 3), np.float32)
    for n, o in enumerate(own):
        beta[n, used[n]] = o.get("beta", 1)
    learned = isinstance(block.activation, PReLU)
    slope = [params[f"act{n}"]["slope"] if learned else np.ones_like(scales[0]) for n in (1, 2)]
    gain, shift = (np.stack([o[name] for o in own]) for name in ("gain", "shift"))

    def back(d: LBWeights, dfilters: RememberedGrad) -> tuple[RememberedGrad, Params]:
        grads: Params = {f"act{n}": {"slope": d.slope[n - 1]} if learned else {} for n in (1, 2)}
        for n in (2, 1, 0):
            dw, dfilters, grads_w = pulls[n]([d.filters[n]], d.scale[n][None], dfilters)
            grads_x = {"gain": d.gain[n], "shift": d.shift[n]}
            grads_x |= {"beta": d.beta[n, used[n]]} if "beta" in own[n] else {}
            grads[f"conv{n + 1}"] = {"weight": dw, "binarizer": grads_x | grads_w}
        return dfilters, grads

    return LBWeights(bits, np.stack(scales), np.stack(slope), beta, gain, shift), filters, back


def _move_running(params: Params, means: Array, variances: Array, count: int) -> None:
    for n in range(3):
        own = params[f"conv{n + 1}"]["binarizer"]
        move_running((own["running_mean"], own["running_variance"]), means[n], variances[n], count)
