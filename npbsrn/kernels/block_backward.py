"""The backward pass of an LB-block's binary part: both products by tables, exactly in float32.

A product of signs with floats needs no multiplication. Of four values d0..d3 make the 16 signed sums; then each
nibble of signs is one load and one addition for four multiply-accumulates of every lane of a vector. For dX the four
values are four output channels at 16 pixels, and the nibble is of filter bits; for dW they are four pixels at 48
output channels, and the nibble is of pixel bits.
"""

from typing import Any, NamedTuple

import numpy as np

from npbsrn.kernels.block_forward import SHARES, Saved, Weights, activation, mean_magnitude, share_start, wait
from npbsrn.kernels.jit import SUMS, kernel
from npbsrn.kernels.vector import WIDTH, gather12, gather36, scatter8, signed_sums, transpose16

Array = np.ndarray[Any, Any]


class Grads(NamedTuple):
    """Cotangents by sample (or by share of the batch), to be summed over that axis.

    Parameters
    ----------
    filters3 : (SHARES, 48 * 9 * 48) float32
        Of the 3x3 filters' signs: input channel, row, column, output channel.
    filters1 : (SHARES, 2, 48 * 48) float32
    scale : (3, N, 48) float32
    slope : (2, N, 48) float32
    beta : (N, 3, 3) float64
    gain, shift : (3, N, 48) float32
    """

    filters3: Array
    filters1: Array
    scale: Array
    slope: Array
    beta: Array
    gain: Array
    shift: Array


class Room(NamedTuple):
    """One worker's workspace."""

    a: Array  # (48, H * W): an activation
    e: Array  # (H * W,): its mean magnitude
    de: Array  # (H * W,)
    da: Array  # (48, H * W)
    g: Array  # (48, H * W): cotangent of the counts
    rows: Array  # (3, 12, 16, W + 2): tables of three rows of pixels
    turned: Array  # (32, 48): two rows of 16 pixels, channels last
    channels: Array  # (8, 16, 48): tables of 8 groups of 4 pixels
    nibbles: Array  # (48, H + 3, W + 2): bits of 4 neighbouring pixels


@kernel(fastmath=SUMS)
def _prelu_back(da: Array, counts: Array, scale: Array, slope: Array, taps: int, dslope: Array) -> None:
    """`da` becomes the cotangent of PReLU's input."""
    for c in range(WIDTH):
        total = np.float32(0)
        for p in range(da.shape[1]):
            y = np.float32(taps - 2 * np.int32(counts[c, p])) * scale[c]
            d = da[c, p]
            total += min(y, np.float32(0)) * d
            da[c, p] = d if y > 0 else d * slope[c]
        dslope[c] = total


@kernel(fastmath=SUMS)
def _scale_back(dy: Array, counts: Array, scale: Array, taps: int, g: Array, dscale: Array) -> None:
    """``y = scale * counts``: the cotangent of the counts into `g`, and that of the scale."""
    for c in range(WIDTH):
        total = np.float32(0)
        for p in range(g.shape[1]):
            total += dy[c, p] * np.float32(taps - 2 * np.int32(counts[c, p]))
            g[c, p] = dy[c, p] * scale[c]
        dscale[c] = total


