"""Signs of a normalised sum: every binary activation in training."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from npbsrn.ops.across import count_across, moments_across, sums_across, synchronized
from npbsrn.ops.bits import WORD, Bits, border_of, memory_for_bits
from npbsrn.ops.norm import batch_norm_ref, move_running, parts_by_channel, with_inverse
from npbsrn.ops.pending import MayWait, Pending, by_channel_of
from npbsrn.ops.pointwise import Scaled, weighted_sum
from npbsrn.ops.sign import binarize
from npbsrn.runtime.buffers import empty
from npbsrn.runtime.threads import SHARDS, map_parallel, parts_of

Array = np.ndarray[Any, Any]
NormSignsPull = Callable[[Sequence[Array]], tuple[list[Array], Array | None, Array, Array, Array]]
STES = ("identity", "clip", "bireal", "window", "steep")  # in the order of the kernel's numbers


def norm_signs_ref(
    terms: Sequence[Array], weights: Array | None, gain: Array, shift: Array, running: tuple[Array, Array],
    offsets: Array, ste: str, pad: float,
) -> tuple[list[Array], NormSignsPull]:  # fmt: skip
    """The same as a composition of readable operations; see `norm_signs`."""
    total, pull_total = weighted_sum(terms, np.ones(1, gain.dtype) if weights is None else weights)
    z, pull_norm = batch_norm_ref(total, gain, shift, running, train=True)
    parts = [binarize(z + offset, ste) for offset in offsets]

    def pull(dbits: Sequence[Array]) -> tuple[list[Array], Array | None, Array, Array, Array]:
        dzs = [pull_bits(d) for (_, pull_bits), d in zip(parts, dbits, strict=True)]
        doffsets = np.array([np.sum(dz) for dz in dzs], offsets.dtype)
        dtotal, dgain, dshift = pull_norm(sum(dzs[1:], start=dzs[0]))
        dterms, dweights = pull_total(dtotal)
        return dterms, None if weights is None else dweights, dgain, dshift, doffsets

    return [bits for bits, _ in parts], pull


def norm_signs(
    terms: Sequence[Array], weights: Array | None, gain: Array, shift: Array, running: tuple[Array, Array],
    offsets: Array, ste: str, pad: float,
) -> tuple[list[Array] | list[Bits], NormSignsPull]:  # fmt: skip
    """``sign(BN(sum_k weights[k] terms[k]) + offsets[j])`` for each base j, by the batch's statistics.

    In float32, with channels a multiple of 16 and a sign around the picture, it is compiled and gives `Bits`; otherwise
    it is `norm_signs_ref`. Both give the same signs: statistics are summed in the same order (`npbsrn.ops.sums`), with
    the same roundings.

    Parameters
    ----------
    terms : K arrays (N, C, H, W)
    weights : (K,), or None
        None: there is one term, as it is.
    gain, shift : (C,)
    running : (mean, variance), each (C,)
        Updated, see `npbsrn.ops.norm.batch_norm`.
    offsets : (J,)
    ste : {"identity", "clip", "bireal", "window", "steep"}
        Stand-in for the gradient of the sign.
    pad : float
        The sign that will stand around the bits.

    Returns
    -------
    bits : J of (N, C, H, W), +-1
    pull : dbits -> (dterms, dweights, dgain, dshift, doffsets); dweights is None without weights
        Where it is compiled and dbits `MayWait`, the cotangents of terms are `Scaled`, or `Pending` without weights.
    """
    n, channels, height, width = terms[0].shape
    if any(term.dtype != np.float32 for term in terms) or channels % WORD or abs(pad) != 1:
        return norm_signs_ref(terms, weights, gain, shift, running, offsets, ste, pad)
    from npbsrn.kernels.moments import channel_moments
    from npbsrn.kernels.norm_sign import SUMS, TERMS, TOTAL, signs_back

    flat, shape = tuple(np.ascontiguousarray(term).reshape(-1) for term in terms), (n, channels, height * width)
    factors = np.empty(0, np.float32) if weights is None else weights
    alone = len(flat) == 1  # its sum is not written: who reads it multiplies
    total = flat[0] if alone else empty(flat[0].shape, np.float32)
    mean, variance, inverse = (np.empty(channels, np.float32) for _ in range(3))
    by_channel = parts_by_channel(channels)
    statistics = mean, variance, inverse
    map_parallel(lambda part: channel_moments(flat, factors, shape, *part, total, *statistics), by_channel)
    divided, count = synchronized() is not None, count_across(total.size // channels)
    if divided:
        mean, variance, inverse = with_inverse(*moments_across(mean, variance))
    move_running(running, mean, variance, count)
    norm = total, factors[0] if alone and weights is not None else None, mean, inverse, gain, shift
    bits = [_pack(norm, np.float32(offset), (n, channels, height, width), pad) for offset in offsets]

    def pull(dbits: Sequence[Array]) -> tuple[list[Array], Array | None, Array, Array, Array]:
        given = np.ascontiguousarray(dbits[0] if len(dbits) == 1 else np.stack(dbits)).reshape(-1)
        task = (SUMS if weights is None else TOTAL) if isinstance(dbits, MayWait) else TERMS
        filled = len(flat) if task == TERMS else task == TOTAL
        dterms = tuple(empty(total.shape if k < filled else (0,), np.float32) for k in range(len(flat)))
        dgain, dshift = np.empty_like(gain), np.empty_like(shift)
        dweights, doffsets = (np.empty((channels, count), np.float32) for count in (len(factors), len(offsets)))
        numbers = flat, factors, STES.index(ste), shape

        def back(task: int, whole: bool, dgain: Array, dshift: Array) -> None:
            out = dterms, dweights, dgain, dshift, doffsets
            fixed = given, *norm, offsets, *numbers
            map_parallel(lambda part: signs_back(*fixed, *part, task, whole, count, *out), by_channel)

        back(SUMS if divided else task, False, dgain, dshift)
        sums = sums_across(dgain, dshift)
        if divided and task != SUMS:
            back(task, True, *sums)
        if task == SUMS:
            own = by_channel_of(mean, inverse, gain, shift, sums, np.ones_like(gain), count)
            pending: Any = Pending(terms[0].shape, given, total, own, offsets, STES.index(ste))
            return [pending], None, dgain, dshift, np.sum(doffsets, axis=0)
        along = None if weights is None else np.sum(dweights, axis=0)
        if task == TOTAL:
            scaled: list[Any] = [Scaled(dterms[0].reshape(terms[0].shape), weight) for weight in factors]
            return scaled, along, dgain, dshift, np.sum(doffsets, axis=0)
        return [d.reshape(terms[0].shape) for d in dterms], along, dgain, dshift, np.sum(doffsets, axis=0)

    return bits, pull


def _pack(norm: tuple[Any, ...], offset: Any, shape: tuple[int, int, int, int], pad: float) -> Bits:
    from npbsrn.kernels.norm_sign import pack_normal

    memory = memory_for_bits(shape)
    fixed = *norm, offset, border_of(pad), memory, shape
    map_parallel(lambda shard: pack_normal(*fixed, *shard), parts_of(shape[0], SHARDS))
    return Bits(memory, shape, pad)
