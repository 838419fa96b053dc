"""Binary convolution in training: sums of products of signs, for any scheme."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from npbsrn.ops.conv import conv2d

Array = np.ndarray[Any, Any]
BinaryConvPull = Callable[[Array], tuple[list[Array], Array, list[Array], Array]]


def filter_offset(signs: Sequence[Array], scales: Array, base: float) -> Array:
    """``base * sum_i scales[i] * sum(signs[i])`` by output channel: what activations that are `base` everywhere give.

    Returns
    -------
    offset : (O,), dtype of `scales`; from float64, rounded once
    """
    sums = np.stack([np.sum(s, axis=(1, 2, 3), dtype=np.float64) for s in signs])  # whole numbers
    total = np.zeros(scales.shape[1])
    for scale, own in zip(scales.astype(np.float64), sums, strict=True):
        total = total + scale * own
    return (base * total).astype(scales.dtype)


def binary_conv_ref(
    bits: Sequence[Array], coefs: Array, signs: Sequence[Array], scales: Array, base: float, pad: float
) -> tuple[Array, BinaryConvPull]:
    """``sum_ij scales_i coefs_j S_ij + offset`` with ``S_ij = conv(bits_j, signs_i)``, readable; see `binary_conv`."""
    convolved = [[conv2d(b, w, pad_value=pad) for b in bits] for w in signs]
    products = [[s for s, _ in row] for row in convolved]
    pulls = [[pull for _, pull in row] for row in convolved]
    sums = [np.sum(w, axis=(1, 2, 3)) for w in signs]
    y = (
        np.zeros_like(products[0][0])
        + (base * sum(scale * t for scale, t in zip(scales, sums, strict=True)))[:, None, None]
    )
    for row, scale in zip(products, scales, strict=True):
        for s, coef in zip(row, coefs, strict=True):
            y = y + s * (scale * coef)[:, None, None]

    def pull(dy: Array) -> tuple[list[Array], Array, list[Array], Array]:
        dbits: list[Any] = [0] * len(bits)
        dsigns, dcoefs, dscales = [], np.zeros_like(coefs), np.zeros_like(scales)
        total = np.sum(dy, axis=(0, 2, 3))
        for i, w in enumerate(signs):
            dw = np.zeros_like(w) + (base * scales[i] * total)[:, None, None, None]
            dscales[i] = base * sums[i] * total
            for j, coef in enumerate(coefs):
                along = np.sum(dy * products[i][j], axis=(0, 2, 3))
                dscales[i] += coef * along
                dcoefs[j] += np.dot(scales[i], along)
                db, dw_j, _ = pulls[i][j](dy * (scales[i] * coef)[:, None, None])
                dbits[j] = dbits[j] + db
                dw = dw + dw_j
            dsigns.append(dw)
        return dbits, dcoefs, dsigns, dscales

    return y, pull


binary_conv = binary_conv_ref
