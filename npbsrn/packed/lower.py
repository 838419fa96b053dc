"""Lower a trained network to a plan.

The network is walked through layer by layer; each binary convolution describes itself by
`npbsrn.layers.binary.BinaryConv.normal_form`.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from npbsrn.binarizers.base import Remembered
from npbsrn.errors import UsageError
from npbsrn.fused.block_chain import BlockChain
from npbsrn.layers.base import Chain, Identity, Layer, Residual
from npbsrn.layers.blocks import BinaryBlock, BlockGroup, long_range
from npbsrn.layers.conv import Conv, PReLU, ReLU
from npbsrn.layers.tail import Tail
from npbsrn.models import Model
from npbsrn.networks.base import Network
from npbsrn.packed.plan import Block, Convolution, Plan, Step
from npbsrn.storage.params import Params

Array = np.ndarray[Any, Any]

# The last convolution of a plan whose tail has none.
IDENTITY: Params = {"weight": np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1), "bias": np.zeros(3, np.float32)}


def lower(model: Model) -> Plan:
    """The plan of a model.

    Raises
    ------
    UsageError
        If the network has layers that a plan cannot hold, or values that bits cannot represent: zero padding of binary
        activations.
    """
    network, params = model.network, model.params
    layers = dict(network.chain.layers)
    try:
        head, body, tail = (layers.pop(name) for name in ("head", "body", "tail"))
    except KeyError:
        raise _refused("it has no head, body and tail") from None
    if layers or not isinstance(head, Conv) or not isinstance(tail, Tail):
        raise _refused("there is more than a head, a body and a tail")
    trunk, own = None, params["body"]
    if isinstance(body, Residual):
        inner = body.inner.layers if isinstance(body.inner, Chain) else ()
        if len(inner) != 2 or inner[1][0] != "trunk" or not isinstance(inner[1][1], Conv):
            raise _refused("a skip is around something else than blocks and a trunk")
        trunk, (name, body) = _convolution(own["trunk"]), inner[0]
        own = own[name]
    elif isinstance(body, Chain) and len(body.layers) == 1:
        ((name, body),) = body.layers
        own = own[name]
    if not isinstance(body, BlockChain):
        raise _refused("its body is no chain of blocks")
    blocks = [block for g, group in enumerate(body.groups, 1) for block in _lower_group(group, own[str(g)])]
    stages = [_convolution(params["tail"][f"conv{n}"]) for n in range(1, len(tail.factors) + 1)]
    convolutions = *stages, _output(network, IDENTITY if tail.last is None else params["tail"]["last"])
    return Plan(
        network.config, network.scale, network.enlarged, network.base, network.gain, _convolution(params["head"]),
        tuple(blocks), trunk, convolutions, tail.factors, network.flat, model.card,
    )  # fmt: skip


def _output(network: Network, params: Params) -> Convolution:
    """The last convolution, with the factor on its result."""
    (w, bias), factor = _convolution(params), np.float32(network.output)
    return w * factor, bias * factor


def _refused(reason: str) -> UsageError:
    return UsageError(f'the network cannot be packed: {reason}; run it with engine="reference"')


def _lower_group(group: BlockGroup, params: Params) -> Iterator[Block]:
    filters: Remembered = ()
    for n, block in enumerate(group.blocks, 1):
        lowered, remembered = _lower_block(block, params[str(n)], filters)
        filters, _ = long_range(remembered)
        yield lowered


def _lower_block(block: BinaryBlock, params: Params, filters: Remembered) -> tuple[Block, Remembered]:
    """The steps of a block; alpha is no longer needed once the filters' signs are known."""
    steps = []
    for n, conv in enumerate(block.convs, 1):
        shift, activation = block.behind(n, params)
        form, filters = conv.normal_form(params[f"conv{n}"], filters, shift)
        binary = form.thresholds is not None
        if binary and abs(form.pad) != 1:
            raise _refused("zeros around binary activations are a third value")
        whole = [w.astype(np.int8 if conv.scheme.binary else np.float32) for w in form.signs]
        steps.append(
            Step(
                tuple(whole),
                _float(form.factor),
                _float(form.offset),
                _float(form.thresholds.weight) if form.thresholds else None,
                _float(form.thresholds.shift) if form.thresholds else None,
                tuple(range(n)) if conv.scheme.remembers[0] else (n - 1,),
                form.pad,
                _float(_slope(activation, params.get(f"act{n}", {}), conv.channels)),
                block.skip in ("every", "unit"),
                block.residual if block.skip == "unit" else 1.0,
            )
        )
    statistic = block.convs[0].scheme.statistic
    return Block(tuple(steps), statistic, block.residual if block.skip == "block" else None), filters


def _slope(activation: Layer, params: Params, channels: int) -> Array | None:
    if isinstance(activation, Identity):
        return None
    if not isinstance(activation, PReLU | ReLU):
        raise _refused("there is an activation that is no PReLU")
    return params["slope"] if isinstance(activation, PReLU) else np.zeros(channels)


def _float(value: Array | None) -> Any:
    return None if value is None else np.array(value, np.float32, order="C")  # never the model's own


def _convolution(params: Params) -> Convolution:
    return params["weight"].astype(np.float32), params["bias"].astype(np.float32)
