"""The network `bbcu` on one vector of values: npbsrn's parameters in npbsrn's order, in PyTorch."""

from typing import Any

import torch
from torch.nn import functional

from benchmarks.torch_networks import SHUFFLES, compose
from npbsrn.networks.base import MIDDLE, Network
from training.gpu.enlarge import enlarged
from training.gpu.values import Values

Tensor = torch.Tensor
Own = dict[str, Tensor]  # of one unit, by the last parts of the name
Style = tuple[Any, ...]  # what a unit is, hashable

EPS = 1e-5
STES = ("identity", "clip", "bireal")  # stand-ins for the sign's gradient that are written here
LAST = torch.channels_last
PLAIN = {  # options of BAM for which a unit is written here: with one convolution there is nothing to accumulate
    "alpha": "one", "beta": "one", "statistic": "none", "filter_ste": "identity", "padding": "one",
}  # fmt: skip


def soft(z: Tensor, kind: str) -> Tensor:
    """What has the gradient that stands for the sign's; the kinds are `STES`, of `npbsrn.ops.sign.STES`."""
    if kind == "identity":
        return z
    inside = z.clamp(-1, 1)
    return inside if kind == "clip" else inside * (2 - inside.abs())  # bireal


def sign(z: Tensor, kind: str) -> Tensor:
    """+1 from 0 on, -1 below, with the gradient of `soft`."""
    s = soft(z, kind)
    return torch.where(z >= 0, torch.ones_like(z), -torch.ones_like(z)) + (s - s.detach())


