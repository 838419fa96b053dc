"""One training step on vectors: the same loss, gradients, Adam and average as `npbsrn.training.step.train_step`."""

import math
from typing import Any

import numpy as np
import torch

from npbsrn.networks.base import Network
from npbsrn.ops.norm import MOMENTUM
from npbsrn.storage.params import leaves
from npbsrn.training.config import TrainConfig
from npbsrn.training.optimizer import EPSILON, Flat
from training.gpu.any_network import TorchAny
from training.gpu.network import TorchBbcu

Tensor = torch.Tensor


def rate_at(config: TrainConfig, step: Tensor, done: Tensor) -> Tensor:
    """Learning rate of a step, as `TrainConfig.rate_at`, of a run of which a share is `done`; all float64."""
    rate = config.rate * torch.clamp((step.double() + 1) / (config.warmup + 1), max=1.0)
    if config.schedule == "cosine":
        return rate * 0.5 * (1 + torch.cos(math.pi * done))
    if config.schedule == "step":
        return rate * 0.5 ** torch.floor(step.double() / config.halve_every)
    passed = sum((done >= milestone).double() for milestone in config.milestones)
    return rate * config.gamma**passed


def update(
    config: TrainConfig, p: Tensor, grad: Tensor, m: Tensor, v: Tensor, binary: Tensor, step: Tensor, rate: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Clipped Adam on all values at once; those that are `binary` have a rate of their own."""
    if config.clip > 0:
        grad = grad * torch.clamp(config.clip / grad.square().sum().sqrt(), max=1.0)
    grad = grad + config.weight_decay * p
    t = step.double() + 1
    m = m + (1 - config.beta1) * (grad - m)
    v = v + (1 - config.beta2) * (grad * grad - v)
    first = (rate / (1 - config.beta1**t)).to(p.dtype)
    correct = (1 / (1 - config.beta2**t)).to(p.dtype)
    return p - torch.where(binary, first * config.binary_rate, first) * m / (torch.sqrt(v * correct) + EPSILON), m, v


class Training:
    """The state of a run on a device, and its step.

    Parameters
    ----------
    network : Network
    config : TrainConfig
        Without a teacher and without late patches.
    init : dict of arrays by dotted name
        First weights and running averages, or some of them; the others are drawn from the seed.
    device : str
    half, compiled : bool
        See `TorchBbcu`; for `bbcu` alone.
    """

    def __init__(
        self, network: Network, config: TrainConfig, init: Flat, device: str, half: bool = False, compiled: bool = False
    ) -> None:
        if config.distill or config.late_patch:
            raise ValueError("this program knows no teacher and no late patches")
        self.config = config
        own = network.config["name"] == "bbcu"
        self.net: TorchBbcu | TorchAny = TorchBbcu(network, half, compiled) if own else TorchAny(network)
        self.update = torch.compile(update, dynamic=False) if compiled else update
        values = dict(leaves(network.init(config.seed)))
        values |= {name: a for name, a in init.items() if name in values and values[name].shape == a.shape}
        self.p, self.r = (
            torch.tensor(np.concatenate([np.zeros(0, np.float32), *(values[name].ravel() for name in names)])).to(
                device
            )
            for names in (self.net.learned, self.net.running)
        )
        self.p.requires_grad_()
        self.m, self.v = torch.zeros_like(self.p.detach()), torch.zeros_like(self.p.detach())
        self.ap, self.ar = self.p.detach().clone(), self.r.clone()
        self.step = torch.zeros((), dtype=torch.int64, device=device)
        self.done = torch.zeros((), dtype=torch.float64, device=device)  # share of the time, where time is what ends
        self.loss = torch.zeros((), dtype=self.p.dtype, device=device)  # summed
        latent = network.latent()
        sizes = [int(np.prod(shape)) for shape in self.net.learned.values()]
        self.binary = torch.tensor(np.repeat([name in latent for name in self.net.learned], sizes), device=device)
        bounds = [latent[name].bound if name in latent else None for name in self.net.learned]
        ends = np.repeat([np.inf if bound is None else bound for bound in bounds], sizes)
        self.bound = torch.tensor(ends, dtype=self.p.dtype, device=device)

    def tensors(self) -> tuple[Tensor, ...]:
        """All that a step changes."""
        return self.p, self.r, self.m, self.v, self.ap, self.ar, self.step, self.loss

    def gradient(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Loss of a batch, its gradient, and the batch's statistics."""
        made, found = self.net.picture(self.p, self.r, x, True)
        loss = (made - y).abs().mean()
        (grad,) = torch.autograd.grad(loss, self.p)
        return loss.detach(), grad, found.detach()

    def one(self, x: Tensor, y: Tensor, timed: bool = False) -> None:
        """One step on one batch; `timed`, the schedule goes by `done` and not by the number of steps."""
        config = self.config
        loss, grad, found = self.gradient(x, y)
        done = self.done if timed else self.step.double() / config.steps
        rate = rate_at(config, self.step, done)
        with torch.no_grad():
            new = self.update(config, self.p.detach(), grad, self.m, self.v, self.binary, self.step, rate)
            for tensor, value in zip((self.p, self.m, self.v), new, strict=True):
                tensor.copy_(value)
            self.p.copy_(torch.clamp(self.p, -self.bound, self.bound))
            self.r.lerp_(found, MOMENTUM)
            early = (1 + self.step.double()) / (10 + self.step.double())
            share = (1 - torch.clamp(early, max=config.ema)).to(self.p.dtype)
            share = share if config.ema else torch.ones_like(share)
            self.ap.add_((self.p - self.ap) * share)
            self.ar.add_((self.r - self.ar) * share)
            self.loss.add_(loss)
            self.step.add_(1)

    def enlarge(self, x: Tensor) -> Tensor:
        """A picture (1, 3, H, W), enlarged with the averaged values."""
        return self.net.picture(self.ap, self.ar, x, False)[0]

    def arrays(self) -> dict[str, Any]:
        """The state by group and dotted name, as arrays: what `training.gpu.to_checkpoint` reads."""
        groups = {"params": (self.p, self.r), "average": (self.ap, self.ar), "m": (self.m, None), "v": (self.v, None)}
        found = {}
        for group, (learned, running) in groups.items():
            views = self.net.views(learned.detach(), self.net.learned)
            if running is not None:
                views |= self.net.views(running, self.net.running)
            found |= {f"{group}.{name}": tensor.cpu().numpy() for name, tensor in views.items()}
        return found
