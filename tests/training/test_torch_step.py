"""A whole training step against the same step in PyTorch float64, written there independently from the paper."""

import numpy as np
import pytest

from npbsrn.binarizers.bam import ABLATIONS
from npbsrn.networks import make_network
from npbsrn.ops.enlarge import enlarge
from npbsrn.params import leaves
from npbsrn.training.config import TrainConfig
from npbsrn.training.step import first_state, loss_and_grads, train_step

pytestmark = pytest.mark.peers
RTOL = 1e-5


class TorchBsrn:
    """BSRN on torch tensors by dotted name; gradients by autograd."""

    def __init__(self, torch, config, params):
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

    def conv(self, name, x):
        f = self.torch.nn.functional
        return f.conv2d(x, self.params[f"{name}.weight"], self.params[f"{name}.bias"], padding="same")

    def binary_conv(self, name, a_s, w_s):
        """`a_s`, `w_s`: all activations and all filters of the shape, the newest last."""
        torch, f, p, o = self.torch, self.torch.nn.functional, self.params, self.options
        if not o.get("accumulate_activations", True):
            a_s = a_s[-1:]
        if not o.get("accumulate_filters", True):
            w_s = w_s[-1:]
        alpha = p.get(f"{name}.binarizer.alpha", torch.ones(len(w_s), dtype=torch.float64))
        beta = p.get(f"{name}.binarizer.beta", torch.ones(len(a_s), dtype=torch.float64))
        a = sum(b * a.abs().mean(1, keepdim=True) * a for b, a in zip(beta, a_s, strict=True))
        a = f.batch_norm(
            a, None, None, p[f"{name}.binarizer.gain"], p[f"{name}.binarizer.shift"], training=True, eps=1e-5
        )
        w = sum(a * w for a, w in zip(alpha, w_s, strict=True))
        var, mean = torch.var_mean(w, dim=(1, 2, 3), keepdim=True, correction=0)
        wb = self.sign((w - mean) / torch.sqrt(var + 1e-5), o.get("filter_ste", "identity"))
        ab = self.sign(a, o.get("activation_ste", "clip"))
        size = wb.shape[-1]
        counts = f.conv2d(f.pad(ab, (size // 2,) * 4, value=1.0), wb)
        return counts * w_s[-1].abs().mean((1, 2, 3))[:, None, None]

    def lb_block(self, name, x, filters3):
        f, p = self.torch.nn.functional, self.params
        w1, w2, w3 = (p[f"{name}.conv{n}.weight"] for n in (1, 2, 3))
        a1 = x
        a2 = f.prelu(self.binary_conv(f"{name}.conv1", [a1], [*filters3, w1]), p[f"{name}.act1.slope"])
        a3 = f.prelu(self.binary_conv(f"{name}.conv2", [a1, a2], [w2]), p[f"{name}.act2.slope"])
        return x + self.config["residual"] * self.binary_conv(f"{name}.conv3", [a1, a2, a3], [w2, w3])

    def __call__(self, x):
        torch, scale = self.torch, self.config["scale"]
        head = self.conv("head", x - 0.5)
        y = head
        for block in range(1, self.config["blocks"] + 1):
            name = f"body.hpb.{block}"
            y = self.lb_block(f"{name}.1", y, [])
            y = self.lb_block(f"{name}.2", y, [self.params[f"{name}.1.conv1.weight"]])
        y = head + self.conv("body.trunk", y)
        for stage, factor in enumerate({2: (2,), 3: (3,), 4: (2, 2)}[scale], 1):
            y = torch.pixel_shuffle(self.conv(f"tail.conv{stage}", y), factor)
        y = self.conv("tail.last", y)
        if self.config["base"] == "none":
            return y + 0.5
        return y + torch.from_numpy(enlarge(x.detach().numpy(), scale)[0])


def relative(a, b):
    return np.linalg.norm(a - b) / max(np.linalg.norm(a), np.linalg.norm(b), 1e-300)


CASES = {
    "x2": {"scale": 2},
    "x3 paper": {"scale": 3, "base": "none", "residual": 1.0},
    "x4 bireal": {"scale": 4, "binarizer": {"activation_ste": "bireal", "filter_ste": "clip"}},
    **{row: {"scale": 2, "binarizer": options} for row, options in ABLATIONS.items()},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_training_step_equals_pytorch(rng, case):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install .[peers]")
    config = TrainConfig(
        network=make_network({"blocks": 2, "width": 8} | case).config, steps=10, warmup=3, weight_decay=1e-3
    )
    network = make_network(config.network)
    state = first_state(network, seed=0)
    for group in (state.params, state.m, state.v, state.average):
        for name, array in group.items():
            group[name] = array.astype(np.float64)
    for name, array in state.params.items():
        if ".running_" not in name:
            state.params[name] = array + 0.05 * rng.standard_normal(array.shape)
    x = rng.random((3, 3, 6, 7))
    y = rng.random((3, 3, 6 * network.scale, 7 * network.scale))

    tensors = {name: torch.tensor(a, requires_grad=True) for name, a in state.params.items() if ".running_" not in name}
    optimizer = torch.optim.Adam(tensors.values(), lr=config.rate_at(0), betas=(0.9, 0.999), weight_decay=1e-3)
    peer_loss = (TorchBsrn(torch, config.network, tensors)(torch.from_numpy(x)) - torch.from_numpy(y)).abs().mean()
    peer_loss.backward()
    optimizer.step()

    copies = {name: a.copy() for name, a in state.params.items()}
    loss, grads = loss_and_grads(network, copies, x, y)
    assert loss == pytest.approx(peer_loss.item(), rel=RTOL)
    assert set(grads) == set(tensors)
    # An alpha alone, or a beta under BN, changes almost nothing: its gradient is rounding, judged on the whole's scale.
    whole = max(np.abs(t.grad.numpy()).max() for t in tensors.values())
    for name, tensor in tensors.items():
        difference = np.linalg.norm(grads[name] - tensor.grad.numpy())
        assert difference <= RTOL * max(np.linalg.norm(grads[name]), 1e-6 * whole), name

    after, _ = train_step(state, network, config, x, y)
    for name, tensor in tensors.items():
        assert relative(after.params[name], tensor.detach().numpy()) < RTOL, name
    assert dict(leaves(network.init(0))).keys() == after.params.keys()
