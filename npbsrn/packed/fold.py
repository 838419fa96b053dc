"""From a trained network to what is left of it when nothing more is to be learned."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from npbsrn.binarizers.bam import Bam
from npbsrn.binarizers.scheme import Remembered
from npbsrn.block_chain import BlockChain, block_weights
from npbsrn.blocks import BinaryBlock, long_range
from npbsrn.errors import UsageError
from npbsrn.layers import PReLU
from npbsrn.models import Model
from npbsrn.networks import FACTORS
from npbsrn.ops.norm import EPS
from npbsrn.params import Params

Array = np.ndarray[Any, Any]
Convolution = tuple[Array, Array]  # filters (O, I, k, k) and bias (O,)


class Coefficients(NamedTuple):
    """What is left of B blocks beside the signs of their filters.

    Parameters
    ----------
    weight : (B, 3, 3, C) float32
        ``weight[n, k]``: of A_k in what convolution n binarizes.
    shift : (B, 3, C) float32
        Added to that. Never -0.0.
    factors : (B, 2, 2, C) float32, or None
        ``factors[k]``: of sums of signs above 0, and below, that A_{k+1} is made of. None if they are part of `weight`.
    last : (B, C) float32
        Factor of the sums of signs that the third convolution adds to the block's input.
    statistic : int, or None
        E of eq. 9: `ABS` or `MEAN`; None if activations are not weighted by a statistic.
    """

    weight: Array
    shift: Array
    factors: Any
    last: Array
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
    signs: list[list[Array]] = [[], [], []]
    parts = []
    for g, group in enumerate(chain.groups, 1):
        filters: Remembered = ()
        for n, block in enumerate(group.blocks, 1):
            own, coefficients, filters = _fold_block(block, params["body"]["hpb"][str(g)][str(n)], filters)
            parts.append(coefficients)
            for to, w in zip(signs, own, strict=True):
                to.append(w.astype(np.int8))
    stacked = [None if values[0] is None else np.stack(values) for values in zip(*(p[:4] for p in parts), strict=True)]
    weight, shift, factors, last = stacked
    assert weight is not None
    assert shift is not None
    assert last is not None
    names = [f"conv{n}" for n in range(1, len(FACTORS[model.scale]) + 1)] + ["last"]
    return Folded(
        model.network.config,
        _convolution(params["head"]),
        _convolution(params["body"]["trunk"]),
        [_convolution(params["tail"][name]) for name in names],
        [np.stack(own) for own in signs],
        Coefficients(weight, shift, factors, last, parts[0].statistic),
        model.card,
    )


def _fold_block(
    block: BinaryBlock, params: Params, filters: Remembered
) -> tuple[list[Array], Coefficients, Remembered]:
    """An LB-block's signs and coefficients.

    Convolution n = 1, 2, 3 binarizes ``BN(sum_k beta[n, k] E(A_k) A_k)``. With BN's running mean m and variance v and
    ``g = gain / sqrt(v + eps)`` that is

        sum_k (g beta[n, k]) E(A_k) A_k  +  (shift - g m)

    for each channel, and its sign is all that is wanted. A_1 is the block's input. A later A_k is an activation of
    ``scale * S``, where S is a sum of signs, a whole number, and scale, a mean of magnitudes, is not negative. So PReLU
    is a factor of S that depends on its sign: ``scale`` above 0, ``scale * slope`` below. Where there is neither PReLU
    nor E, the factor goes into the weight of A_k. alpha has done its work when the filters' signs are known.
    """
    own, remembered, _ = block_weights(block, params, filters)
    running = [params[f"conv{n}"]["binarizer"] for n in (1, 2, 3)]
    mean, variance = (np.stack([r[f"running_{name}"] for r in running]) for name in ("mean", "variance"))
    gain = own.gain / np.sqrt(variance.astype(np.float64) + EPS)
    shift = own.shift - gain * mean + 0.0  # no -0.0
    weight = gain[:, None] * own.beta[:, :, None]
    scheme = block.convs[0].scheme
    assert isinstance(scheme, Bam)
    statistic = STATISTICS[scheme.statistic]
    factors = None
    if statistic is None and not isinstance(block.activation, PReLU):
        weight[:, 1:] *= own.scale[:2]
    else:
        factors = np.stack([own.scale[:2], own.scale[:2] * own.slope], axis=1)
    last = own.scale[2] * np.float64(block.residual)
    weight, shift = weight.astype(np.float32), shift.astype(np.float32)
    real = None if factors is None else factors.astype(np.float32)
    coefficients = Coefficients(weight, shift, real, last.astype(np.float32), statistic)
    kept, _ = long_range(remembered)
    return list(own.filters), coefficients, kept


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
    return params["weight"], params["bias"]
