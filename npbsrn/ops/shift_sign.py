"""Signs around a learned threshold for each channel, without a normalisation."""

from collections.abc import Callable
from typing import Any

import numpy as np

from npbsrn.ops.bits import WORD, Bits, pack
from npbsrn.ops.norm_sign import STES
from npbsrn.ops.pointwise import PARTS
from npbsrn.ops.sign import STES as STAND_INS
from npbsrn.runtime.buffers import empty
from npbsrn.runtime.threads import map_parallel, parts_of

Array = np.ndarray[Any, Any]
ShiftedSignsPull = Callable[[Array], tuple[Array, Array]]


def shifted_signs_ref(x: Array, shift: Array, window: float, ste: str, pad: float) -> tuple[Array, ShiftedSignsPull]:
    """The same as a composition of readable operations; see `shifted_signs`."""
    forward, backward = STAND_INS[ste]
    z, steepness = x + shift[:, None, None], x.dtype.type(1 / window)

    def pull(dbits: Array) -> tuple[Array, Array]:
        dx = backward(z * steepness, dbits) * steepness
        return dx, np.sum(dx, axis=(0, 2, 3))

    return forward(z), pull  # the sign of z, not of z / window, which might be too small to be other than 0


def shifted_signs(x: Array, shift: Array, window: float, ste: str, pad: float) -> tuple[Array | Bits, ShiftedSignsPull]:
    """``sign((x + shift) / window)``: the signs of ``x + shift``, with a stand-in for the gradient as wide as `window`.

    In float32, with channels a multiple of 16 and a sign around the picture, it is compiled and gives `Bits`; otherwise
    it is `shifted_signs_ref`. Both give the same signs.

    Parameters
    ----------
    x : (N, C, H, W)
    shift : (C,)
    window : float
        Above 0. With z = (x + shift) / window and s the function whose derivative stands in, ``dx = s'(z) dbits /
        window``.
    ste : {"identity", "clip", "bireal", "window", "steep"}
        The stand-in.
    pad : float
        The sign that will stand around the bits.

    Returns
    -------
    bits : (N, C, H, W), +-1
    pull : dbits -> (dx, dshift)
    """
    n, channels, height, width = x.shape
    if x.dtype != np.float32 or shift.dtype != np.float32 or channels % WORD or abs(pad) != 1:
        return shifted_signs_ref(x, shift, window, ste, pad)
    from npbsrn.kernels.shift_sign import shifted_back

    bits, flat = pack(x, pad, shift), np.ascontiguousarray(x).reshape(-1)
    fixed = flat, shift, np.float32(1 / window), STES.index(ste), (n, channels, height * width)

    def pull(dbits: Array) -> tuple[Array, Array]:
        d, dx, dshift = np.ascontiguousarray(dbits).reshape(-1), empty(x.shape, np.float32), np.empty_like(shift)
        out = dx.reshape(-1), dshift
        map_parallel(lambda part: shifted_back(d, *fixed, *part, *out), parts_of(channels, PARTS))
        return dx, dshift

    return bits, pull