class HalfProducts(torch.autograd.Function):
    """Sums of signs in half precision, which holds them exactly up to 2048; gradients in bfloat16, for their range."""

    @staticmethod
    def forward(ctx: Any, bits: Tensor, signs: Tensor) -> Tensor:
        """Convolve."""
        bits, signs = (a.half().contiguous(memory_format=LAST) for a in (bits, signs))
        ctx.save_for_backward(bits, signs)
        return functional.conv2d(bits, signs).float()

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor]:
        """Both cotangents."""
        bits, signs = ctx.saved_tensors
        dy = dy.bfloat16().contiguous(memory_format=LAST)
        args = [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [True, True, False]
        dbits, dsigns, _ = torch.ops.aten.convolution_backward(dy, bits.bfloat16(), signs.bfloat16(), None, *args)
        return dbits.float(), dsigns.float()


def norm(x: Tensor, own: Own, name: str, train: bool) -> tuple[Tensor, Own]:
    """Batch normalisation, and what the running averages move to: the batch's mean and sample variance."""
    names = f"{name}.running_mean", f"{name}.running_variance"
    if train:
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        count = x.numel() // x.shape[1]
        found = dict(zip(names, (mean, variance * (count / max(count - 1, 1))), strict=True))
    else:
        mean, variance = (own[running] for running in names)
        found = {}
    factor = torch.rsqrt(variance + EPS) * own[f"{name}.gain"]
    return (x - mean[:, None, None]) * factor[:, None, None] + own[f"{name}.shift"][:, None, None], found


def binary_filters(w: Tensor, scheme: str) -> tuple[Tensor, Tensor]:
    """Signs (O, I, k, k) and scales (O,) of latent filters."""
    scale = w.abs().mean((1, 2, 3))
    if scheme == "bam":
        centred = w - w.mean((1, 2, 3), keepdim=True)
        return sign(centred * torch.rsqrt(w.var((1, 2, 3), unbiased=False, keepdim=True) + EPS), "identity"), scale
    scale, signs = scale.detach(), sign(w, "clip")  # the gradient of scale * signs passes as that of clamp(w)
    return signs.detach() + (signs - signs.detach()) / scale[:, None, None, None], scale


def unit(x: Tensor, own: Own, style: Style, train: bool) -> tuple[Tensor, Own]:
    """One convolution with its activation and its skip, and the batch's statistics."""
    scheme, window, ste, normed, activation, residual, half = style
    found: Own = {}
    if scheme == "bbcu":
        z = (x + own["conv1.binarizer.shift"][:, None, None]) / window
    else:
        z, found = norm(x, own, "conv1.binarizer", train)
    bits = functional.pad(sign(z, ste), (1, 1, 1, 1), value=1.0)
    signs, scale = binary_filters(own["conv1.weight"], scheme)
    y = HalfProducts.apply(bits, signs) if half else functional.conv2d(bits, signs.contiguous(memory_format=LAST))
    y = y * scale[:, None, None]
    if normed:
        y, more = norm(y, own, "conv1.norm", train)
        found = found | more
    if activation == "rprelu":
        y = y + own["act1.shift"][:, None, None]
    if activation in ("rprelu", "prelu"):
        y = torch.where(y > 0, y, y * own["act1.slope"][:, None, None])
    elif activation == "relu":
        y = y.relu()
    return x + residual * y, found


class TorchBbcu(Values):
    """`npbsrn.networks.bbcu.bbcu` as a function of two vectors, the learned values and the running averages.

    Parameters
    ----------
    network : Network
        With the scheme "bbcu", or "bam" as in the preset "best".
    half : bool
        Whether binary convolutions are computed in half precision.
    compiled : bool
        Whether units are compiled.
    """

    def __init__(self, network: Network, half: bool = False, compiled: bool = False) -> None:
        c = self.config = network.config
        scheme = c["binarizer"]
        if c["name"] != "bbcu" or scheme["name"] not in ("bam", "bbcu") or c["base"] != "bicubic":
            raise ValueError("this program trains the network bbcu with the scheme bam or bbcu and a bicubic base")
        if wrong := [n for n, value in PLAIN.items() if scheme["name"] == "bam" and scheme[n] != value]:
            raise ValueError(f"the options {', '.join(wrong)} of bam must be those of the preset best")
        super().__init__(network)
        if scheme["activation_ste"] not in STES:
            raise ValueError(f"activation_ste must be one of {', '.join(STES)}")
        window, ste = float(scheme.get("window", 1.0)), scheme["activation_ste"]
        self.style = (scheme["name"], window, ste, c["norm"], c["activation"], float(c["residual"]), half)
        self.unit = torch.compile(unit, dynamic=False, fullgraph=True) if compiled else unit

    def picture(self, learned: Tensor, running: Tensor, x: Tensor, train: bool) -> tuple[Tensor, Tensor]:
        """The enlarged picture, and the batch's statistics in the order of `running`."""
        details, found = self.details(learned, running, x, train)
        return enlarged(x, self.config["scale"]) + details, found

    def details(self, learned: Tensor, running: Tensor, x: Tensor, train: bool) -> tuple[Tensor, Tensor]:
        """What is added to the bicubic enlargement, and the batch's statistics."""
        c, p = self.config, self.views(learned, self.learned)
        every = p | self.views(running, self.running)
        head = x = functional.conv2d(
            ((x - MIDDLE) * c["input_gain"]).contiguous(memory_format=LAST),
            p["head.weight"], p["head.bias"], padding=1,
        )  # fmt: skip
        found: Own = {}
        for number in range(1, c["blocks"] + 1):
            at = f"body.blocks.{number}.1."
            own = {name.removeprefix(at): value for name, value in every.items() if name.startswith(at)}
            x, statistics = (self.unit if train else unit)(x, own, self.style, train)
            found |= {at + name: value for name, value in statistics.items()}
        if c["trunk"]:
            x = head + functional.conv2d(x, p["body.trunk.weight"], p["body.trunk.bias"], padding=1)
        moved = torch.cat([found[name] for name in self.running]).detach() if found else running
        return self.tail(p, x, train) * c["output_gain"], moved

    def tail(self, p: Own, x: Tensor, train: bool) -> Tensor:
        """To three channels: in training as one convolution, composed anew."""

        def conv(name: str, x: Tensor) -> Tensor:
            return functional.conv2d(x, p[f"tail.{name}.weight"], p[f"tail.{name}.bias"], padding="same")

        scale = self.config["scale"]
        if self.config["tail"] == "direct":
            return functional.pixel_shuffle(conv("conv1", x), scale)
        stages = list(enumerate(SHUFFLES[scale], 1))
        if not train or self.config["tail"] == "plain":
            for n, factor in stages:
                x = functional.pixel_shuffle(conv(f"conv{n}", x), factor)
            return conv("last", x)
        weight, bias = p["tail.last.weight"], p["tail.last.bias"]
        for n, factor in reversed(stages):
            weight, bias = compose(weight, bias, p[f"tail.conv{n}.weight"], p[f"tail.conv{n}.bias"], factor)
        x = functional.conv2d(x, weight.contiguous(memory_format=LAST), bias, padding="same")
        for _, factor in stages:
            x = functional.pixel_shuffle(x, factor)
        return x
