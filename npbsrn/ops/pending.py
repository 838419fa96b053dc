"""Cotangents that are computed where they are read."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from npbsrn.runtime.buffers import empty
from npbsrn.runtime.threads import SHARDS, map_parallel, parts_of

Array = np.ndarray[Any, Any]


class MayWait(list[Array]):
    """Cotangents of signs, from one who takes back a `Pending`, or an `npbsrn.ops.pointwise.Scaled`."""


def by_channel_of(
    mean: Array, inverse: Array, gain: Array, shift: Array, dgain: Array, dshift: Array, slope: Array, size: int
) -> Array:
    """The numbers of a `Pending` by channel (C, 8), of arrays (C,) and the number of all values.

    They are mean, inverse, gain, shift, the means of dz and of dz y, gain * inverse, and PReLU's slope.
    """
    means = (sums / np.float32(size // len(gain)) for sums in (dshift, dgain))
    return np.stack([mean, inverse, gain, shift, *means, gain * inverse, slope], axis=1)


@dataclass(frozen=True)
class Pending:
    """The cotangent of what is normalised, and then becomes signs or passes PReLU, not computed yet.

    It follows pixel by pixel from arrays that are there. Who reads it once, a convolution's backward pass, computes it
    meanwhile; written and read it would pass through memory two times more. `numpy.asarray` computes it for all others.

    Parameters
    ----------
    shape : (N, C, H, W)
    dbits : float32
        Flat (J, N, C, H, W): of the signs; or, with J = 1, of PReLU's result.
    values : float32
        Flat (N, C, H, W): what is normalised.
    norm : (C, 8) float32
        See `by_channel_of`.
    offsets : (J,) float32
        What signs add to the normalised values.
    ste : int
        See `npbsrn.kernels.norm_sign.passed`; or `PRELU` there.
    """

    shape: tuple[int, int, int, int]
    dbits: Array
    values: Array
    norm: Array
    offsets: Array
    ste: int

    @property
    def dtype(self) -> Any:
        """Of the array."""
        return np.dtype(np.float32)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        from npbsrn.kernels.norm_sign import values_back

        dx, parts = empty(self.shape, np.float32), parts_of(self.shape[0] * self.shape[1], SHARDS)
        fixed, pixels = (self.dbits, self.values, self.norm, self.offsets, self.ste), self.shape[2] * self.shape[3]
        map_parallel(lambda part: values_back(*fixed, pixels, *part, dx.reshape(-1)), parts)
        return dx if dtype is None else dx.astype(dtype, copy=False)
