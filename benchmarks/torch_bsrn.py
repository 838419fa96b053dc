"""BSRN in PyTorch, written independently from the paper: the peer of the tests and of the benchmarks.

Forward only; gradients are autograd's. Parameters have npbsrn's names.
"""

from typing import Any

from npbsrn.binarizers.bam import PADS
from npbsrn.networks.base import FACTORS
from npbsrn.ops.enlarge import enlarge


class TorchBsrn:
    """BSRN on torch tensors by dotted name; gradients by autograd."""

    def __init__(self, torch: Any, config: dict[str, Any], params: dict[str, Any]) -> None:
        self.torch, self.config, self.params = torch, config, params
        self.options = config["binarizer"]

        class Sign(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x, ste):
                ctx.save_for_backward(x)
                ctx.ste = ste
                return torch.where(x < 0, -torch.ones_like(x), torch.ones_like(x))

            @staticmethod
            def backward(ctx, dy):
                (x,) = ctx.saved_tensors
                if ctx.ste == "identity":
                    return dy, None
                if ctx.ste == "clip":
                    return dy * (x.abs() <= 1), None
                return dy * torch.clamp(2 - 2 * x.abs(), min=0), None

        self.sign = Sign.apply

    def conv(self, name: str, x: Any) -> Any:
        """Float convolution."""
        f = self.torch.nn.functional
        return f.conv2d(x, self.params[f"{name}.weight"], self.params[f"{name}.bias"], padding="same")

    def binary_conv(self, name: str, a_s: list[Any], w_s: list[Any]) -> Any:
        """Binary convolution; `a_s`, `w_s`: all activations and all filters of the shape, the newest last."""
        torch, f, p, o = self.torch, self.torch.nn.functional, self.params, self.options
        if not o.get("accumulate_activations", True):
            a_s = a_s[-1:]
        if not o.get("accumulate_filters", True):
            w_s = w_s[-1:]
        alpha = p.get(f"{name}.binarizer.alpha", torch.ones(len(w_s), dtype=w_s[0].dtype))
        beta = p.get(f"{name}.binarizer.beta", torch.ones(len(a_s), dtype=a_s[0].dtype))
        a = sum(b * self.statistic(a) * a for b, a in zip(beta, a_s, strict=True))
        a = f.batch_norm(
            a, None, None, p[f"{name}.binarizer.gain"], p[f"{name}.binarizer.shift"], training=True, eps=1e-5
        )
        w = sum(a * w for a, w in zip(alpha, w_s, strict=True))
        var, mean = torch.var_mean(w, dim=(1, 2, 3), keepdim=True, correction=0)
        wb = self.sign((w - mean) / torch.sqrt(var + 1e-5), o.get("filter_ste", "identity"))
        ab = self.sign(a, o.get("activation_ste", "clip"))
        size = wb.shape[-1]
        counts = f.conv2d(f.pad(ab, (size // 2,) * 4, value=PADS[self.options.get("padding", "one")]), wb)
        return counts * w_s[-1].abs().mean((1, 2, 3))[:, None, None]

    def statistic(self, a: Any) -> Any:
        """E of eq. 9."""
        kind = self.options.get("statistic", "abs")
        return 1 if kind == "none" else (a.abs() if kind == "abs" else a).mean(1, keepdim=True)

    def act(self, name: str, x: Any) -> Any:
        """PReLU, or nothing."""
        if self.config["activation"] == "none":
            return x
        return self.torch.nn.functional.prelu(x, self.params[f"{name}.slope"])

    def lb_block(self, name: str, x: Any, filters3: list[Any]) -> Any:
        """LB-block; `filters3` are the 3x3 filters of the HPB's earlier blocks."""
        p = self.params
        w1, w2, w3 = (p[f"{name}.conv{n}.weight"] for n in (1, 2, 3))
        a1 = x
        a2 = self.act(f"{name}.act1", self.binary_conv(f"{name}.conv1", [a1], [*filters3, w1]))
        a3 = self.act(f"{name}.act2", self.binary_conv(f"{name}.conv2", [a1, a2], [w2]))
        return x + self.config["residual"] * self.binary_conv(f"{name}.conv3", [a1, a2, a3], [w2, w3])

    def __call__(self, x: Any) -> Any:
        """(N, 3, H, W) to (N, 3, H * scale, W * scale)."""
        torch, scale = self.torch, self.config["scale"]
        head = self.conv("head", (x - 0.5) * self.config["input_gain"])
        y = head
        for block in range(1, self.config["blocks"] + 1):
            name = f"body.hpb.{block}"
            y = self.lb_block(f"{name}.1", y, [])
            y = self.lb_block(f"{name}.2", y, [self.params[f"{name}.1.conv1.weight"]])
        y = head + self.conv("body.trunk", y)
        for stage, factor in enumerate(FACTORS[scale], 1):
            y = torch.pixel_shuffle(self.conv(f"tail.conv{stage}", y), factor)
        y = self.conv("tail.last", y)
        if self.config["base"] == "none":
            return y + 0.5
        return y + torch.from_numpy(enlarge(x.detach().numpy(), scale)[0])
