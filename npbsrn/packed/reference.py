"""A plan in plain NumPy: `npbsrn.packed.engine` without tiles, one operation after another."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from npbsrn.images.flat import flat_pixels, keep_flat
from npbsrn.kernels.bits import counts_ref, pack_filters, pack_picture
from npbsrn.networks.base import MIDDLE
from npbsrn.ops.conv import conv2d
from npbsrn.ops.enlarge import enlarge
from npbsrn.ops.normal_form import binarize_terms, sum_products
from npbsrn.ops.pointwise import multiply_add, prelu_ref
from npbsrn.ops.shuffle import pixel_shuffle
from npbsrn.ops.statistic import weight_by_statistic
from npbsrn.packed.plan import Block, Plan, Step

Array = np.ndarray[Any, Any]


def plan_ref(x: Array, plan: Plan) -> Array:
    """Enlarge a picture.

    Parameters
    ----------
    x : (3, H, W) float32, in [0, 1]
    plan : Plan

    Returns
    -------
    y : (3, H * scale, W * scale) float32, not clipped
        But for the order of sums in trunk and tail, what the engine gives.
    """
    middle = np.float32(MIDDLE)
    large = enlarge(x[None], plan.scale)[0]
    head, _ = conv2d(((large if plan.enlarged else x[None]) - middle) * np.float32(plan.gain), *plan.head)
    y = blocks_ref(head[0], plan.blocks)[None]
    if plan.trunk is not None:
        y = conv2d(y, *plan.trunk)[0] + head
    for convolution, factor in zip(plan.tail, (*plan.shuffles, 1), strict=True):
        y, _ = pixel_shuffle(conv2d(y, *convolution)[0], factor)
    y = y[0] + (large[0] if plan.base else middle)
    if plan.flat:
        picture = x.transpose(1, 2, 0)
        keep_flat(picture, flat_pixels(picture), y.transpose(1, 2, 0))
    return y


def blocks_ref(x: Array, blocks: Sequence[Block]) -> Array:
    """Pass the feature map through all blocks.

    Steps on bits equal the layers to the bit. So do steps on float activations, whose convolutions are those of the
    layers.

    Parameters
    ----------
    x : (C, H, W) float32
    blocks : sequence of Block

    Returns
    -------
    y : (C, H, W) float32
    """
    for block in blocks:
        a, terms = x, []
        for step in block.steps:
            terms.append(weight_by_statistic(a[None], block.statistic)[0][0])
            y = sum_products(_products(step, terms), step.factor, step.offset)
            if step.slope is not None:
                y = prelu_ref(y[None], step.slope)[0][0]
            a = _added(a, step.amount, y) if step.skip else y
        x = a if block.residual is None else _added(x, block.residual, a)
    return x


def _added(x: Array, amount: float, y: Array) -> Array:
    """``x + amount * y``, of pictures, so that it is rounded once."""
    return multiply_add(y[None], np.float32(amount), x[None])[0]


def _products(step: Step, terms: list[Array]) -> list[list[Array]]:
    """Each base of the filters by each base of the activations."""
    if step.weight is None or step.shift is None:
        x = np.ascontiguousarray(terms[step.terms[-1]][None])
        return [[_convolve(x, w.astype(x.dtype), step.pad)[0]] for w in step.signs]
    bits = binarize_terms([terms[k] for k in step.terms], step.weight, step.shift)
    return [[_count(b < 0, w, step.pad) for b in bits] for w in step.signs]


def _count(negative: Array, signs: Array, pad: float) -> Array:
    """Sums of products of signs, from the counts of products that are -1."""
    channels, height, width = negative.shape
    size = signs.shape[-1]
    rows = pack_picture(negative, width + 2, pad < 0)
    counts = counts_ref(rows, pack_filters(signs), size, height, width)
    return channels * size * size - 2 * counts.astype(np.float32)


def _convolve(x: Array, w: Array, pad: float) -> Array:
    """Float convolution, (N, C, H, W) to (N, O, H, W): one of 1x1 as the middle tap of 3x3.

    The layers use BLAS for it, whose sums depend on the picture's size and therefore on tiles.
    """
    if w.shape[-1] == 1:
        w = np.pad(w, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return conv2d(x, w, pad_value=pad)[0]
