"""Signs of a normalised sum: every binary activation in training."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from npbsrn.ops.bits import WORD, Bits, border_of, memory_for_bits
from npbsrn.ops.norm import batch_norm, move_running
from npbsrn.ops.pointwise import PARTS, weighted_sum
from npbsrn.ops.sign import binarize
from npbsrn.runtime.buffers import empty
from npbsrn.runtime.threads import SHARDS, map_parallel, parts_of

Array = np.ndarray[Any, Any]
NormSignsPull = Callable[[Sequence[Array]], tuple[list[Array], Array | None, Array, Array, Array]]
STES = ("identity", "clip", "bireal", "window", "steep")  # in the order of the kernel's numbers
CHANNELS = 8  # that a thread takes at once


def norm_signs_ref(
    terms: Sequence[Array], weights: Array | None, gain: Array, shift: Array, running: tuple[Array, Array],
    offsets: Array, ste: str, pad: float,
) -> tuple[list[Array], NormSignsPull]:  # fmt: skip
    """The same as a composition of readable operations; see `norm_signs`."""
    total, pull_total = weighted_sum(terms, np.ones(1, gain.dtype) if weights is None else weights)
    z, pull_norm = batch_norm(total, gain, shift, running, train=True)
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
    """
    n, channels, height, width = terms[0].shape
    if any(term.dtype != np.float32 for term in terms) or channels % WORD or abs(pad) != 1:
        return norm_signs_ref(terms, weights, gain, shift, running, offsets, ste, pad)
    from npbsrn.kernels.norm_sign import channel_moments, signs_back

    flat, shape = tuple(np.ascontiguousarray(term).reshape(-1) for term in terms), (n, channels, height * width)
    total = flat[0] if weights is None else _total(flat, weights)
    mean, variance, inverse = (np.empty(channels, np.float32) for _ in range(3))
    by_channel = [(c, min(c + CHANNELS, channels)) for c in range(0, channels, CHANNELS)]
    map_parallel(lambda part: channel_moments(total, shape, *part, mean, variance, inverse), by_channel)
    move_running(running, mean, variance, total.size // channels)
    norm = total, mean, inverse, gain, shift
    bits = [_pack(norm, np.float32(offset), (n, channels, height, width), pad) for offset in offsets]

    def pull(dbits: Sequence[Array]) -> tuple[list[Array], Array | None, Array, Array, Array]:
        given = np.ascontiguousarray(dbits[0] if len(dbits) == 1 else np.stack(dbits)).reshape(-1)
        dtotal, dgain, dshift = empty(total.shape, np.float32), np.empty_like(gain), np.empty_like(shift)
        doffsets = np.empty((channels, len(offsets)), np.float32)
        numbers, out = (offsets, STES.index(ste), shape), (dtotal, dgain, dshift, doffsets)
        map_parallel(lambda part: signs_back(given, *norm, *numbers, *part, *out), by_channel)
        dterms, dweights = ([dtotal], None) if weights is None else _total_back(dtotal, flat, weights)
        return [d.reshape(terms[0].shape) for d in dterms], dweights, dgain, dshift, np.sum(doffsets, axis=0)

    return bits, pull


def _pack(norm: tuple[Array, ...], offset: Any, shape: tuple[int, int, int, int], pad: float) -> Bits:
    from npbsrn.kernels.norm_sign import pack_normal

    memory = memory_for_bits(shape)
    fixed = *norm, offset, border_of(pad), memory, shape
    map_parallel(lambda shard: pack_normal(*fixed, *shard), parts_of(shape[0], SHARDS))
    return Bits(memory, shape, pad)


def _total(terms: tuple[Array, ...], weights: Array) -> Array:
    from npbsrn.kernels.norm_sign import weighted_total

    total = empty(terms[0].shape, np.float32)
    map_parallel(lambda part: weighted_total(terms, weights, *part, total), parts_of(total.size, PARTS))
    return total


def _total_back(dtotal: Array, terms: tuple[Array, ...], weights: Array) -> tuple[list[Array], Array]:
    from npbsrn.kernels.norm_sign import weighted_back

    dterms, parts = tuple(empty(dtotal.shape, np.float32) for _ in terms), parts_of(dtotal.size, PARTS)
    dweights = np.empty((len(parts), len(terms)))

    def part(k: int) -> None:
        weighted_back(dtotal, terms, weights, *parts[k], dterms, dweights[k])

    map_parallel(part, range(len(parts)))
    return list(dterms), np.sum(dweights, axis=0).astype(weights.dtype)
