"""One training step: forward, loss, backward, Adam, average."""

import dataclasses
from typing import Any

import numpy as np

from npbsrn.models import Model
from npbsrn.networks.base import Network
from npbsrn.ops.loss import l1_loss
from npbsrn.storage.params import Params, leaves
from npbsrn.training.checkpoint import State
from npbsrn.training.config import TrainConfig
from npbsrn.training.optimizer import Flat, Vector, adam, clip_norm, keep_within, moving_average

Array = np.ndarray[Any, Any]


def first_state(network: Network, seed: int, init: Flat | None = None) -> State:
    """State before the first step: weights drawn from `seed`, or those of `init`."""
    params = init or dict(leaves(network.init(seed)))
    zeros = {name: np.zeros_like(a) for name, a in params.items() if ".running_" not in name}
    return State(Vector(params), Vector(zeros), Vector(zeros), average=Vector(params))


def loss_and_grads(
    network: Network, params: Params, x: Array, y: Array, taught: Array | None = None, share: float = 0.0
) -> tuple[float, Flat]:
    """Loss of a batch and its gradients: ``(1 - share) * L1(out, y) + share * L1(out, taught)``.

    What is distilled is the picture alone, by the loss that the network is trained with (Hinton et al., 2015, with
    pixels in place of classes): it asks nothing of the teacher but its scale, and adds no layers that are thrown away
    afterwards, as matched features would.

    Parameters
    ----------
    network : Network
    params : dict
        Its running averages move.
    x : (N, 3, H, W) float32, in [0, 1]
    y : (N, 3, H * scale, W * scale) float32, in [0, 1]
    taught : array like `y`, optional
        The teacher's result.
    share : float
        Of the teacher in the loss.

    Returns
    -------
    loss : float
    grads : flat dict
    """
    out, back = network.apply(params, x, train=True)
    loss, pull = l1_loss(out, y)
    if taught is None:
        dout = pull(1.0)
    else:
        apart, pull_apart = l1_loss(out, taught)
        loss, dout = (1 - share) * loss + share * apart, pull(1 - share) + pull_apart(share)
    _, grads = back(dout, False)
    return loss, dict(leaves(grads))


def train_step(
    state: State, network: Network, config: TrainConfig, x: Array, y: Array, teacher: Model | None = None
) -> tuple[State, float]:
    """State after one step on one batch, and the batch's loss. The arrays of `state` are moved in place."""
    taught = None if teacher is None else teacher.network.apply(teacher.params, x)[0]
    loss, grads = loss_and_grads(network, state.params.nested, x, y, taught, config.distill)
    rates = config.rate_at(state.step), config.beta1, config.beta2, config.weight_decay, config.binary_rate
    grad = clip_norm(np.concatenate([grads[name].ravel() for name in state.m]), config.clip)
    latent = network.latent()
    adam(state.params, grad, state.m, state.v, state.step, *rates, state.m.mark(latent))
    keep_within(state.params, {name: scheme.bound for name, scheme in latent.items() if scheme.bound is not None})
    moving_average(state.average, state.params, state.step, config.ema)
    return dataclasses.replace(state, step=state.step + 1), loss
