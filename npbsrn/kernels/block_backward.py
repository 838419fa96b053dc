"""The backward pass of LB-blocks.

Convolution by convolution, from the last to the first, a sample goes through in pairs of rows that stay in the caches:
the cotangent of the counts, then both products by tables (`npbsrn.kernels.tables`), then the sign's stand-in. Of the
forward pass only sums, counts and bits were kept; the activations are computed again.
"""

from typing import Any, NamedTuple

import numpy as np

from npbsrn.kernels import tables as look_up
from npbsrn.kernels.block_forward import (
    ABS,
    MEAN,
    NONE,
    ONE,
    SHARES,
    TWO,
    ZERO,
    Saved,
    Weights,
    activate,
    from_tiles,
    saved_of,
    share_start,
    to_tiles,
    value,
    wait,
    weights_of,
)
from npbsrn.kernels.jit import kernel
from npbsrn.kernels.simd import LANES, load, magnitude, select, splat, store, total
from npbsrn.kernels.tables import ROWS, TABLE, WIDTH, aligned

Array = np.ndarray[Any, Any]

IDENTITY, CLIP, BIREAL = 0, 1, 2  # stand-ins for the gradient of the activations' sign, see npbsrn.ops.sign


class Grads(NamedTuple):
    """Cotangents of B blocks; in the kernels of one block, without the first axis.

    Parameters
    ----------
    filters3 : (B, 48, 48 * 9) float32
        Of the 3x3 filters' signs.
    filters1 : (B, 2, 48, 48) float32
    scale : (B, 3, N, 48) float32
        This and the following are by sample, to be summed.
    slope : (B, 3, N, 48) float32
        The last is zero.
    beta : (B, N, 3, 3) float32
    gain, shift : (B, 3, N, 48) float32
    """

    filters3: Array
    filters1: Array
    scale: Array
    slope: Array
    beta: Array
    gain: Array
    shift: Array


@kernel(forceinline=True)
def _grads_of(grads: Grads, b: int) -> Grads:
    """Those of one block."""
    return Grads(
        grads.filters3[b], grads.filters1[b], grads.scale[b], grads.slope[b], grads.beta[b], grads.gain[b],
        grads.shift[b],
    )  # fmt: skip


class Room(NamedTuple):
    """One worker's workspace."""

    a: Array  # (48, 16): an activation at 16 pixels
    ds: Array  # (48, 16): the cotangent of E(A) A there
    g: Array  # (48, 2 W): of the counts, in two rows
    ring: Array  # (3, 3, 48, W + 32): rows of dX, see `spread_row`
    inputs: Array  # (12, 16, 16): tables for dX
    filters: Array  # (3, 8, 16, 16): tables for dW
    turned: Array  # (32, 48): two rows of 16 pixels, channels last
    nibbles: Array  # (48, H + 3, 4, W / 4): of pixel bits
    sums: Array  # (2, 48, 16): sums over pixels by channel and lane, for scale and slope
    normed: Array  # (2, 48, 16): the same for BN's gain and shift
    betas: Array  # (3, 16): the same for beta


class Norm(NamedTuple):
    """What BN's backward pass subtracts: by convolution, for the whole batch."""

    factor: Array  # (3, 48): gain * inverse
    along_one: Array  # (3, 48): mean cotangent
    along_y: Array  # (3, 48): mean of cotangent times normalised value


@kernel()
def _make_room(height: int, width: int) -> Room:
    return Room(
        aligned(WIDTH * LANES),
        aligned(WIDTH * LANES),
        aligned(WIDTH * ROWS * width),
        aligned(9 * WIDTH * (width + 2 * LANES)),
        aligned(look_up.GROUPS * TABLE),
        aligned(3 * 8 * TABLE),
        aligned(ROWS * LANES * WIDTH),
        np.zeros(WIDTH * (height + 3) * width, np.uint8),
        aligned(2 * WIDTH * LANES),
        aligned(2 * WIDTH * LANES),
        aligned(3 * LANES),
    )


