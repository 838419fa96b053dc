"""The interface of a scheme: how it turns activations and filters into sums of signs.

The input of a convolution is ``a ~ base + sum_j coef_j * bits_j`` (N bases), and its filters are ``w ~ sum_i scale_i *
signs_i`` (M bases). The training step, the reference and the packed engine are all built on these sums. A scheme is one
file that subclasses `Binarizer`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from npbsrn.ops.bits import Bits
from npbsrn.ops.pointwise import add
from npbsrn.storage.params import Params

Array = np.ndarray[Any, Any]

# What earlier convolutions of a block left behind, and its cotangent: None where nothing came back.
Remembered = tuple[Array, ...]
RememberedGrad = tuple[Array | None, ...]


class Activations(NamedTuple):
    """A convolution's input as a sum of signs: ``base + sum_j coefs[j] * bits[j]``.

    Parameters
    ----------
    bits : N of (N, C, H, W), +-1, as arrays or as `Bits`
        Or one array as it is, of a scheme with float activations.
    coefs : (N,)
    base : float
    """

    bits: tuple[Array | Bits, ...]
    coefs: Array
    base: float = 0.0


class Filters(NamedTuple):
    """A convolution's filters as a sum of signs: ``sum_i scales[i, o] * signs[i][o]``.

    Parameters
    ----------
    signs : M arrays (O, I, k, k), +-1
        Or one array as it is, of a scheme that does not binarize filters.
    scales : (M, O)
    """

    signs: tuple[Array, ...]
    scales: Array


class Thresholds(NamedTuple):
    """`Activations` when nothing more is learned: ``bits[j] = sign(shift[j] + sum_k weight[j, k] * T_k)``.

    Parameters
    ----------
    weight : (N, K, C)
    shift : (N, C)
        Never -0.0.
    coefs : (N,)
    base : float
    """

    weight: Array
    shift: Array
    coefs: Array
    base: float = 0.0


PullActivations = Callable[[Sequence[Array], Array], tuple[list[Array], Params]]
PullFilters = Callable[[Sequence[Array], Array], tuple[list[Array], Params]]


SCHEMES: dict[str, type["Binarizer"]] = {}


@dataclass(frozen=True)
class Binarizer:
    """A scheme: a frozen dataclass of options. Parameters and terms travel as explicit values.

    ``class Bnn(Binarizer, name="bnn")`` puts a scheme into the table of names.

    Attributes
    ----------
    binary : bool
        Whether filters are signs: each of their weights takes a bit of a packed file for each base. Tables count it as
        one parameter.
    float_activations : bool
        Whether activations stay as they are. Then there is nothing to `lower`.
    scaled : bool
        Whether filters or activations have scales. Without, networks put a BN behind each convolution by default.
    bound : float, or None
        Latent filters are kept within +-bound behind each step.
    """

    name: ClassVar[str]
    binary: ClassVar[bool] = True
    float_activations: ClassVar[bool] = False
    scaled: ClassVar[bool] = True
    bound: ClassVar[float | None] = None

    def __init_subclass__(cls, name: str, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        cls.name = name
        SCHEMES[name] = cls

    @property
    def pad(self) -> float:
        """What stands around the bits, +1 or -1; around float activations 0."""
        return 0.0 if self.float_activations else 1.0

    @property
    def remembers(self) -> tuple[bool, bool]:
        """Whether `activations`, and whether `filters`, look at those of a block's earlier convolutions."""
        return False, False

    @property
    def statistic(self) -> str:
        """E of a term ``E(A) A``: "abs", "mean" or "none"; see `npbsrn.ops.pointwise.weight_by_statistic`."""
        return "none"

    def init(self, channels: int, inputs: int, filters: int, dtype: Any) -> Params:
        """First parameters for one convolution.

        Parameters
        ----------
        channels : int
            Channels of the convolution's input.
        inputs, filters : int
            How many activations and filters (of this shape) the block has had up to here, its own included.
        dtype : numpy floating dtype
        """
        return {}

    def activations(self, params: Params, terms: Sequence[Array]) -> tuple[Activations, PullActivations]:
        """Binarize the input of a convolution in training, by the batch's statistics.

        Parameters
        ----------
        params : dict
            Running averages in it move.
        terms : sequence of (N, C, H, W)
            ``E(A) A`` of the convolution's input, last, and, where this is remembered, of the block's earlier ones.

        Returns
        -------
        activations : Activations
        pull : (dbits, dcoefs) -> (dterms, grads)
        """
        raise NotImplementedError

    def filters(self, params: Params, terms: Sequence[Array]) -> tuple[Filters, PullFilters]:
        """Binarize the filters of a convolution.

        Parameters
        ----------
        params : dict
        terms : sequence of (O, I, k, k)
            Latent filters: the convolution's own, last, and, where this is remembered, the block's earlier ones of its
            shape.

        Returns
        -------
        filters : Filters
        pull : (dsigns, dscales) -> (dterms, grads)
        """
        raise NotImplementedError

    def lower(self, params: Params, terms: int) -> Thresholds:
        """What `activations` is outside of training, by running averages: one weight a channel and term, and a shift.

        Parameters
        ----------
        params : dict
        terms : int
            K.
        """
        raise NotImplementedError


def add_at(grads: RememberedGrad, places: Iterable[int], terms: Iterable[Array]) -> list[Any]:
    """Cotangents of a memory with `terms` added at `places`; what is missing counts as zero."""
    total = list(grads)
    for place, term in zip(places, terms, strict=True):
        there = total[place]
        total[place] = term if there is None else add(there, term)
    return total
