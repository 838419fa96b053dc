"""All networks in PyTorch, written independently from the papers: the peers of the tests and of the benchmarks.

Forward only; gradients are autograd's. Parameters have npbsrn's names. Under `torch.no_grad` a network is what it is
outside of training, with running averages in the place of a batch's.
"""

from typing import Any

import torch
from torch.nn import functional

from benchmarks.torch_schemes import batch_norm, convolve
from npbsrn.ops.enlarge import enlarge

Tensor = torch.Tensor

SHUFFLES = {2: (2,), 3: (3,), 4: (2, 2)}
BLOCKS = {  # of each network: a block's sizes, blocks a group, where the groups are
    "bbcu": ((3,), 1, "body.blocks"),
    "bsrn": ((3, 1, 1), 2, "body.hpb"),
    "srresnet": ((3, 3), 1, "body.blocks"),
    "vdsr": ((3, 3, 3), 1, "body"),
}


class TorchNetwork:
    """A network on torch tensors by dotted name.

    Parameters
    ----------
    config : dict
        Of `npbsrn.networks.base.make_network`, with all its options.
    params : dict of tensors
        By npbsrn's names; running averages among them are moved.
    composed : bool
        Whether the tail is one convolution, composed anew in each call, as npbsrn's is in training alone.
    merged : bool
        See `benchmarks.torch_schemes.convolve`.
    """

    def __init__(
        self, config: dict[str, Any], params: dict[str, Tensor], composed: bool = False, merged: bool = False
    ) -> None:
        self.config, self.params, self.composed, self.merged = config, params, composed, merged
        self.own: dict[str, dict[str, Tensor]] = {}  # by the name of what they belong to
        for name, tensor in params.items():
            place, last = name.rsplit(".", 1)
            self.own.setdefault(place, {})[last] = tensor

    def __call__(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, 3, H * scale, W * scale), both in [0, 1]."""
        config = self.config
        if config["name"] == "vdsr":
            return self.on_enlarged(self.enlarged(x))
        base = self.enlarged(x) if config["base"] == "bicubic" else 0.5
        head = self.conv("head", (x - 0.5) * config["input_gain"])
        features = self.blocks(head)
        if config.get("trunk", True):
            features = head + self.conv("body.trunk", features)
        return base + self.tail(features) * config.get("output_gain", 1)

    def on_enlarged(self, large: Tensor) -> Tensor:
        """VDSR behind the bicubic enlargement."""
        head = self.conv("head", (large - 0.5) * self.config["input_gain"])
        return large + self.conv("tail.last", self.blocks(head))

    def enlarged(self, x: Tensor) -> Tensor:
        """By npbsrn's matrices: PyTorch's bicubic filter is another one."""
        return torch.from_numpy(enlarge(x.detach().numpy(), self.config["scale"])[0])

    def conv(self, name: str, x: Tensor) -> Tensor:
        """Float convolution."""
        own = self.own[name]
        return functional.conv2d(x, own["weight"], own["bias"], padding="same")

    # --- blocks ---

    def blocks(self, x: Tensor) -> Tensor:
        """All groups; filters of 3x3 accumulate along a group."""
        sizes, of_group, where = BLOCKS[self.config["name"]]
        for group in range(1, self.config["blocks"] + 1):
            filters: list[Tensor] = []
            for block in range(1, of_group + 1):
                name = f"{where}.{group}.{block}"
                x = self.block(name, x, len(sizes), filters)
                own = (self.own[f"{name}.conv{n}"]["weight"] for n in range(1, len(sizes) + 1))
                filters = [*filters, *(w for w in own if w.shape[-1] > 1)]
        return x

    def block(self, name: str, x: Tensor, convs: int, filters: list[Tensor]) -> Tensor:
        """One block; `filters` are those of the group's earlier blocks."""
        skip = "unit" if self.config["name"] == "bbcu" else self.config.get("skip", "none")
        inputs, filters = [x], list(filters)
        for n in range(1, convs + 1):
            w = self.own[f"{name}.conv{n}"]["weight"]
            filters.append(w)
            alike = [other for other in filters if other.shape == w.shape]
            own = self.own.get(f"{name}.conv{n}.binarizer", {})
            y = convolve(own, inputs, alike, self.config["binarizer"], self.merged)
            y = self.normalized(f"{name}.conv{n}.norm", y)
            if n < convs or skip in ("unit", "none"):
                y = self.activated(f"{name}.act{n}", y)
            if skip == "unit":
                y = y * self.config["residual"]
            inputs.append(inputs[-1] + y if skip in ("every", "unit") else y)
        return x + self.config["residual"] * inputs[-1] if skip == "block" else inputs[-1]

    def normalized(self, name: str, x: Tensor) -> Tensor:
        """BN behind a convolution, where the network has it."""
        return batch_norm(self.own[name], x) if self.config["norm"] else x

    def activated(self, name: str, x: Tensor) -> Tensor:
        """PReLU, behind a shift or alone, ReLU, or nothing."""
        kind = self.config["activation"]
        if kind == "rprelu":
            x = x + self.own[name]["shift"].reshape(-1, 1, 1)
        if kind in ("prelu", "rprelu"):
            return functional.prelu(x, self.own[name]["slope"])
        return torch.relu(x) if kind == "relu" else x

    # --- tail ---

    def tail(self, x: Tensor) -> Tensor:
        """Convolutions and shuffles to three channels."""
        if self.config.get("tail") == "direct":
            return functional.pixel_shuffle(self.conv("tail.conv1", x), self.config["scale"])
        factors = SHUFFLES[self.config["scale"]]
        if not self.composed:
            for n, factor in enumerate(factors, 1):
                x = functional.pixel_shuffle(self.conv(f"tail.conv{n}", x), factor)
            return self.conv("tail.last", x)
        last = self.own["tail.last"]
        weight, bias = last["weight"], last["bias"]
        for n, factor in reversed(list(enumerate(factors, 1))):
            own = self.own[f"tail.conv{n}"]
            weight, bias = compose(weight, bias, own["weight"], own["bias"], factor)
        x = functional.conv2d(x, weight, bias, padding="same")
        for factor in factors:
            x = functional.pixel_shuffle(x, factor)
        return x


def compose(outer: Tensor, outer_bias: Tensor, inner: Tensor, inner_bias: Tensor, factor: int) -> tuple[Tensor, ...]:
    """Filters and biases of ``outer(shuffle(inner(x)))`` on the grid of x, before a shuffle.

    For each pixel in which a coarse pixel ends, the outer filters are moved there; what they meet is gathered by coarse
    pixel, and convolved with the inner filters.

    Parameters
    ----------
    outer : (O, C, m, m), m odd
    outer_bias : (O,)
    inner : (C * factor**2, I, k, k), k odd
    inner_bias : (C * factor**2,)
    factor : int

    Returns
    -------
    weight : (O * factor**2, I, K, K)
    bias : (O * factor**2,)
    """
    half = outer.shape[-1] // 2
    reach = -(-half // factor)  # coarse pixels to each side
    before, side = reach * factor - half, (2 * reach + 1) * factor
    phases = []
    for a in range(factor):
        for b in range(factor):
            top, left = before + a, before + b
            around = left, side - outer.shape[-1] - left, top, side - outer.shape[-1] - top
            phases.append(functional.pad(outer, around))
    moved = torch.stack(phases, 1).flatten(0, 1)  # a shuffle's order: outputs, then rows and columns within a pixel
    met = functional.pixel_unshuffle(moved, factor)
    bias = outer_bias.repeat_interleave(factor**2) + met.sum((2, 3)) @ inner_bias
    return functional.conv_transpose2d(met, inner), bias