@kernel()
def _totals(sums: Array, first: int, out: Array) -> None:
    """Sums of the lanes of each row of (48, 16); then zero for the next sample."""
    for c in range(WIDTH):
        out[c] = total(load(sums, first + c * LANES))
        store(sums, first + c * LANES, splat(ZERO))


@kernel(forceinline=True)
def _norm_back(dz: Array, values: Array, k: int, place: int, saved: Saved, norm: Norm) -> None:
    """At 16 pixels, in place: the cotangent of BN's result becomes that of the sums which BN took in.

    With y the normalised value: ``dt = gain / sqrt(var + eps) * (dz - mean(dz) - y mean(dz y))``.
    """
    for c in range(WIDTH):
        at = WIDTH * place + LANES * c
        normal = (load(values, at) - saved.mean[k, c]) * saved.inverse[k, c]
        d = (load(dz, at) - norm.along_one[k, c] - normal * norm.along_y[k, c]) * norm.factor[k, c]
        store(dz, at, d)


@kernel(forceinline=True)
def _activation_back(dt: Array, s: int, k: int, place: int, e: Any, weights: Weights, room: Room) -> Any:
    """Cotangent of ``S_k = E(A_k) A_k`` at 16 pixels into ``room.ds``; gives that of E(A_k), over their number.

    ``ds = sum_n beta[n, k] dt_n`` over n >= k, and ``dbeta[n, k] = <dt_n, E A> = sum_p E sum_c dt_n A``.
    """
    dots0, dots1, dots2 = splat(ZERO), splat(ZERO), splat(ZERO)
    b0, b1, b2 = weights.beta[0, k], weights.beta[1, k], weights.beta[2, k]
    for c in range(WIDTH):
        at, a = WIDTH * place + LANES * c, load(room.a, c * LANES)
        t2 = load(dt[2, s], at)
        ds = t2 * b2
        dots2 = dots2 + t2 * a
        if k < 2:
            t1 = load(dt[1, s], at)
            ds = ds + t1 * b1
            dots1 = dots1 + t1 * a
        if k < 1:
            t0 = load(dt[0, s], at)
            ds = ds + t0 * b0
            dots0 = dots0 + t0 * a
        store(room.ds, c * LANES, ds)
    look_up.add_to(room.betas, 0, dots0 * e)
    look_up.add_to(room.betas, LANES, dots1 * e)
    look_up.add_to(room.betas, 2 * LANES, dots2 * e)
    side = (dots0 * b0 + dots1 * b1 + dots2 * b2) * MEAN
    return splat(ZERO) if weights.statistic == NONE else side


@kernel(forceinline=True)
def _magnitude_back(a: Any, ds: Any, e: Any, side: Any, statistic: int) -> Any:
    """``S = e a`` with ``e = mean_c f(a)``: ``da = e ds + f'(a) side``, where ``side = mean_c(ds a)``."""
    if statistic == ABS:
        return e * ds + select(a > ZERO, side, select(a < ZERO, -side, splat(ZERO)))
    return e * ds + side


@kernel(forceinline=True)
def _counts_back(da: Any, counts: Array, conv: int, c: int, place: int, weights: Weights, room: Room) -> Any:
    """Back through PReLU (but for the last convolution) and the scale, at 16 pixels of a channel."""
    products = value(counts, WIDTH * place + LANES * c, conv)
    d = da
    if conv < 2:
        y = products * weights.scale[conv, c]
        look_up.add_to(room.sums, (WIDTH + c) * LANES, select(y > ZERO, splat(ZERO), y * da))
        d = select(y > ZERO, da, da * weights.slope[conv, c])
    look_up.add_to(room.sums, c * LANES, d * products)
    return d * weights.scale[conv, c]


