"""One training step: network, loss, back, Adam, average."""

import dataclasses
from typing import Any

import numpy as np

from npbsrn.networks import Network
from npbsrn.ops.loss import l1_loss
from npbsrn.params import leaves, nest
from npbsrn.training.checkpoint import State
from npbsrn.training.config import TrainConfig
from npbsrn.training.optimizer import Flat, adam, moving_average

Array = np.ndarray[Any, Any]


def first_state(network: Network, seed: int) -> State:
    """State before the first step."""
    params = dict(leaves(network.init(seed)))
    learned = {name: a for name, a in params.items() if ".running_" not in name}
    m, v = ({name: np.zeros_like(a) for name, a in learned.items()} for _ in range(2))
    return State(params, m, v, average={name: a.copy() for name, a in params.items()})


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
    """State after one step on one batch, and the batch's loss."""
    loss, grads = loss_and_grads(network, state.params, x, y)
    rate = config.rate_at(state.step)
    betas = config.beta1, config.beta2
    params, m, v = adam(state.params, grads, state.m, state.v, state.step, rate, *betas, config.weight_decay)
    average = moving_average(state.average, params, state.step, config.ema)
    return dataclasses.replace(state, params=params, m=m, v=v, average=average, step=state.step + 1), loss
