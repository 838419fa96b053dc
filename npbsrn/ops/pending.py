"""Cotangents that are computed where they are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from npbsrn.runtime.buffers import empty
from npbsrn.runtime.threads import SHARDS, map_parallel, parts_of

Array = np.ndarray[Any, Any]


class MayWait(list[Array]):
    """Cotangents of signs, from one who takes back a `Pending`, or an `npbsrn.ops.pointwise.Scaled`."""


def by_channel_of(
    mean: Array, inverse: Array, gain: Array, shift: Array, sums: Sequence[Array], slope: Array, count: int
) -> Array:
    """The numbers of a `Pending` by channel (C, 8), of arrays (C,) and the number of values in a channel.

    The sums are those that BN's gain and shift get, over the whole batch.

    They are mean, inverse, gain, shift, the means of dz and of dz y, gain * inverse, and PReLU's slope.
    """
    means = (total / np.float32(count) for total in reversed(sums))
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


@dataclass(frozen=True)
class PendingTerm:
    """The cotangent of the activations A of a term ``E(A) A``, not computed yet; see `Pending`.

    Parameters
    ----------
    shape : (N, C, H, W)
    a : float32
        Flat (N, C, H, W).
    e : float32
        Flat (N, H, W): E(A).
    dys : 1 to 3 of float32
        Flat (N, C, H, W): their sum, each times its factor, is the cotangent of the term.
    factors : as many floats
    magnitudes : bool
        Whether E is the mean of A's magnitudes, not of A.
    """

    shape: tuple[int, ...]
    a: Array
    e: Array
    dys: tuple[Array, ...]
    factors: tuple[float, ...]
    magnitudes: bool

    @property
    def dtype(self) -> Any:
        """Of the array."""
        return np.dtype(np.float32)

    @property
    def term(self) -> Any:
        """As kernels take it: `npbsrn.kernels.statistic.Term`."""
        from npbsrn.kernels.statistic import MOST, NONE, Term

        count = len(self.dys)
        more = MOST - count
        first, second, third = self.dys + (NONE,) * more
        factors = np.array(self.factors + (0.0,) * more, np.float32)
        return Term(self.a, self.e, first, second, third, factors, count, self.magnitudes)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        from npbsrn.kernels.statistic import statistic_backward

        (n, channels, height, width), da = self.shape, empty(self.shape, np.float32)
        fixed = self.term, (n, channels, height * width)
        map_parallel(lambda part: statistic_backward(*fixed, *part, da.reshape(-1)), parts_of(n, SHARDS))
        return da if dtype is None else da.astype(dtype, copy=False)