@kernel(forceinline=True)
def _cotangent_of_counts(
    conv: int, s: int, place: int, target: int, step: int, dy: Array, weights: Weights, saved: Saved, dz: Array,
    norm: Norm, room: Room,
) -> None:  # fmt: skip
    """That of convolution `conv`'s counts at 16 pixels into ``room.g[target + c * step :]``."""
    k, counts = conv + 1, saved.counts[conv, s]
    if conv == 2:
        for c in range(WIDTH):
            da = load(dy[s], WIDTH * place + LANES * c) * weights.residual
            store(room.g, target + c * step, _counts_back(da, counts, conv, c, place, weights, room))
        return
    _norm_back(dz[k, s], saved.totals[k, s], k, place, saved, norm)
    e = activate(saved.inputs[s], counts, k, place, weights, room.a)
    side = _activation_back(dz, s, k, place, e, weights, room)
    for c in range(WIDTH):
        da = _magnitude_back(load(room.a, c * LANES), load(room.ds, c * LANES), e, side, weights.statistic)
        store(room.g, target + c * step, _counts_back(da, counts, conv, c, place, weights, room))


@kernel(forceinline=True)
def _sign_back(
    dz: Array, values: Array, conv: int, place: int, saved: Saved, weights: Weights, ste: int, room: Room
) -> None:
    """The sign's stand-in, in place at 16 pixels; sums for the cotangents of BN's gain and shift."""
    for c in range(WIDTH):
        at = WIDTH * place + LANES * c
        d, normal = load(dz, at), (load(values, at) - saved.mean[conv, c]) * saved.inverse[conv, c]
        z = magnitude(normal * weights.gain[conv, c] + weights.shift[conv, c])
        if ste == CLIP:
            d = select(z <= ONE, d, splat(ZERO))
        elif ste == BIREAL:
            d = select(z <= ONE, d * (TWO - z * TWO), splat(ZERO))
        store(dz, at, d)
        look_up.add_to(room.normed, c * LANES, d * normal)
        look_up.add_to(room.normed, (WIDTH + c) * LANES, d)


@kernel(forceinline=True)
def _products(
    conv: int, y: int, rows: int, height: int, width: int, nibbles: Array, dz: Array, dw: Array, room: Room
) -> None:
    """Both products of two rows of the counts' cotangents, ``room.g``; of dX of a 3x3 convolution up to the row before.

    dX goes to `dz`, (H * W * 48) in tiles.
    """
    for row in range(rows):
        for left in range(0, width, LANES):
            look_up.row_tables(room.g, row * width + left, ROWS * width, room.inputs)
            if conv == 0:
                look_up.spread_row(room.inputs, nibbles, left, y + row, width, room.ring)
            else:
                look_up.spread_1x1(room.inputs, nibbles, dz, WIDTH * ((y + row) * width + left))
        if conv == 0 and y + row > 0:
            look_up.join_row(room.ring, y + row - 1, width, dz)
    if conv == 0 and y + rows == height:
        look_up.join_row(room.ring, height - 1, width, dz)
    for left in range(0, width, LANES):
        look_up.pixel_tables(room.g, left, rows, width, room.turned, room.filters)
        look_up.filters_back(room.nibbles, room.filters, y, left, height, width, 3 if conv == 0 else 1, dw)


@kernel(forceinline=True)
def _sample_back(
    conv: int, s: int, height: int, width: int, dy: Array, nibbles: Array, weights: Weights, ste: int, saved: Saved,
    dz: Array, norm: Norm, dw: Array, room: Room,
) -> None:  # fmt: skip
    """From the cotangent behind convolution `conv` to that of BN's result before it, ``dz[conv, s]``."""
    look_up.pixel_nibbles(saved.bits[conv, s], height, width, room.nibbles)
    if conv == 0:
        room.ring[: 3 * WIDTH * (width + 2 * LANES)] = 0  # row 0, which no row before it begins
    done = 0  # pixels of dX
    for y in range(0, height, ROWS):
        rows = min(ROWS, height - y)
        for row in range(rows):
            for left in range(0, width, LANES):
                place, target = (y + row) * width + left, row * width + left
                _cotangent_of_counts(conv, s, place, target, ROWS * width, dy, weights, saved, dz, norm, room)
        _products(conv, y, rows, height, width, nibbles, dz[conv, s], dw, room)
        ready = y + rows - (1 if conv == 0 and y + rows < height else 0)
        for place in range(done, ready * width, LANES):
            _sign_back(dz[conv, s], saved.totals[conv, s], conv, place, saved, weights, ste, room)
        done = ready * width


