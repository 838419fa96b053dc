"""The element-wise parts of the LB-blocks' backward pass, 16 pixels at a time: everything except the products.

The forward pass kept only sums, counts and bits; the activations are computed again.
"""

from typing import Any, NamedTuple

import numpy as np

from npbsrn.fused.shared import ABS, GROUPS, MEAN, NONE, ONE, TWO, WIDTH, ZERO, Saved, Weights, activate, value
from npbsrn.kernels.jit import kernel, part
from npbsrn.kernels.memory import load, store
from npbsrn.kernels.pixel_tables import ROWS
from npbsrn.kernels.signed_sums import TABLE, add_to, aligned
from npbsrn.kernels.simd import LANES, contracted, magnitude, select, splat, total

Array = np.ndarray[Any, Any]

IDENTITY, CLIP, BIREAL = 0, 1, 2  # stand-ins for the gradient of the activations' sign, see npbsrn.ops.sign


class Workspace(NamedTuple):
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
def make_workspace(height: int, width: int) -> Workspace:
    """Of a worker, for pictures of this size."""
    return Workspace(
        aligned(WIDTH * LANES),
        aligned(WIDTH * LANES),
        aligned(WIDTH * ROWS * width),
        aligned(9 * WIDTH * (width + 2 * LANES)),
        aligned(GROUPS * TABLE),
        aligned(3 * 8 * TABLE),
        aligned(ROWS * LANES * WIDTH),
        np.zeros(WIDTH * (height + 3) * width, np.uint8),
        aligned(2 * WIDTH * LANES),
        aligned(2 * WIDTH * LANES),
        aligned(3 * LANES),
    )


@kernel()
def take_totals(sums: Array, first: int, out: Array) -> None:
    """Sums of the lanes of each row of (48, 16); then zero for the next sample."""
    for c in range(WIDTH):
        out[c] = total(load(sums, first + c * LANES))
        store(sums, first + c * LANES, splat(ZERO))


@part(forceinline=True)
def _add_product(out: Array, place: int, x: Any, y: Any) -> None:
    """``out[place :+16] += x * y``."""
    store(out, place, contracted(x, y, load(out, place)))


@part(forceinline=True)
def norm_back(dz: Array, values: Array, k: int, place: int, saved: Saved, norm: Norm) -> None:
    """At 16 pixels, in place: the cotangent of BN's result becomes that of the sums which BN took in.

    With y the normalised value: ``dt = gain / sqrt(var + eps) * (dz - mean(dz) - y mean(dz y))``.
    """
    for c in range(WIDTH):
        at = WIDTH * place + LANES * c
        normal = (load(values, at) - saved.mean[k, c]) * saved.inverse[k, c]
        d = contracted(-normal, norm.along_y[k, c], load(dz, at) - norm.along_one[k, c]) * norm.factor[k, c]
        store(dz, at, d)


@part(forceinline=True)
def activation_back(dt: Array, s: int, k: int, place: int, e: Any, weights: Weights, workspace: Workspace) -> Any:
    """Cotangent of ``S_k = E(A_k) A_k`` at 16 pixels into ``workspace.ds``; gives that of E(A_k), over their number.

    ``ds = sum_n beta[n, k] dt_n`` over n >= k, and ``dbeta[n, k] = <dt_n, E A> = sum_p E sum_c dt_n A``.
    """
    dots0, dots1, dots2 = splat(ZERO), splat(ZERO), splat(ZERO)
    b0, b1, b2 = weights.beta[0, k], weights.beta[1, k], weights.beta[2, k]
    for c in range(WIDTH):
        at, a = WIDTH * place + LANES * c, load(workspace.a, c * LANES)
        t2 = load(dt[2, s], at)
        ds = t2 * b2
        dots2 = contracted(t2, a, dots2)
        if k < 2:
            t1 = load(dt[1, s], at)
            ds = contracted(t1, b1, ds)
            dots1 = contracted(t1, a, dots1)
        if k < 1:
            t0 = load(dt[0, s], at)
            ds = contracted(t0, b0, ds)
            dots0 = contracted(t0, a, dots0)
        store(workspace.ds, c * LANES, ds)
    add_to(workspace.betas, 0, dots0 * e)
    add_to(workspace.betas, LANES, dots1 * e)
    add_to(workspace.betas, 2 * LANES, dots2 * e)
    side = (dots0 * b0 + dots1 * b1 + dots2 * b2) * MEAN
    return splat(ZERO) if weights.statistic == NONE else side


