"""One training step: network, loss, back, Adam, average."""

import dataclasses
from typing import Any

import numpy as np

from npbsrn.networks import Network
from npbsrn.ops.loss import l1_loss
from npbsrn.params import leaves, nest
from npbsrn.training.checkpoint import State
from npbsrn.training.config import TrainConfig
from npbsrn.training.optimizer import Flat, Vector, adam, clip_norm, moving_average

Array = np.ndarray[Any, Any]


def first_state(network: Network, seed: int, init: Flat | None = None) -> State:
    """State before the first step: weights drawn from `seed`, or those of `init`."""
    params = init or dict(leaves(network.init(seed)))
    zeros = {name: np.zeros_like(a) for name, a in params.items() if ".running_" not in name}
    return State(Vector(params), Vector(zeros), Vector(zeros), average=Vector(params))


def loss_and_grads(network: Network, params: Flat, x: Array, y: Array) -> tuple[float, Flat]:
    """L1 loss of a batch and its gradients.

    Parameters
    ----------
    network : Network
    params : flat dict
        Its running averages move.
    x : (N, 3, H, W) float32, in [0, 1]
    y : (N, 3, H * scale, W * scale) float32, in [0, 1]

    Returns
    -------
    loss : float
    grads : flat dict
    """
    out, back = network.apply(nest(params), x, train=True)
    loss, pull = l1_loss(out, y)
    _, grads = back(pull(1.0))
    return loss, dict(leaves(grads))


def train_step(state: State, network: Network, config: TrainConfig, x: Array, y: Array) -> tuple[State, float]:
    """State after one step on one batch, and the batch's loss. The arrays of `state` are moved in place."""
    loss, grads = loss_and_grads(network, state.params, x, y)
    rates = config.rate_at(state.step), config.beta1, config.beta2, config.weight_decay, config.binary_rate
    grad = clip_norm(np.concatenate([grads[name].ravel() for name in state.m]), config.clip)
    adam(state.params, grad, state.m, state.v, state.step, *rates)
    moving_average(state.average, state.params, state.step, config.ema)
    return dataclasses.replace(state, step=state.step + 1), loss
