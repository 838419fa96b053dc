"""Statistics of a whole batch from those of its shards, see `npbsrn.runtime.shards`.

Where a batch is not divided, or each shard is to have statistics of its own, they are those that are given.
"""

from typing import Any

import numpy as np

from npbsrn.runtime.shards import Shard, current

Array = np.ndarray[Any, Any]


def synchronized() -> Shard | None:
    """The shard of this thread, if statistics are those of the whole batch."""
    shard = current()
    return shard if shard is not None and shard.synchronize else None


def moments_across(mean: Array, variance: Array) -> tuple[Array, Array]:
    """Mean and biased variance of the batch from those of this shard.

    With S shards of one size ``m = sum_s m_s / S`` and ``v = sum_s (v_s + (m_s - m)**2) / S`` (Chan et al., 1983), in
    float64, in the order of the shards.
    """
    shard = synchronized()
    if shard is None:
        return mean, variance
    means, variances = np.moveaxis(shard.gather(np.stack([mean, variance]).astype(np.float64)), 1, 0)
    whole = np.mean(means, axis=0)
    return whole.astype(mean.dtype), np.mean(variances + (means - whole) ** 2, axis=0).astype(mean.dtype)


def sums_across(*sums: Array) -> list[Array]:
    """Sums over the batch, of one shape, from those over this shard."""
    shard = synchronized()
    if shard is None:
        return list(sums)
    return list(np.sum(shard.gather(np.stack(sums).astype(np.float64)), axis=0).astype(sums[0].dtype))


def count_across(count: int) -> int:
    """Values in the batch, from those in this shard."""
    shard = synchronized()
    return count if shard is None else count * shard.count
