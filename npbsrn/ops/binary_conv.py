"""Binary convolution: sums of products of signs, by filter and activation bases."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from npbsrn.ops.bits import WORD, Bits
from npbsrn.ops.conv import conv2d
from npbsrn.ops.normal_form import sum_products
from npbsrn.ops.pending import Pending, PendingTerm
from npbsrn.ops.pointwise import prelu, prelu_ref
from npbsrn.runtime.buffers import empty
from npbsrn.runtime.threads import SHARDS, map_parallel, parts_of

Array = np.ndarray[Any, Any]
LEAST = 2.0**-10  # of PReLU's slopes, by which its result may be divided
BinaryConvPull = Callable[[Array], tuple[list[Array], Array, list[Array], Array, Array | None]]


def filter_offset(signs: Sequence[Array], scales: Array, base: float) -> Array:
    """``base * sum_i scales[i] * sum(signs[i])`` of each output channel, in float64 and rounded once.

    It is the contribution of the constant `base`, which also pads the picture.

    Parameters
    ----------
    signs : M arrays (O, C, k, k), +-1
    scales : (M, O)
    base : float

    Returns
    -------
    offset : (O,), dtype of `scales`
    """
    total = np.zeros(scales.shape[1])
    for own, scale in zip(signs, scales, strict=True):
        total += scale * np.sum(own, axis=(1, 2, 3), dtype=np.float64)
    return np.asarray(base * total, scales.dtype)


def binary_conv_ref(
    bits: Sequence[Array], coefs: Array, signs: Sequence[Array], scales: Array, base: float, pad: float,
    slope: Array | None = None,
) -> tuple[Array, BinaryConvPull]:  # fmt: skip
    """The same as a composition of readable operations; see `binary_conv`.

    Bits and signs may be any numbers here.
    """
    factors = scales[:, None] * coefs[:, None]
    convolved = [[conv2d(plane, own, pad_value=pad) for plane in bits] for own in signs]
    sums = [[products for products, _ in row] for row in convolved]
    y = sum_products(sums, factors, filter_offset(signs, scales, base) if base else None)
    pull_prelu: Callable[[Array], tuple[Array, Array | None]] = lambda dy: (dy, None)  # noqa: E731
    if slope is not None:
        y, pull_prelu = prelu_ref(y, slope)

    def pull(dy: Array) -> tuple[list[Array], Array, list[Array], Array, Array | None]:
        dy, dslope = pull_prelu(dy)
        whole = np.sum(dy, axis=(0, 2, 3))
        dbits: list[Any] = [0] * len(bits)
        constant = (base * scales * whole)[..., None, None, None]
        dsigns = [np.broadcast_to(own, signs[0].shape) for own in constant]
        dfactors = np.empty_like(factors)
        for i in range(len(signs)):
            for j in range(len(bits)):
                dplane, down, _ = convolved[i][j][1](dy * factors[i, j][:, None, None])
                dbits[j], dsigns[i] = dbits[j] + dplane, dsigns[i] + down
                dfactors[i, j] = np.sum(dy * sums[i][j], axis=(0, 2, 3))
        dcoefs = np.sum(dfactors * scales[:, None], axis=(0, 2))
        whole_signs = np.stack([np.sum(own, axis=(1, 2, 3)) for own in signs])
        dscales = np.sum(dfactors * coefs[:, None], axis=1) + base * whole_signs * whole
        return dbits, dcoefs, dsigns, dscales, dslope

    return y, pull


def binary_conv(
    bits: Sequence[Array | Bits], coefs: Array, signs: Sequence[Array], scales: Array, base: float, pad: float,
    slope: Array | None = None,
) -> tuple[Array, BinaryConvPull]:  # fmt: skip
    """Convolve activations ``base + sum_j coefs[j] bits[j]`` with filters ``sum_i scales[i] signs[i]``; then PReLU.

    With ``S_ij`` the sums of products of the signs `bits[j]` and `signs[i]`, whole numbers, and
    ``f_ij = scales[i] * coefs[j]``, in each output channel o

        ``y = offset + sum_ij f_ij S_ij``,  ``offset = base * sum_i scales[i] sum(signs[i])``.

    The order of the roundings is that of `npbsrn.ops.normal_form.sum_products`.

    Backward, with ``D_i`` the product of ``scales[i] dy`` with `signs[i]` (a convolution with turned filters) and
    ``P_j[o, c, t]`` the sum over pixels of dy times what tap t sees of `bits[j]`, both sums of floats with signs:

        ``dbits[j] = coefs[j] sum_i D_i``,
        ``dsigns[i] = scales[i] (sum_j coefs[j] P_j + base sum(dy))``,
        ``dscales[i] = <signs[i], sum_j coefs[j] P_j + base sum(dy)>``, since ``<dy, S_ij> = <signs[i], P_j>``,
        ``dcoefs[j] = sum_i scales[i] <signs[i], P_j>``.

    So each product is made once, however many bases there are; with 3x3 filters D is of their weighted sum, and both
    are made by Winograd's filtering (`npbsrn.kernels.tile_points`). Kept for the backward pass are bits.

    With a `slope`, y goes through `npbsrn.ops.pointwise.prelu` in the same pass. Where all slopes are at least `LEAST`,
    the backward pass learns from the result what the input of PReLU was; otherwise PReLU is an operation of its own.

    All this is for activations that come as `Bits`. Arrays (of other dtypes, of channels that are no multiples of 16,
    or of a scheme with float activations), output channels that are no multiple of 16, other sizes and padding with
    zero take `binary_conv_ref`; its results are equal to these, its cotangents differ by the order of float32 sums. No
    result depends on the number of threads.

    Parameters
    ----------
    bits : N of (Nb, C, H, W), +-1, as `Bits` or as arrays
    coefs : (N,)
    signs : M arrays (O, C, k, k), +-1, k 1 or 3
    scales : (M, O)
    base : float
    pad : {1.0, -1.0}
        The sign around the picture.
    slope : (O,), optional
        Of PReLU.

    Returns
    -------
    y : (Nb, O, H, W)
    pull : dy -> (dbits, dcoefs, dsigns, dscales, dslope); dslope is None without a slope
    """
    outputs, inputs, size, _ = signs[0].shape
    packed = [own.padded(pad) for own in bits if isinstance(own, Bits) and abs(pad) == 1]
    compiled = len(packed) == len(bits) and not outputs % WORD and size in (1, 3) and signs[0].dtype == np.float32
    if slope is not None and not (compiled and np.all(slope >= LEAST)):
        return _then_prelu(binary_conv(bits, coefs, signs, scales, base, pad), slope)
    if not compiled:
        plain = [own.unpack() if isinstance(own, Bits) else own for own in bits]
        y, pull_plain = binary_conv_ref(plain, coefs, signs, scales, base, pad)
        return y, lambda dy: pull_plain(np.asarray(dy))
    from npbsrn.kernels.binary_forward import forward_samples

    n, _, height, width = bits[0].shape
    memory = _stacked(packed)
    factors = (scales[:, None] * coefs[:, None]).astype(np.float32).ravel()
    offset = filter_offset(signs, scales, base).astype(np.float32) if base else np.empty(0, np.float32)
    y = empty((n, outputs, height, width), np.float32)
    shape, flat = (len(bits), n, inputs // WORD, height, width), y.reshape(-1)
    slopes = np.empty(0, np.float32) if slope is None else slope
    fixed = memory, _words(signs), factors, offset, slopes, flat, shape, size
    map_parallel(lambda shard: forward_samples(*fixed, *shard), parts_of(n, SHARDS))
    kept = slopes if slope is None else flat  # the result for PReLU alone; without one nobody need hold it

    def pull(dy: Array | Pending | PendingTerm) -> tuple[list[Array], Array, list[Array], Array, Array | None]:
        dbits, dw, whole, due = _products(dy, memory, signs, scales, coefs, bool(base), bits[0].shape, kept, slopes)
        dcoefs, dsigns, dscales = _filters_back(dw, signs, scales, coefs, np.float32(base) * whole)
        return dbits, dcoefs, dsigns, dscales, None if slope is None else due / slope

    return y, pull


def _then_prelu(convolved: tuple[Array, BinaryConvPull], slope: Array) -> tuple[Array, BinaryConvPull]:
    """PReLU behind a convolution, as an operation of its own."""
    y, pull_prelu = prelu(convolved[0], slope)

    def pull(dy: Array) -> tuple[list[Array], Array, list[Array], Array, Array | None]:
        dinner, dslope = pull_prelu(np.asarray(dy))
        return *convolved[1](dinner)[:4], dslope

    return y, pull


def _words(signs: Sequence[Array]) -> Array:
    """Filters as words, as the kernel of the counts reads them: (M, n)."""
    from npbsrn.kernels.counts import arranged
    from npbsrn.kernels.pack import filter_words

    outputs, inputs, size, _ = signs[0].shape
    words = np.empty((len(signs), outputs * inputs // WORD * size**2), np.uint16)
    for own, target in zip(signs, words, strict=True):
        filter_words(np.ascontiguousarray(own), target)
    return np.stack([arranged(own, outputs, size) for own in words])


def _stacked(bits: Sequence[Bits]) -> Array:
    """Memory of several bases one behind another."""
    if len(bits) == 1:
        return bits[0].memory
    size = bits[0].words.size
    memory = np.zeros(len(bits) * size + bits[0].memory.size - size, np.uint16)
    for j, own in enumerate(bits):
        memory[j * size : (j + 1) * size] = own.memory[:size]
    return memory


def _products(
    dy: Array | Pending | PendingTerm, memory: Array, signs: Sequence[Array], scales: Array, coefs: Array, offset: bool,
    shape: tuple[int, ...], y: Array, slope: Array,
) -> tuple[list[Array], Array, Array, Array]:  # fmt: skip
    """Cotangents of the bits, ``P_j`` by shards, see `npbsrn.kernels.conv_filters`, and two sums over pixels (O,).

    These are of dy, 0 without an offset, and of what is due to the slopes, times them.
    """
    outputs, inputs, size, _ = signs[0].shape
    backward = (_by_points if size == 3 else _by_tables)(signs, scales, coefs, shape)
    dx = empty((len(coefs), *shape), np.float32)
    dw = empty((SHARDS, len(coefs) * inputs * size**2 * outputs), np.float32)
    if size == 1:  # where it is added to
        dw[:] = 0
    sums = np.zeros((SHARDS, outputs * 16 if offset else 0), np.float32)
    due = np.zeros((SHARDS, outputs, 16), np.float32)
    flat, behind = _cotangent(dy, size == 3)
    shards = parts_of(shape[0], SHARDS)

    def part(shard: int) -> None:
        added = dw[shard], sums[shard], y, slope, due[shard].reshape(-1), *behind
        backward(flat, memory, dx.reshape(-1), added, shards[shard])

    map_parallel(part, range(SHARDS))
    whole = sums[0]
    for shard in range(1, SHARDS):
        whole = whole + sums[shard]
    whole = np.sum(whole.reshape(-1, 16), axis=1) if offset else np.zeros(outputs, np.float32)
    return list(dx), dw, whole, np.sum(due, axis=(0, 2))


def _filters_back(
    dw: Array, signs: Sequence[Array], scales: Array, coefs: Array, constant: Array
) -> tuple[Array, list[Array], Array]:
    """Cotangents of coefs, signs and scales."""
    from npbsrn.kernels.conv_filters import filters_back

    outputs, inputs, size, _ = signs[0].shape
    own = _together(signs)
    dsigns, dscales = np.empty_like(own), np.empty(scales.shape, np.float32)
    dfactors = np.empty((len(signs), len(coefs), outputs), np.float32)
    single = (np.ascontiguousarray(array, np.float32) for array in (scales, coefs, constant))
    filters_back(dw, 1 if size == 3 else WORD, size**2, own, *single, dsigns, dfactors, dscales)
    dcoefs = np.sum(dfactors * scales[:, None], axis=(0, 2))
    return dcoefs, list(dsigns.reshape(len(signs), outputs, inputs, size, size)), dscales


def _together(signs: Sequence[Array]) -> Array:
    """Filters of all bases in one array: (M, O, C * k * k)."""
    outputs, inputs, size, _ = signs[0].shape
    whole = np.ascontiguousarray(signs[0])[None] if len(signs) == 1 else np.stack(signs)
    return whole.reshape(len(signs), outputs, inputs * size * size)


def _cotangent(dy: Array | Pending | PendingTerm, may_wait: bool) -> tuple[Array, tuple[Any, ...]]:
    """A cotangent, flat, and what still stands behind it, if it may wait."""
    from npbsrn.kernels.norm_sign import Behind
    from npbsrn.kernels.statistic import NO_TERM

    none = np.empty(0, np.float32)
    behind = Behind(none, none[:, None], none, 0)
    if isinstance(dy, Pending) and may_wait:
        return dy.dbits, (Behind(dy.values, dy.norm, dy.offsets, dy.ste), NO_TERM)
    if isinstance(dy, PendingTerm) and may_wait:
        return none, (behind, dy.term)
    return np.ascontiguousarray(dy, np.float32).reshape(-1), (behind, NO_TERM) if may_wait else ()


def _by_points(signs: Sequence[Array], scales: Array, coefs: Array, shape: tuple[int, ...]) -> Callable[..., None]:
    """The compiled backward pass of 3x3 filters, whose bases are one filter in it."""
    from npbsrn.kernels.conv_sizes import Sizes
    from npbsrn.kernels.tile_backward import backward_samples, filter_points, size_of_points, workspace_size

    outputs, inputs = signs[0].shape[:2]
    points = empty((size_of_points(outputs, inputs),), np.float32)
    fixed = _together(signs), np.ascontiguousarray(scales)
    map_parallel(lambda c: filter_points(*fixed, c, points), range(0, inputs, WORD))
    sizes = Sizes(len(coefs), shape[0], inputs, outputs, shape[2], shape[3])
    room, own_coefs = workspace_size(sizes), np.ascontiguousarray(coefs)

    def backward(dy: Array, memory: Array, dx: Array, added: tuple[Array, ...], samples: tuple[int, int]) -> None:
        backward_samples(dy, memory, points, own_coefs, sizes, dx, *added, empty((room,), np.float32), *samples)

    return backward


def _by_tables(signs: Sequence[Array], scales: Array, coefs: Array, shape: tuple[int, ...]) -> Callable[..., None]:
    """The compiled backward pass of 1x1 filters."""
    from npbsrn.kernels.binary_backward import backward_samples
    from npbsrn.kernels.conv_sizes import Sizes
    from npbsrn.kernels.long_row import chunks_of, filter_indices

    outputs, inputs = signs[0].shape[:2]
    indices, chunks = np.stack([filter_indices(own[..., 0, 0]) for own in signs]), np.array(chunks_of(outputs))
    sizes = Sizes(len(coefs), shape[0], inputs, outputs, shape[2], shape[3])
    fixed = indices, np.ascontiguousarray(scales), np.ascontiguousarray(coefs), chunks, sizes

    def backward(dy: Array, memory: Array, dx: Array, added: tuple[Array, ...], samples: tuple[int, int]) -> None:
        backward_samples(dy, memory, *fixed, dx, *added, *samples)

    return backward