@kernel()
def _input_back(
    s: int, pixels: int, dy: Array, weights: Weights, saved: Saved, dz: Array, norm: Norm, dx: Array, room: Room
) -> None:
    """The block's own input: the shortcut, and A_0's part in all three sums."""
    for place in range(0, pixels, LANES):
        _norm_back(dz[0, s], saved.totals[0, s], 0, place, saved, norm)
        e = activate(saved.inputs[s], saved.counts[0, s], 0, place, weights, room.a)
        side = _activation_back(dz, s, 0, place, e, weights, room)
        for c in range(WIDTH):
            at, a, ds = WIDTH * place + LANES * c, load(room.a, c * LANES), load(room.ds, c * LANES)
            store(dx[s], at, load(dy[s], at) + _magnitude_back(a, ds, e, side, weights.statistic))


@kernel()
def _batch_means(conv: int, grads: Grads, weights: Weights, saved: Saved, count: int, norm: Norm) -> None:
    """What BN's backward pass needs of the whole batch, in the order of the samples."""
    for c in range(WIDTH):
        along_y, along_one = 0.0, 0.0
        for s in range(grads.gain.shape[1]):
            along_y += grads.gain[conv, s, c]
            along_one += grads.shift[conv, s, c]
        norm.along_y[conv, c], norm.along_one[conv, c] = along_y / count, along_one / count
        norm.factor[conv, c] = saved.inverse[conv, c] * weights.gain[conv, c]


@kernel()
def _betas_back(grads: Grads, s: int, k: int, room: Room) -> None:
    """By sample: the sums of the lanes, then zero for the next sample."""
    for n in range(k, 3):
        grads.beta[s, n, k] = total(load(room.betas, n * LANES))
    room.betas[:] = 0


@kernel()
def _add_shares(parts: Array, taps: int, worker: int, workers: int, out: Array, room: Room) -> None:
    """Sum of the shares' (I * taps, O), in their order, to (O, I * taps); each worker does some rows."""
    rows = WIDTH * taps
    values, sums = parts.ravel(), room.turned
    for j in range(LANES * worker, rows, LANES * workers):
        for o in range(0, WIDTH, LANES):
            for row in range(LANES):
                place = (j + row) * WIDTH + o
                part = load(values, place)
                for share in range(1, SHARES):
                    part = part + load(values, share * parts.shape[1] + place)
                store(sums, row * LANES, part)
            look_up.transpose16(sums, 0, LANES, out, o * rows + j, rows)


@kernel(forceinline=True)
def _convolution_back(
    conv: int, low: int, high: int, height: int, width: int, dy: Array, nibbles: Array, weights: Weights, ste: int,
    saved: Saved, dz: Array, norm: Norm, parts: Array, grads: Grads, room: Room,
) -> None:  # fmt: skip
    """All samples of the shares `low` to `high`."""
    n = dy.shape[0]
    for share in range(low, high):
        for s in range(share_start(share, n), share_start(share + 1, n)):
            _sample_back(
                conv, s, height, width, dy, nibbles[conv], weights, ste, saved, dz, norm, parts[conv, share], room
            )
            _totals(room.sums, 0, grads.scale[conv, s])
            _totals(room.sums, WIDTH * LANES, grads.slope[conv, s])
            _totals(room.normed, 0, grads.gain[conv, s])
            _totals(room.normed, WIDTH * LANES, grads.shift[conv, s])
            if conv < 2:
                _betas_back(grads, s, conv + 1, room)