@part(forceinline=True)
def magnitude_back(a: Any, ds: Any, e: Any, side: Any, statistic: int) -> Any:
    """``S = e a`` with ``e = mean_c f(a)``: ``da = e ds + f'(a) side``, where ``side = mean_c(ds a)``."""
    if statistic == ABS:
        return contracted(e, ds, select(a > ZERO, side, select(a < ZERO, -side, splat(ZERO))))
    return contracted(e, ds, side)


@part(forceinline=True)
def _counts_back(da: Any, counts: Array, conv: int, c: int, place: int, weights: Weights, workspace: Workspace) -> Any:
    """Back through PReLU (but for the last convolution) and the scale, at 16 pixels of a channel."""
    products = value(counts, WIDTH * place + LANES * c, conv)
    d = da
    if conv < 2:
        y = products * weights.scale[conv, c]
        add_to(workspace.sums, (WIDTH + c) * LANES, select(y > ZERO, splat(ZERO), y * da))
        d = select(y > ZERO, da, da * weights.slope[conv, c])
    _add_product(workspace.sums, c * LANES, d, products)
    return d * weights.scale[conv, c]


@part(forceinline=True)
def cotangent_of_counts(
    conv: int, s: int, place: int, target: int, step: int, dy: Array, weights: Weights, saved: Saved, dz: Array,
    norm: Norm, workspace: Workspace,
) -> None:  # fmt: skip
    """That of convolution `conv`'s counts at 16 pixels into ``workspace.g[target + c * step :]``."""
    k, counts = conv + 1, saved.counts[conv, s]
    if conv == 2:
        for c in range(WIDTH):
            da = load(dy[s], WIDTH * place + LANES * c) * weights.residual
            store(workspace.g, target + c * step, _counts_back(da, counts, conv, c, place, weights, workspace))
        return
    norm_back(dz[k, s], saved.totals[k, s], k, place, saved, norm)
    e = activate(saved.inputs[s], counts, k, place, weights, workspace.a)
    side = activation_back(dz, s, k, place, e, weights, workspace)
    for c in range(WIDTH):
        da = magnitude_back(load(workspace.a, c * LANES), load(workspace.ds, c * LANES), e, side, weights.statistic)
        store(workspace.g, target + c * step, _counts_back(da, counts, conv, c, place, weights, workspace))


@part(forceinline=True)
def sign_back(
    dz: Array, values: Array, conv: int, place: int, saved: Saved, weights: Weights, ste: int, workspace: Workspace
) -> None:
    """The sign's stand-in, in place at 16 pixels; sums for the cotangents of BN's gain and shift."""
    for c in range(WIDTH):
        at = WIDTH * place + LANES * c
        d, normal = load(dz, at), (load(values, at) - saved.mean[conv, c]) * saved.inverse[conv, c]
        z = magnitude(contracted(normal, weights.gain[conv, c], weights.shift[conv, c]))
        if ste == CLIP:
            d = select(z <= ONE, d, splat(ZERO))
        elif ste == BIREAL:
            d = select(z <= ONE, d * (TWO - z * TWO), splat(ZERO))
        store(dz, at, d)
        _add_product(workspace.normed, c * LANES, d, normal)
        add_to(workspace.normed, (WIDTH + c) * LANES, d)