@kernel()
def _row_tables(g: Array, y: int, width: int, tables: Array) -> None:
    """Tables of a row for dX: groups of 4 channels, at each pixel, one column of zeros on either side."""
    pixels, stride = g.shape[1], width + 2
    values, out = g.ravel(), tables.ravel()
    for q in range(WIDTH // 4):
        for left in range(0, width, 16):
            signed_sums(values, 4 * q * pixels + y * width + left, pixels, out, 16 * q * stride + left + 1, stride)


@kernel()
def _tile_tables(g: Array, y: int, left: int, height: int, width: int, turned: Array, tables: Array) -> None:
    """Tables of two rows of 16 pixels for dW: groups of 4 neighbouring pixels, at each channel."""
    pixels = g.shape[1]
    values, lines, out = g.ravel(), turned.ravel(), tables.ravel()
    for r in range(2):
        if y + r < height:
            for part in range(0, WIDTH, 16):
                transpose16(values, part * pixels + (y + r) * width + left, pixels, lines, 16 * r * WIDTH + part, WIDTH)
        else:
            turned[16:] = 0
    for q in range(8):
        for part in range(0, WIDTH, 16):
            signed_sums(lines, 4 * q * WIDTH + part, WIDTH, out, 16 * q * WIDTH + part, WIDTH)


@kernel()
def _nibbles(bits: Array, height: int, width: int, out: Array) -> None:
    """``out[c, y, x]``: the bits of channel c at the pixels x, x + 1, x + 2, x + 3 of row y, padding included."""
    for c in range(WIDTH):
        j = np.uint16(c % 16)
        for y in range(height + 2):
            row, target = bits[c // 16, y], out[c, y]
            for x in range(width - 1):
                low = ((row[x] >> j) & 1) | (((row[x + 1] >> j) & 1) << 1)
                target[x] = low | (((row[x + 2] >> j) & 1) << 2) | (((row[x + 3] >> j) & 1) << 3)


@kernel()
def _inputs_back3(offsets: Array, height: int, width: int, room: Room, dx: Array) -> None:
    """``dx[i, h, v] = sum_{o, ky, kx} w[o, i, ky, kx] g[o, h + 1 - ky, v + 1 - kx]``, w = +-1."""
    slot = room.rows[0].size
    tables = room.rows.ravel()
    for built in range(height + 1):
        if built < height:
            _row_tables(room.g, built, width, room.rows[built % 3])
        h = built - 1
        if h < 0:
            continue
        for left in range(0, width, 16):
            for i in range(WIDTH):
                fresh = True
                for ky in range(3):
                    source = h + 1 - ky
                    if 0 <= source < height:
                        base, where = (source % 3) * slot + left, (i * height + h) * width + left
                        gather36(tables, base, offsets, (i * 3 + ky) * 36, dx, where, fresh)
                        fresh = False


@kernel()
def _inputs_back1(offsets: Array, height: int, width: int, room: Room, dx: Array) -> None:
    """The same of a 1x1 convolution."""
    tables = room.rows.ravel()
    for h in range(height):
        _row_tables(room.g, h, width, room.rows[0])
        for left in range(0, width, 16):
            for i in range(WIDTH):
                gather12(tables, left, offsets, i * 12, dx, (i * height + h) * width + left, True)


@kernel()
def _filters_back(bits: Array, size: int, height: int, width: int, room: Room, dw: Array) -> None:
    """``dw[i, ky, kx, o] += sum_{h, v} g[o, h, v] x[i, h + ky - p, v + kx - p]``, x = +-1, +1 outside."""
    _nibbles(bits, height, width, room.nibbles)
    _, rows, line = room.nibbles.shape
    nibbles, tables = room.nibbles.ravel(), room.channels.ravel()
    inside = 1 - size // 2  # where the first tap stands in the padded picture
    for y in range(0, height, 2):
        for left in range(0, width, 16):
            _tile_tables(room.g, y, left, height, width, room.turned, room.channels)
            for i in range(WIDTH):
                for ky in range(size):
                    for kx in range(size):
                        at = (i * rows + y + ky + inside) * line + left + kx + inside
                        scatter8(tables, nibbles, at, at + line, dw, ((i * size + ky) * size + kx) * WIDTH)


@kernel(fastmath=SUMS)
def _sign_back(
    dx: Array, total: Array, mean: Array, inverse: Array, gain: Array, shift: Array, dgain: Array, dshift: Array
) -> None:
    """STE "clip": `dx` becomes the cotangent of BN's result; its sums are those of gain and shift."""
    for c in range(WIDTH):
        along_y, along_one = np.float32(0), np.float32(0)
        for p in range(dx.shape[1]):
            normal = (total[c, p] - mean[c]) * inverse[c]
            d = dx[c, p] if abs(normal * gain[c] + shift[c]) <= 1 else np.float32(0)
            dx[c, p] = d
            along_y += d * normal
            along_one += d
        dgain[c], dshift[c] = along_y, along_one


@kernel(fastmath=SUMS)
def _norm_back(
    dz: Array, total: Array, mean: Array, inverse: Array, gain: Array, dgain: Array, dshift: Array, count: int
) -> None:
    """`dz` becomes the cotangent of what BN took in; `dgain`, `dshift` are of the whole batch."""
    for c in range(WIDTH):
        factor = inverse[c] * gain[c]
        along_y, along_one = dgain[c] / np.float32(count), dshift[c] / np.float32(count)
        for p in range(dz.shape[1]):
            normal = (total[c, p] - mean[c]) * inverse[c]
            dz[c, p] = (dz[c, p] - along_one - normal * along_y) * factor


@kernel(fastmath=SUMS)
def _term_back(dt: Array, a: Array, e: Array, beta: float, ds: Array, fresh: bool) -> float:
    """Add ``beta dt`` to the cotangent of ``S = e a``; gives that of beta, <dt, S>."""
    dbeta = 0.0
    for c in range(WIDTH):
        part = np.float32(0)
        for p in range(e.size):
            part += dt[c, p] * (e[p] * a[c, p])
        dbeta += part
        if fresh:
            for p in range(e.size):
                ds[c, p] = beta * dt[c, p]
        else:
            for p in range(e.size):
                ds[c, p] += beta * dt[c, p]
    return dbeta


@kernel(fastmath=SUMS)
def _statistic_back(ds: Array, a: Array, e: Array, de: Array, da: Array) -> None:
    """``S = e a`` with ``e = mean_c |a|``: ``da = e ds + sign(a) mean_c(ds a)``."""
    for p in range(e.size):
        de[p] = 0
    for c in range(WIDTH):
        for p in range(e.size):
            de[p] += ds[c, p] * a[c, p]
    for p in range(e.size):
        de[p] *= np.float32(1 / WIDTH)
    for c in range(WIDTH):
        for p in range(e.size):
            v = a[c, p]
            side = de[p] if v > 0 else (-de[p] if v < 0 else np.float32(0))
            da[c, p] = e[p] * ds[c, p] + side


@kernel()
def _make_room(height: int, width: int) -> Room:
    pixels = height * width
    return Room(
        np.empty((WIDTH, pixels), np.float32),
        np.empty(pixels, np.float32),
        np.empty(pixels, np.float32),
        np.empty((WIDTH, pixels), np.float32),
        np.empty((WIDTH, pixels), np.float32),
        np.zeros((3, WIDTH // 4, 16, width + 2), np.float32),
        np.zeros((32, WIDTH), np.float32),
        np.empty((8, 16, WIDTH), np.float32),
        np.zeros((WIDTH, height + 3, width + 2), np.uint8),
    )


@kernel()
def _cotangent_of_output(
    conv: int, s: int, dy: Array, x: Array, weights: Weights, saved: Saved, ds: Array, grads: Grads, room: Room
) -> None:
    """That of convolution `conv`'s scaled result into ``room.da``."""
    if conv == 2:
        for c in range(WIDTH):
            for p in range(dy.shape[2]):
                room.da[c, p] = dy[s, c, p] * weights.residual
        return
    activation(x, weights, saved.counts, conv + 1, s, room.a)
    mean_magnitude(room.a, room.e)
    _statistic_back(ds[conv + 1, s], room.a, room.e, room.de, room.da)
    scale, slope, taps = weights.scale[conv], weights.slope[conv], weights.taps[conv]
    _prelu_back(room.da, saved.counts[conv, s], scale, slope, taps, grads.slope[conv, s])


@kernel()
def block_backward(
    worker: int, workers: int, barrier: Array, dy: Array, dx: Array, x: Array, offsets3: Array, offsets1: Array,
    weights: Weights, saved: Saved, ds: Array, dz: Array, grads: Grads, height: int, width: int,
) -> None:  # fmt: skip
    """One worker's share of a block.

    Parameters
    ----------
    worker, workers, barrier
        See `npbsrn.threads.run_parallel`.
    dy, dx, x : (N, 48, H * W) float32
        Cotangents of output and input; the input.
    offsets3 : (48 * 3 * 36,) uint32
        Where in a row's tables the entries of the 3x3 filters stand: input channel, row, column, group of 4 outputs.
    offsets1 : (2, 48 * 12) uint32
        The same of the 1x1 filters.
    weights : Weights
    saved : Saved
    ds : (3, N, 48, H * W) float32
        Room for the cotangents of ``E(A_k) A_k``.
    dz : (N, 48, H * W) float32
        Room.
    grads : Grads
        Filled here; the filters' must be zero.
    height, width : int
    """
    n, _, pixels = x.shape
    room = _make_room(height, width)
    dgain, dshift = np.empty(WIDTH, np.float32), np.empty(WIDTH, np.float32)
    low, high = SHARES * worker // workers, SHARES * (worker + 1) // workers
    first, last = share_start(low, n), share_start(high, n)
    for conv in range(2, -1, -1):
        mean, inverse, gain, shift = saved.mean[conv], saved.inverse[conv], weights.gain[conv], weights.shift[conv]
        for share in range(low, high):
            for s in range(share_start(share, n), share_start(share + 1, n)):
                _cotangent_of_output(conv, s, dy, x, weights, saved, ds, grads, room)
                counts, taps = saved.counts[conv, s], weights.taps[conv]
                _scale_back(room.da, counts, weights.scale[conv], taps, room.g, grads.scale[conv, s])
                if conv == 0:
                    _inputs_back3(offsets3, height, width, room, dz[s].ravel())
                    _filters_back(saved.bits[0, s], 3, height, width, room, grads.filters3[share])
                else:
                    _inputs_back1(offsets1[conv - 1], height, width, room, dz[s].ravel())
                    _filters_back(saved.bits[conv, s], 1, height, width, room, grads.filters1[share, conv - 1])
                total = saved.totals[conv, s]
                _sign_back(dz[s], total, mean, inverse, gain, shift, grads.gain[conv, s], grads.shift[conv, s])
        wait(barrier, workers)
        for c in range(WIDTH):
            along_y, along_one = 0.0, 0.0
            for s in range(n):
                along_y += grads.gain[conv, s, c]
                along_one += grads.shift[conv, s, c]
            dgain[c], dshift[c] = along_y, along_one
        for s in range(first, last):
            _norm_back(dz[s], saved.totals[conv, s], mean, inverse, gain, dgain, dshift, n * pixels)
            for k in range(conv + 1):
                a = activation(x, weights, saved.counts, k, s, room.a)
                mean_magnitude(a, room.e)
                dbeta = _term_back(dz[s], a, room.e, weights.beta[conv, k], ds[k, s], conv == 2)
                grads.beta[s, conv, k] = dbeta
            if conv == 0:
                _statistic_back(ds[0, s], x[s], room.e, room.de, room.da)
                for c in range(WIDTH):
                    for p in range(pixels):
                        dx[s, c, p] = dy[s, c, p] + room.da[c, p]