@kernel()
def _block_back(
    worker: int, workers: int, barrier: Array, height: int, width: int, dy: Array, dx: Array, nibbles: Array,
    weights: Weights, ste: int, saved: Saved, dz: Array, norm: Norm, parts: Array, grads: Grads, room: Room,
) -> None:  # fmt: skip
    """One block; `dx` may be `dy`."""
    n, pixels = dy.shape[0], height * width
    low, high = SHARES * worker // workers, SHARES * (worker + 1) // workers
    parts[:, low:high] = 0
    # one after another with a constant, so that each becomes code of its own: a tenth of the backward pass
    _convolution_back(2, low, high, height, width, dy, nibbles, weights, ste, saved, dz, norm, parts, grads, room)
    wait(barrier, workers)
    _batch_means(2, grads, weights, saved, n * pixels, norm)
    _convolution_back(1, low, high, height, width, dy, nibbles, weights, ste, saved, dz, norm, parts, grads, room)
    wait(barrier, workers)
    _batch_means(1, grads, weights, saved, n * pixels, norm)
    _convolution_back(0, low, high, height, width, dy, nibbles, weights, ste, saved, dz, norm, parts, grads, room)
    wait(barrier, workers)
    _batch_means(0, grads, weights, saved, n * pixels, norm)
    for s in range(share_start(low, n), share_start(high, n)):
        _input_back(s, pixels, dy, weights, saved, dz, norm, dx, room)
        _betas_back(grads, s, 0, room)
    _add_shares(parts[0], 9, worker, workers, grads.filters3, room)
    _add_shares(parts[1], 1, worker, workers, grads.filters1[0], room)
    _add_shares(parts[2], 1, worker, workers, grads.filters1[1], room)


@kernel()
def blocks_backward(
    worker: int, workers: int, barrier: Array, dy: Array, dx: Array, nibbles: Array, weights: Weights, ste: int,
    saved: Saved, cotangent: Array, dz: Array, parts: Array, grads: Grads, height: int, width: int,
) -> None:  # fmt: skip
    """One worker's share of a chain of blocks.

    Parameters
    ----------
    worker, workers, barrier
        See `npbsrn.threads.run_parallel`.
    dy, dx : (N, 48, H * W) float32
        Cotangents of output and input.
    nibbles : (B, 3, 48 * 112) uint8
        Of the filters; see `npbsrn.kernels.tables.filter_nibbles`.
    weights : Weights
    ste : int
        `IDENTITY`, `CLIP` or `BIREAL`.
    saved : Saved
    cotangent : (N, H * W * 48) float32
        Room for that of the stream between the blocks.
    dz : (3, N, H * W * 48) float32
        Room for the cotangents of BN's results, then of what BN took in.
    parts : (2, 3, SHARES, 48 * 9 * 48) float32
        Room for the shares' cotangents of filters, of two blocks by turns: those of one are summed while another
        worker begins with the next.
    grads : Grads
        Filled here; `slope` must be zero.
    height, width : int
    """
    n = dy.shape[0]
    room = _make_room(height, width)
    norm = Norm(np.empty((3, WIDTH), np.float32), np.empty((3, WIDTH), np.float32), np.empty((3, WIDTH), np.float32))
    first, last = share_start(SHARES * worker // workers, n), share_start(SHARES * (worker + 1) // workers, n)
    for s in range(first, last):
        to_tiles(dy[s], cotangent[s])
    for b in range(nibbles.shape[0] - 1, -1, -1):
        _block_back(
            worker, workers, barrier, height, width, cotangent, cotangent, nibbles[b], weights_of(weights, b), ste,
            saved_of(saved, b), dz, norm, parts[b % 2], _grads_of(grads, b), room,
        )  # fmt: skip
    for s in range(first, last):
        from_tiles(cotangent[s], dx[s])
