"""All schemes in PyTorch, written independently from their papers; see `benchmarks.torch_networks`.

Only what a paper puts in the place of a derivative is a `torch.autograd.Function`; all else is autograd's. A scheme is
a function from a convolution's terms to its bases, each with its coefficient, or from its filters to theirs.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

Tensor = torch.Tensor
Options = dict[str, Any]
Own = dict[str, Tensor]  # of one convolution, by the last part of the name; running averages are moved
Bases = list[tuple[Any, Tensor]]  # coefficients, and +-1, 0 and 1, or floats; see `scaled`

MOMENTUM, EPS = 0.1, 1e-5


# --- what stands in for derivatives ---


class Sign(torch.autograd.Function):
    """+1 from 0 on, -1 below; back: the derivative that a name stands for."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ste: str) -> Tensor:
        """Save x."""
        ctx.save_for_backward(x)
        ctx.ste = ste
        return torch.where(x < 0, -torch.ones_like(x), torch.ones_like(x))

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None]:
        """By the derivative of x, of the hard tanh, of Bi-Real's polynomial, or of clip(x + 1/2, 0, 1)."""
        (x,) = ctx.saved_tensors
        if ctx.ste == "identity":
            return dy, None
        if ctx.ste == "bireal":
            return dy * torch.clamp(2 - 2 * x.abs(), min=0), None
        return dy * (x.abs() <= {"clip": 1.0, "window": 0.5}[ctx.ste]), None


class Round(torch.autograd.Function):
    """The nearest whole number, a half upwards; back: unchanged (DoReFa, eq. 5)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Nothing is kept."""
        return torch.floor(x + 0.5)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        """Of the identity."""
        return dy


def sign(x: Tensor, ste: str) -> Tensor:
    """`Sign`."""
    return Sign.apply(x, ste)


def batch_norm(own: Own, x: Tensor) -> Tensor:
    """PyTorch's, by the batch's statistics where gradients are wanted."""
    running = own["running_mean"], own["running_variance"]
    return functional.batch_norm(x, *running, own["gain"], own["shift"], torch.is_grad_enabled(), MOMENTUM, EPS)


# --- activations: of the block's terms up to a convolution, the newest last ---


def statistic(a: Tensor, kind: str) -> Any:
    """BAM's E of eq. 9."""
    return 1 if kind == "none" else (a.abs() if kind == "abs" else a).mean(1, keepdim=True)


def bam_activations(own: Own, inputs: list[Tensor], options: Options) -> Bases:
    """Xin et al., eq. 9 and 10."""
    used = inputs if options["accumulate_activations"] else inputs[-1:]
    beta = own.get("beta", torch.ones(len(used), dtype=used[0].dtype))
    total = sum(b * statistic(a, options["statistic"]) * a for b, a in zip(beta, used, strict=True))
    return [(None, sign(batch_norm(own, total), options["activation_ste"]))]


def bnn_activations(own: Own, inputs: list[Tensor], options: Options) -> Bases:
    """Hubara et al., algorithm 1 and eq. 4."""
    return [(None, sign(batch_norm(own, inputs[-1]), "clip"))]


def dorefa_activations(own: Own, inputs: list[Tensor], options: Options) -> Bases:
    """Zhou et al., eq. 6 and 11 with one bit: 0 and 1."""
    return [(None, Round.apply(torch.clamp(batch_norm(own, inputs[-1]), 0, 1)))]


def abc_activations(own: Own, inputs: list[Tensor], options: Options) -> Bases:
    """Lin et al., eq. 7 to 11: h_v, then 2 [h_v >= 1/2] - 1 with the derivative 1, as eq. 10 has it."""
    x = batch_norm(own, inputs[-1])
    return [
        (b, sign(torch.clamp(x + v, 0, 1) - 0.5, "identity")) for b, v in zip(own["beta"], own["offset"], strict=True)
    ]


def bbcu_activations(own: Own, inputs: list[Tensor], options: Options) -> Bases:
    """Xia et al., with a derivative `window` times as wide."""
    z = inputs[-1] + own["shift"].reshape(-1, 1, 1)
    return [(None, sign(z / options["window"], options["activation_ste"]))]


def float_activations(own: Own, inputs: list[Tensor], options: Options) -> Bases:
    """As they are."""
    return [(None, inputs[-1])]


# --- filters: of the block's filters of this shape up to a convolution, the newest last ---


def accumulated(own: Own, filters: list[Tensor], ste: str, accumulate: bool) -> Bases:
    """Xin et al., eq. 3."""
    used = filters if accumulate else filters[-1:]
    alpha = own.get("alpha", torch.ones(len(used), dtype=used[0].dtype))
    total = sum(a * w for a, w in zip(alpha, used, strict=True))
    variance, mean = torch.var_mean(total, dim=(1, 2, 3), keepdim=True, correction=0)
    signs = sign((total - mean) / torch.sqrt(variance + EPS), ste)
    return [(filters[-1].abs().mean((1, 2, 3)), signs)]


def bam_filters(own: Own, filters: list[Tensor], options: Options) -> Bases:
    """BAM's."""
    return accumulated(own, filters, options["filter_ste"], options["accumulate_filters"])


