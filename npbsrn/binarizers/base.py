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
        Or one unchanged array, from a scheme with float activations.
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
        Or one unchanged array, from a scheme that does not binarize filters.
    scales : (M, O)
    """

    signs: tuple[Array, ...]
    scales: Array


class Thresholds(NamedTuple):
    """`Activations` for inference: ``bits[j] = sign(shift[j] + sum_k weight[j, k] * T_k)``.

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
    """A scheme: a frozen dataclass of options. Parameters and terms are passed as explicit values.

    ``class Bnn(Binarizer, name="bnn")`` adds a scheme to the table of names.

    Attributes
    ----------
    binary : bool
        Whether filters are signs: each weight takes one bit per base in a packed file. Tables count it as one
        parameter.
    float_activations : bool
        Whether activations stay float. Such a scheme has nothing to `lower`.
    scaled : bool
        Whether filters or activations have scales. If not, networks add a BN behind each convolution by default.
    bound : float, or None
        Latent filters are clipped to +-bound after each step.
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
        """The padding: +1 or -1 for bits, 0 for float activations."""
        return 0.0 if self.float_activations else 1.0

    @property
    def remembers(self) -> tuple[bool, bool]:
        """Whether `activations`, and whether `filters`, also use those of the block's earlier convolutions."""
        return False, False

    @property
    def statistic(self) -> str:
        """E of a term ``E(A) A``: "abs", "mean" or "none"; see `npbsrn.ops.statistic.weight_by_statistic`."""
        return "none"

    def init(self, channels: int, inputs: int, filters: int, dtype: Any) -> Params:
        """Initial parameters for one convolution.

        Parameters
        ----------
        channels : int
            Channels of the convolution's input.
        inputs, filters : int
            Number of activations and filters (of this shape) in the block so far, including its own.
        dtype : numpy floating dtype
        """
        return {}

    def begin(self, params: Params, weight: Array) -> Params:
        """First parameters that follow from a convolution's first filters (O, I, k, k); by default `params`."""
        return params

    def activations(self, params: Params, terms: Sequence[Array]) -> tuple[Activations, PullActivations]:
        """Binarize the input of a convolution in training, by the batch's statistics.

        Parameters
        ----------
        params : dict
            Its running averages are updated.
        terms : sequence of (N, C, H, W)
            ``E(A) A`` of the block's earlier inputs, if the scheme remembers them, and last that of the convolution's
            own.

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
            Latent filters: the block's earlier ones of the same shape, if the scheme remembers them, and last the
            convolution's own.

        Returns
        -------
        filters : Filters
        pull : (dsigns, dscales) -> (dterms, grads)
        """
        raise NotImplementedError

    def lower(self, params: Params, terms: int) -> Thresholds:
        """`activations` for inference, with running averages: one weight per channel and term, and a shift.

        Parameters
        ----------
        params : dict
        terms : int
            K.
        """
        raise NotImplementedError


def as_they_are(terms: Sequence[Array]) -> tuple[Activations, PullActivations]:
    """The newest of some terms, float: what schemes with float activations take in."""
    x = terms[-1]

    def pull(dx: Sequence[Array], dcoefs: Array) -> tuple[list[Array], Params]:
        return list(dx), {}

    return Activations((x,), np.ones(1, x.dtype)), pull


def add_at(grads: RememberedGrad, places: Iterable[int], terms: Iterable[Array]) -> list[Any]:
    """Cotangents of a memory with `terms` added at `places`; missing ones count as zero."""
    total = list(grads)
    for place, term in zip(places, terms, strict=True):
        there = total[place]
        total[place] = term if there is None else add(there, term)
    return total
