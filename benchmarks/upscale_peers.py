"""What users would run instead: the float network of a binary network's shape in PyTorch, ONNX Runtime and OpenVINO.

It has the binary network's options: skips, activations (none where the binary network has none), norms. All peers take
float32 planes, the picture less its middle, of VDSR the enlarged picture, and give float32 planes of details: what it
takes to get there from bytes and back, bicubic enlargement included, is not theirs. A peer that is not installed is
left out.

Each peer is there twice where there are shuffles: with the plain tail, as networks are published and exported, and with
the tail composed into one convolution and one shuffle, which whoever knows npbsrn's trick could do, too.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.float_runtimes import RUNTIMES, Operation, Run, multiplications, runs
from npbsrn.models import Model
from npbsrn.networks.base import MIDDLE, Network, make_network
from npbsrn.ops.compose import compose
from npbsrn.ops.enlarge import enlarge
from npbsrn.packed.lower import lower
from npbsrn.packed.plan import Block, Plan

Array = np.ndarray[Any, Any]

COMPOSED = "_composed"  # end of names in the JSON line
PEERS = RUNTIMES | {f"{name}{COMPOSED}": f"{words}, tail composed" for name, words in RUNTIMES.items()}
RING = 2  # LR pixels at the border, in which composed tails differ from plain ones


@contextmanager
def threads_of(count: int) -> Iterator[None]:
    """Let npbsrn use so many threads where nobody tells it how many."""
    with mock.patch.dict(os.environ, {"NPBSRN_NUM_THREADS": str(count)}):
        yield


class FloatNetwork:
    """The float network with random weights, and its peers.

    Parameters
    ----------
    config : dict
        Of the binary network whose shape it has.
    picture : (H, W, 3) uint8
    """

    def __init__(self, config: dict[str, Any], picture: Array) -> None:
        self.network: Network = make_network({**config, "binarizer": "none"})
        self.params = self.network.init(0)
        self.plan = lower(Model(self.network, self.params))
        self.x = np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32) / np.float32(255)
        self.taken = enlarge(self.x, self.plan.scale)[0] if self.plan.enlarged else self.x
        self.shifted = (self.taken - np.float32(MIDDLE)) * np.float32(self.plan.gain)

    def run(self) -> Array:
        """By npbsrn's layers, which are not made for it."""
        return self.network.apply(self.params, self.x)[0]

    def variants(self) -> dict[str, list[Operation]]:
        """The network's operations: with the plain tail, and composed where that is something else."""
        found = {"": operations_of(self.plan)}
        return found | ({COMPOSED: operations_of(self.plan, composed=True)} if self.plan.shuffles else {})

    def multiplications(self) -> dict[str, int]:
        """Of a variant, for the picture."""
        return {name: multiplications(own, *self.shifted.shape[2:]) for name, own in self.variants().items()}

    def peers(self, threads: int) -> dict[str, Run]:
        """A function without arguments for each peer that is there, PyTorch by layout; each gives details."""
        found: dict[str, Run] = {}
        for end, operations in self.variants().items():
            for whole, run in runs(operations, self.shifted, threads).items():
                name, slash, layout = whole.partition("/")
                found[f"{name}{end}{slash}{layout}"] = run
        return found

    def check_alike(self, outputs: dict[str, Array]) -> None:
        """See that all have computed the same network, but for a ring at the border, where composed tails differ."""
        ring = RING * self.plan.scale
        inside = slice(None), slice(None), slice(ring, -ring), slice(ring, -ring)
        first = next(iter(outputs.values()), None)
        for name, output in outputs.items():
            place = inside if COMPOSED in name else ...
            most = np.abs(first).max() * (0.05 if "bf16" in name else 1e-4)
            assert np.abs(output[place] - first[place]).max() < most, f"{name} computes something else"

    def details(self, output: Array) -> Array:
        """What peers give, of what `run` gives."""
        large = enlarge(self.x, self.plan.scale)[0] if self.plan.base else np.float32(MIDDLE)
        return output - large


def operations_of(plan: Plan, composed: bool = False) -> list[Operation]:
    """A plan of a float network as operations; a factor of what is added is in the filters in front of it."""
    found: list[Operation] = [("conv", *plan.head), ("keep", "head")]
    for block in plan.blocks:
        found += _block(block)
    if plan.trunk is not None:
        found += [("conv", *plan.trunk), ("add", "head")]
    if composed:
        return [*found, *composed_tail(plan)]
    for convolution, factor in zip(plan.tail, plan.shuffles, strict=False):  # behind the last one there is none
        found += [("conv", *convolution), ("shuffle", factor)]
    return [*found, ("conv", *plan.tail[-1])]


def _block(block: Block) -> list[Operation]:
    found: list[Operation] = [("keep", "block")]
    for n, step in enumerate(block.steps, 1):
        last = n == len(block.steps) and block.residual is not None
        amount = np.float32(block.residual if last else step.amount)
        factor, offset = step.factor[0, 0] * amount, None if step.offset is None else step.offset * amount
        if step.skip:
            found.append(("keep", "step"))
        found.append(("conv", step.signs[0] * factor[:, None, None, None], offset))
        if step.slope is not None:
            found.append(("prelu", step.slope) if step.slope.any() else ("relu",))
        if step.skip:
            found.append(("add", "step"))
    return [*found, ("add", "block")] if block.residual is not None else found


def composed_tail(plan: Plan) -> list[Operation]:
    """The tail as one convolution and one shuffle."""
    weight, bias = plan.tail[-1]
    for inner, factor in zip(plan.tail[-2::-1], plan.shuffles[::-1], strict=True):
        weight, bias = compose(weight, bias, *inner, factor)[0]
    order = one_shuffle(len(plan.tail[-1][1]), plan.shuffles)
    return [("conv", np.ascontiguousarray(weight[order]), bias[order]), ("shuffle", prod(plan.shuffles))]


def one_shuffle(outputs: int, factors: Sequence[int]) -> Array:
    """In which order channels go into one shuffle, that were made for one after another."""
    shape = [outputs, *(extent for factor in factors[::-1] for extent in (factor, factor))]
    places = np.arange(prod(shape)).reshape(shape)  # outputs, row and column in the last shuffle, ..., in the first one
    # in one shuffle a row is made of the first shuffle's row, then of the next one's
    rows, columns = (range(first, len(shape), 2) for first in (1, 2))
    return places.transpose(0, *reversed(rows), *reversed(columns)).ravel()