def bnn_filters(own: Own, filters: list[Tensor], options: Options) -> Bases:
    """Hubara et al., eq. 1 and 4."""
    return [(None, sign(filters[-1], "clip"))]


def dorefa_filters(own: Own, filters: list[Tensor], options: Options) -> Bases:
    """Zhou et al., eq. 7 and 8: of w = E sign(W), dW = dw. With E constant, that is the identity of W / E."""
    mean = filters[-1].abs().mean().detach()
    return [(mean, sign(filters[-1] / mean, "identity"))]


def abc_filters(own: Own, filters: list[Tensor], options: Options) -> Bases:
    """Lin et al., eq. 2 to 6: alpha by least squares, through which nothing comes back."""
    w = filters[-1]
    count = options["bases"]
    shifts = [-1 + 2 * m / (count - 1) for m in range(count)] if count > 1 else [0.0]
    centred = (w - w.mean()).detach()
    # the derivative of each base is the identity's, so that neither mean nor deviation have any
    bases = [sign(w - w.detach() + centred + u * centred.std(correction=0), "identity") for u in shifts]
    alpha = least_squares(torch.stack([base.detach().flatten() for base in bases]), w.detach().flatten())
    return list(zip(alpha, bases, strict=True))


def least_squares(rows: Tensor, target: Tensor) -> Tensor:
    """Coefficients (n,) of rows (n, m) that come nearest to a target (m,), by the normal equations in float64.

    By Gauss and Jordan, of tensors alone, so that a graph on a device can hold it; `rows` must be independent.
    """
    a, y = rows.double(), target.double()
    system = torch.cat([a @ a.T, (a @ y)[:, None]], 1)
    for k in range(len(a)):
        factor = system[:, k] / system[k, k]
        factor = torch.where(torch.arange(len(a), device=a.device) == k, torch.zeros_like(factor), factor)
        system = system - factor[:, None] * system[k]
    return (system[:, -1] / system.diagonal()).to(target.dtype)


def bbcu_filters(own: Own, filters: list[Tensor], options: Options) -> Bases:
    """As the public code has it: the derivative of clip(W, -1, 1), and none of the magnitude."""
    w = filters[-1]
    scale = w.detach().abs().mean((1, 2, 3))
    passed = scaled(torch.clamp(w, -1, 1), 1 / scale, 3)  # the product with `scale` takes this factor away again
    return [(scale, sign(passed - passed.detach() + w.detach(), "identity"))]


def bw_filters(own: Own, filters: list[Tensor], options: Options) -> Bases:
    """BAM's filters, or Ma et al.'s: signs times a learned gain."""
    if options["method"] == "bam":
        return accumulated(own, filters, options["filter_ste"], True)
    return [(own["gain"], sign(filters[-1], options["filter_ste"]))]


def float_filters(own: Own, filters: list[Tensor], options: Options) -> Bases:
    """As they are."""
    return [(None, filters[-1])]


Scheme = Callable[[Own, list[Tensor], Options], Bases]

SCHEMES: dict[str, tuple[Scheme, Scheme]] = {
    "bam": (bam_activations, bam_filters),
    "bbcu": (bbcu_activations, bbcu_filters),
    "bnn": (bnn_activations, bnn_filters),
    "dorefa": (dorefa_activations, dorefa_filters),
    "abc": (abc_activations, abc_filters),
    "bw": (float_activations, bw_filters),
    "none": (float_activations, float_filters),
}


def pad_value(options: Options) -> float:
    """What stands around the activations of a convolution: +1 where they are +-1, else 0."""
    if "padding" in options:
        return {"one": 1.0, "zero": 0.0}[options["padding"]]
    return 1.0 if options["name"] in ("bbcu", "bnn", "abc") else 0.0


def convolve(own: Own, inputs: list[Tensor], filters: list[Tensor], options: Options, merged: bool) -> Tensor:
    """One convolution of a scheme.

    Parameters
    ----------
    own : dict
        The scheme's parameters of this convolution.
    inputs, filters : lists of tensors
        The block's up to here, the newest last; filters of this shape alone.
    options : dict
        The scheme's, with its name.
    merged : bool
        Whether coefficients are multiplied into bases before they are convolved, which is one convolution instead of
        several, but in which a sum of 0 may become a rounding error.
    """
    of_activations, of_filters = SCHEMES[options["name"]]
    size, pad = filters[-1].shape[-1], pad_value(options)
    padded = [(b, functional.pad(x, (size // 2,) * 4, value=pad)) for b, x in of_activations(own, inputs, options)]
    banks = of_filters(own, filters, options)
    if merged:
        x, w = sum(scaled(x, b) for b, x in padded), sum(scaled(w, a, 3) for a, w in banks)
        return functional.conv2d(x, w)
    return sum(scaled(scaled(functional.conv2d(x, w), b), a) for a, w in banks for b, x in padded)


def scaled(x: Tensor, coefficient: Any, behind: int = 2) -> Tensor:
    """Times one number, or one for each channel, behind which come so many axes; None is 1."""
    if coefficient is None:
        return x
    return x * (coefficient if coefficient.ndim == 0 else coefficient.reshape(-1, *(1,) * behind))
