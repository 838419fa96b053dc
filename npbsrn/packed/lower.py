"""From a trained network to what is left of it when nothing more is to be learned.

A network is walked through layer by layer; what each binary convolution is worth, it says itself, by
`npbsrn.layers.binary.BinaryConv.normal_form`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from npbsrn.binarizers.bam import Bam
from npbsrn.binarizers.base import Remembered
from npbsrn.errors import UsageError
from npbsrn.fused.block_chain import BlockChain, block_weights
from npbsrn.layers.base import Chain, Identity, Residual
from npbsrn.layers.blocks import BinaryBlock, BlockGroup, long_range
from npbsrn.layers.conv import Conv, PReLU
from npbsrn.layers.tail import Tail
from npbsrn.networks.base import FACTORS
from npbsrn.packed.plan import Block, Plan, Step
from npbsrn.storage.models import Model
from npbsrn.storage.params import Params

Array = np.ndarray[Any, Any]
Convolution = tuple[Array, Array]  # filters (O, I, k, k) and bias (O,)


class Coefficients(NamedTuple):
    """What is left of B blocks beside the signs of their filters.

    Parameters
    ----------
    weight : (B, 3, 3, C) float32
        ``weight[n, k]``: of E(A_k) A_k in what convolution n binarizes.
    shift : (B, 3, C) float32
        Added to that. Never -0.0.
    scale : (B, 3, C) float32
        Factor of each convolution's sums of signs.
    slope : (B, 2, C) float32, or None
        PReLU's behind the first two convolutions.
    residual : float32
        Factor of what a block adds to its input.
    statistic : int, or None
        E of eq. 9: `ABS` or `MEAN`; None if activations are not weighted by a statistic.
    """

    weight: Array
    shift: Array
    scale: Array
    slope: Any
    residual: np.float32
    statistic: Any


ABS, MEAN = 0, 1
STATISTICS = {"abs": ABS, "mean": MEAN, "none": None}


@dataclass(frozen=True)
class Folded:
    """A network without anything that only training needs.

    Parameters
    ----------
    config : dict
        The network's.
    head, trunk : (filters, bias)
    tail : list of (filters, bias)
        The convolutions before each shuffle, and the last.
    signs : list of 3 arrays (B, C, C, k, k) int8
        The filters of each block's convolutions, +-1.
    coefficients : Coefficients
    card : dict
        The model's.
    """

    config: dict[str, Any]
    head: Convolution
    trunk: Convolution
    tail: list[Convolution]
    signs: list[Array]
    coefficients: Coefficients
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def scale(self) -> int:
        """Factor of enlargement."""
        return int(self.config["scale"])


def fold(model: Model) -> Folded:
    """Fold a model.

    Raises
    ------
    UsageError
        If the network has something that bits cannot stand for: another binarizer than BAM, zeros as a third value
        around the activations, or a shortcut around every convolution.
    """
    chain, params = _body(model), model.params
    parts = []
    for g, group in enumerate(chain.groups, 1):
        filters: Remembered = ()
        for n, block in enumerate(group.blocks, 1):
            own, filters = _fold_block(block, params["body"]["hpb"][str(g)][str(n)], filters)
            parts.append(own)
    signs, weight, shift, scale, slope = zip(*parts, strict=True)
    first = chain.groups[0].blocks[0]
    scheme = first.convs[0].scheme
    assert isinstance(scheme, Bam)
    names = [f"conv{n}" for n in range(1, len(FACTORS[model.scale]) + 1)] + ["last"]
    return Folded(
        model.network.config,
        _convolution(params["head"]),
        _convolution(params["body"]["trunk"]),
        [_convolution(params["tail"][name]) for name in names],
        [np.stack(own).astype(np.int8) for own in zip(*signs, strict=True)],
        Coefficients(
            np.stack(weight).astype(np.float32),
            np.stack(shift).astype(np.float32),
            np.stack(scale).astype(np.float32),
            np.stack(slope).astype(np.float32) if isinstance(first.activation, PReLU) else None,
            np.float32(first.residual),
            STATISTICS[scheme.statistic],
        ),
        model.card,
    )


def lower(model: Model) -> Plan:
    """The plan of a model.

    Raises
    ------
    UsageError
        If the network has layers that no plan has, or something that bits cannot stand for: zeros as a third value
        around binary activations.
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
    if not isinstance(body, BlockChain):
        raise _refused("its body is no chain of blocks")
    blocks = [block for g, group in enumerate(body.groups, 1) for block in _lower_group(group, own[str(g)])]
    stages = [f"conv{n}" for n in range(1, len(tail.factors) + 1)] + ["last"]
    return Plan(
        network.config, network.scale, network.enlarged, network.base, network.gain, _convolution(params["head"]),
        tuple(blocks), trunk, tuple(_convolution(params["tail"][name]) for name in stages), tail.factors, model.card,
    )  # fmt: skip


