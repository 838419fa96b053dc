"""From a trained network to what is left of it when nothing more is to be learned."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from npbsrn.binarizers.bam import Bam
from npbsrn.binarizers.base import Remembered
from npbsrn.errors import UsageError
from npbsrn.fused.block_chain import BlockChain, block_weights
from npbsrn.layers.binary import BinaryBlock, long_range
from npbsrn.layers.conv import PReLU
from npbsrn.networks.base import FACTORS
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


BlockParts = tuple[Sequence[Array], Array, Array, Array, Array]  # signs, weight, shift, scale, slope


def _fold_block(block: BinaryBlock, params: Params, filters: Remembered) -> tuple[BlockParts, Remembered]:
    """An LB-block's signs and coefficients.

    Convolution n binarizes ``BN(sum_k beta[n, k] E(A_k) A_k)``, of which `Bam.folded` makes a weight for each term and
    a shift; where a term is not accumulated its weight is 0. alpha has done its work when the filters' signs are known.
    A_0 is the block's input; a later A_k is an activation of ``scale * S``, where S is a sum of signs, a whole number.
    """
    own, remembered, _ = block_weights(block, params, filters)
    weight, shift = np.zeros((3, 3, own.scale.shape[1]), np.float32), np.empty_like(own.shift)
    for n, conv in enumerate(block.convs):
        scheme = conv.scheme
        assert isinstance(scheme, Bam)
        used = range(n + 1) if scheme.accumulate_activations else range(n, n + 1)
        weight[n, used], shift[n] = scheme.folded(params[f"conv{n + 1}"]["binarizer"], len(used))
    kept, _ = long_range(remembered)
    return (own.filters, weight, shift, own.scale, own.slope), kept


def _body(model: Model) -> BlockChain:
    """The blocks of a network that can be packed."""
    config = model.network.config
    for name, wanted in (("name", "bsrn"), ("skip", "block"), ("padding", "one")):
        if config[name] != wanted:
            raise UsageError(f'a network with {name} "{config[name]}" cannot be packed; run it with engine="reference"')
    if config["binarizer"]["name"] != "bam":
        raise UsageError(
            f'the binarizer {config["binarizer"]["name"]} does not give bits; run it with engine="reference"'
        )
    body: Any = dict(model.network.chain.layers)["body"]
    chain = dict(body.inner.layers)["hpb"]
    assert isinstance(chain, BlockChain)
    return chain


def _convolution(params: Params) -> Convolution:
    return params["weight"].astype(np.float32), params["bias"].astype(np.float32)
