"""One training step: forward, loss, backward, Adam, average."""

import dataclasses
from typing import Any

import numpy as np

from npbsrn.models import Model
from npbsrn.networks.base import Network
from npbsrn.ops.loss import l1_loss
from npbsrn.runtime.shards import Shard, Shards
from npbsrn.runtime.threads import parts_of
from npbsrn.storage.params import Params, leaves, nest
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
    network: Network, params: Params, x: Array, y: Array, taught: Array | None = None, share: float = 0.0,
    factor: float = 1.0,
) -> tuple[float, Flat]:  # fmt: skip
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
    factor : float
        On the gradients.

    Returns
    -------
    loss : float
    grads : flat dict
    """
    out, back = network.apply(params, x, train=True)
    loss, pull = l1_loss(out, y)
    if taught is None:
        dout = pull(factor)
    else:
        apart, pull_apart = l1_loss(out, taught)
        loss, dout = (1 - share) * loss + share * apart, pull(factor * (1 - share)) + pull_apart(factor * share)
    _, grads = back(dout, False)
    return loss, dict(leaves(grads))


def divided_loss_and_grads(
    network: Network, params: Vector, x: Array, y: Array, taught: Array | None, share: float, shards: Shards
) -> tuple[float, Flat]:
    """`loss_and_grads` of a batch of which this process has some shards; the results are those of the whole batch.

    The loss of a batch is the mean of its shards' losses, as these are of one size, and so is the gradient: each shard
    divides its own by their number before they are added. Where statistics are not synchronized, each shard moves
    running averages of its own, and `params` get their mean.

    Parameters
    ----------
    network, params, taught, share
        See `loss_and_grads`.
    x, y : arrays
        The samples of this process's shards.
    shards : Shards
    """
    running = {name: array for name, array in params.items() if ".running_" in name}

    def work(shard: Shard) -> tuple[Array, Flat]:
        own = {name: array.copy() if name in running else array for name, array in params.items()}
        first, last = parts_of(len(x), shards.local)[shard.number]
        part = None if taught is None else taught[first:last]
        loss, grads = loss_and_grads(network, nest(own), x[first:last], y[first:last], part, share, 1 / shards.count)
        shard.hand_over(iter(grads.values()))
        moved = np.concatenate([[loss], *(own[name] for name in running)])
        apart = 1 if shards.synchronize else len(moved)  # what differs between the shards, in one message
        moved[:apart] = np.mean(shard.gather(moved[:apart]), axis=0)
        return moved, grads

    results, sums = shards.run(work)
    moved, grads = results[0]
    ends = np.cumsum([1, *(array.size for array in running.values())])
    for array, part in zip(running.values(), np.split(moved, ends)[1:-1], strict=True):
        array[...] = part
    return float(moved[0]), {name: sums[id(array)] for name, array in grads.items()}


def train_step(
    state: State, network: Network, config: TrainConfig, x: Array, y: Array, teacher: Model | None = None,
    shards: Shards | None = None,
) -> tuple[State, float]:  # fmt: skip
    """State after one step on one batch, and the batch's loss. The arrays of `state` are moved in place.

    Where the batch is divided, `x` and `y` are the samples of this process's `shards`.
    """
    taught = None if teacher is None else teacher.network.apply(teacher.params, x)[0]
    if shards is None:
        loss, grads = loss_and_grads(network, state.params.nested, x, y, taught, config.distill)
    else:
        loss, grads = divided_loss_and_grads(network, state.params, x, y, taught, config.distill, shards)
    rates = config.rate_at(state.step), config.beta1, config.beta2, config.weight_decay, config.binary_rate
    grad = clip_norm(np.concatenate([grads[name].ravel() for name in state.m]), config.clip)
    latent = network.latent()
    adam(state.params, grad, state.m, state.v, state.step, *rates, state.m.mark(latent))
    keep_within(state.params, {name: scheme.bound for name, scheme in latent.items() if scheme.bound is not None})
    moving_average(state.average, state.params, state.step, config.ema)
    return dataclasses.replace(state, step=state.step + 1), loss