def _refused(reason: str) -> UsageError:
    return UsageError(f'the network cannot be packed: {reason}; run it with engine="reference"')


def _lower_group(group: BlockGroup, params: Params) -> Iterator[Block]:
    filters: Remembered = ()
    for n, block in enumerate(group.blocks, 1):
        lowered, remembered = _lower_block(block, params[str(n)], filters)
        filters, _ = long_range(remembered)
        yield lowered


def _lower_block(block: BinaryBlock, params: Params, filters: Remembered) -> tuple[Block, Remembered]:
    """Its steps; alpha has done its work when the filters' signs are known."""
    steps = []
    for n, conv in enumerate(block.convs, 1):
        form, filters = conv.normal_form(params[f"conv{n}"], filters)
        binary = form.thresholds is not None
        if binary and abs(form.pad) != 1:
            raise _refused("zeros around binary activations are a third value")
        slope = None
        if n <= block.activated and not isinstance(block.activation, Identity):
            slope = params[f"act{n}"]["slope"] if isinstance(block.activation, PReLU) else np.zeros(conv.channels)
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
                _float(slope),
                block.skip == "every",
            )
        )
    statistic = block.convs[0].scheme.statistic
    return Block(tuple(steps), statistic, block.residual if block.skip == "block" else None), filters


def _float(value: Array | None) -> Any:
    return None if value is None else np.ascontiguousarray(value, np.float32)


BlockParts = tuple[Sequence[Array], Array, Array, Array, Array]  # signs, weight, shift, scale, slope


def _fold_block(block: BinaryBlock, params: Params, filters: Remembered) -> tuple[BlockParts, Remembered]:
    """An LB-block's signs and coefficients.

    Convolution n binarizes ``BN(sum_k beta[n, k] E(A_k) A_k)``, of which `Bam.lower` makes a weight for each term and
    a shift; where a term is not accumulated its weight is 0. alpha has done its work when the filters' signs are known.
    A_0 is the block's input; a later A_k is an activation of ``scale * S``, where S is a sum of signs, a whole number.
    """
    own, remembered, _ = block_weights(block, params, filters)
    weight, shift = np.zeros((3, 3, own.scale.shape[1]), np.float32), np.empty_like(own.shift)
    for n, conv in enumerate(block.convs):
        scheme = conv.scheme
        assert isinstance(scheme, Bam)
        used = range(n + 1) if scheme.accumulate_activations else range(n, n + 1)
        thresholds = scheme.lower(params[f"conv{n + 1}"]["binarizer"], len(used))
        weight[n, used], shift[n] = thresholds.weight[0], thresholds.shift[0]
    kept, _ = long_range(remembered)
    return (own.filters, weight, shift, own.scale, own.slope), kept


def _body(model: Model) -> BlockChain:
    """The blocks of a network that can be packed."""
    config = model.network.config
    for name, wanted in (("name", "bsrn"), ("skip", "block"), ("norm", False)):
        if config[name] != wanted:
            raise UsageError(f'a network with {name} "{config[name]}" cannot be packed; run it with engine="reference"')
    if config["binarizer"]["name"] != "bam" or config["binarizer"]["padding"] != "one":
        raise UsageError(
            f'the binarizer {config["binarizer"]["name"]} does not give bits; run it with engine="reference"'
        )
    body: Any = dict(model.network.chain.layers)["body"]
    chain = dict(body.inner.layers)["hpb"]
    assert isinstance(chain, BlockChain)
    return chain


def _convolution(params: Params) -> Convolution:
    return params["weight"].astype(np.float32), params["bias"].astype(np.float32)
