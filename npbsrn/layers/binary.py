"""Binary convolutions, and the memory that those of a block share.

A block's memory, the terms and filters of its earlier convolutions, is an explicit value that each convolution passes
to the next; its cotangent travels back.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from npbsrn.binarizers.base import Binarizer, Filters, Remembered, RememberedGrad, Thresholds, add_at
from npbsrn.binarizers.normalized import PullNorm, folded_norm, init_norm, normalize
from npbsrn.layers.base import Rng, Trace, uniform_filters, untaped
from npbsrn.ops.binary_conv import binary_conv, filter_offset
from npbsrn.ops.conv import conv2d
from npbsrn.ops.normal_form import binarize_terms, sum_products
from npbsrn.ops.pending import MayWait
from npbsrn.ops.statistic import weight_by_statistic
from npbsrn.storage.params import Params

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Memory:
    """What the earlier convolutions of a block pass on to the later ones.

    Parameters
    ----------
    terms : tuple of (N, C, H, W)
        ``E(A_k) A_k``, if the scheme remembers them.
    filters : tuple of (O, I, k, k)
        Latent filters of any shape, likewise.
    """

    terms: Remembered = ()
    filters: Remembered = ()


@dataclass(frozen=True)
class MemoryGrad:
    """Cotangent of a `Memory`.

    Parameters
    ----------
    terms : tuple of tuples of (N, C, H, W)
        Of each term all that came back to it, not summed yet: a sum by itself would be one more pass through memory.
    filters : tuple of arrays
        None where there is no gradient.
    """

    terms: tuple[tuple[Array, ...], ...]
    filters: RememberedGrad


class NormalForm(NamedTuple):
    """A convolution for inference, with all parameters fixed.

    Parameters
    ----------
    signs : M arrays (O, I, k, k)
    thresholds : Thresholds, or None
        None: float activations.
    factor : (M, N, O)
    offset : (O,), or None
    pad : float
    """

    signs: tuple[Array, ...]
    thresholds: Thresholds | None
    factor: Array
    offset: Array | None
    pad: float


PullConvFilters = Callable[[Sequence[Array], Array, RememberedGrad], tuple[Array, RememberedGrad, Params]]
BinaryBack = Callable[[Array, MemoryGrad], tuple[Array, MemoryGrad, Params]]


@dataclass(frozen=True)
class BinaryConv:
    """Convolution of a scheme's activations with its filters, without a bias.

    The products of signs are summed to whole numbers, and only then multiplied by scales: with scaled filters, a sum of
    0 would become a rounding error of either sign, and PReLU's gradient there would be noise.

    Parameters
    ----------
    channels, size : int
        Channels of input and output; extent of the filters.
    scheme : Binarizer
    inputs, filters : int
        Number of activations and filters (of this shape) in the block so far, including its own.
    norm : bool
        Whether batch normalisation follows.
    gain : float
        Of the first filters, see `npbsrn.layers.base.uniform_filters`.
    """

    channels: int
    size: int
    scheme: Binarizer
    inputs: int = 1
    filters: int = 1
    norm: bool = False
    gain: float = 1.0

    def init(self, rng: Rng, dtype: Any) -> Params:
        """Latent filters, the scheme's parameters, and BN's."""
        weight = uniform_filters(rng, self.channels, self.channels, self.size, dtype, self.gain)
        own = self.scheme.begin(self.scheme.init(self.channels, self.inputs, self.filters, dtype), weight)
        params: Params = {"weight": weight, "binarizer": own}
        return params | ({"norm": init_norm(self.channels, dtype)} if self.norm else {})

    def apply(
        self, params: Params, x: Array, memory: Memory, train: bool, slope: Array | None = None, alone: bool = False
    ) -> tuple[Array, Memory, BinaryBack]:
        """(N, C, H, W) to the same; ``back`` maps (dy, dmemory) to (dx, dmemory, grads).

        Outside of training it is `infer`, and nothing is recorded for ``back``. In training a PReLU
        behind the convolution, of this slope (C,), can be part of it: then ``grads`` has a "slope", too. If x goes
        nowhere else, but comes `alone` from another binary convolution, dx may be one of `npbsrn.ops.pending`'s.
        """
        if not train:
            return *self.infer(params, x, memory), untaped
        own = params.get("binarizer", {})  # a scheme without parameters leaves no name in a weight file
        remembers = self.scheme.remembers[0]
        terms, after, pull_term = self._terms(x, memory, alone and not self.norm)
        activations, pull_x = self.scheme.activations(own, terms)
        filters, kept, pull_w = self.binarized_filters(params, memory.filters)
        own_slope = None if self.norm else slope
        plain = self.scheme.statistic == "none"
        may_wait = not plain and len(terms) > 1 if remembers else plain and alone and not self.norm
        y, pull_conv = binary_conv(*activations[:2], *filters, activations.base, self.scheme.pad, own_slope)
        back_norm: PullNorm = lambda dy: (dy, {}, None)  # noqa: E731
        if self.norm:
            y, back_norm = normalize(params["norm"], y, slope, self.size == 3)

        def back(dy: Array, dmemory: MemoryGrad) -> tuple[Array, MemoryGrad, Params]:
            dy, grads_norm, dslope = back_norm(dy)
            dbits, dcoefs, dsigns, dscales, dslope_conv = pull_conv(dy)
            dterms, grads_x = pull_x(MayWait(dbits) if may_wait else dbits, dcoefs)
            dearlier, dterm = dmemory.terms, tuple(dterms[-1:])
            if remembers:
                *before, dterm = ((*there, d) for there, d in zip(dmemory.terms, dterms, strict=True))
                dearlier = tuple(before)
            dw, dfilters, grads_w = pull_w(dsigns, dscales, dmemory.filters)
            grads: Params = {"weight": dw, "binarizer": grads_x | grads_w}
            grads |= {"norm": grads_norm} if self.norm else {}
            grads |= {} if slope is None else {"slope": dslope if self.norm else dslope_conv}
            return pull_term(*dterm), MemoryGrad(dearlier, dfilters), grads

        return y, Memory(after, kept), back

    def _terms(
        self, x: Array, memory: Memory, may_wait: bool = False
    ) -> tuple[Remembered, Remembered, Callable[..., Array]]:
        """What the scheme binarizes, what later convolutions remember of it, and the newest term's pullback."""
        remembers = self.scheme.remembers[0]
        term, pull_term = weight_by_statistic(x, self.scheme.statistic, may_wait)
        terms = (*memory.terms, term) if remembers else (term,)
        return terms, terms if remembers else memory.terms, pull_term

    def infer(self, params: Params, x: Array, memory: Memory, shift: Array | None = None) -> tuple[Array, Memory]:
        """(N, C, H, W) to the same outside of training, by the normal form.

        Parameters
        ----------
        params : dict
        x : (N, C, H, W)
        memory : Memory
        shift : (C,), optional
            What the activation behind adds first.
        """
        terms, after, _ = self._terms(x, memory)
        form, kept = self.normal_form(params, memory.filters, shift)
        bits = [x] if form.thresholds is None else binarize_terms(terms, *form.thresholds[:2])
        products = [[conv2d(b, w, pad_value=form.pad)[0] for b in bits] for w in form.signs]
        return sum_products(products, form.factor, form.offset), Memory(after, kept)

    def binarized_filters(self, params: Params, earlier: Remembered) -> tuple[Filters, Remembered, PullConvFilters]:
        """The scheme's filters.

        Parameters
        ----------
        params : dict
        earlier : tuple of (O, I, kh, kw)
            Latent filters of the block's earlier convolutions, of any shape; those of this shape accumulate.

        Returns
        -------
        filters : Filters
        kept : tuple of arrays
            The earlier ones and, if the scheme remembers them, this convolution's.
        pull : (dsigns, dscales, dkept) -> (dw, dearlier, grads)
        """
        w, remembers = params["weight"], self.scheme.remembers[1]
        used = [k for k, other in enumerate(earlier) if other.shape == w.shape] if remembers else []
        terms = [*(earlier[k] for k in used), w]
        filters, pull_terms = self.scheme.filters(params.get("binarizer", {}), terms)

        def pull(
            dsigns: Sequence[Array], dscales: Array, dkept: RememberedGrad
        ) -> tuple[Array, RememberedGrad, Params]:
            dterms, grads = pull_terms(dsigns, dscales)
            if not remembers:
                return dterms[-1], dkept, grads
            *dearlier, dw = add_at(dkept, [*used, len(earlier)], dterms)
            return dw, tuple(dearlier), grads

        return filters, (*earlier, w) if remembers else earlier, pull

    def normal_form(
        self, params: Params, earlier: Remembered, shift: Array | None = None
    ) -> tuple[NormalForm, Remembered]:
        """The convolution for inference, and the filters that it passes to the next; see `binarized_filters`.

        Activations with a base other than 0 give the offset ``o = base * sum_i scale_i * sum(signs_i)``. A BN behind
        it, ``g y + b``, is folded into factor and offset, and so is a `shift` behind both: ``(g f, g o + b + shift)``,
        in float64 and rounded once. So a shift alone is added to the rounded product, as in training.
        """
        filters, kept, _ = self.binarized_filters(params, earlier)
        dtype = params["weight"].dtype
        thresholds, coefs, offset = None, np.ones(1, dtype), None
        if not self.scheme.float_activations:
            terms = self.inputs if self.scheme.remembers[0] else 1
            thresholds = self.scheme.lower(params["binarizer"], terms)
            coefs = thresholds.coefs
            offset = filter_offset(*filters, thresholds.base) if thresholds.base else None
        factor = filters.scales[:, None] * coefs[:, None]
        start = None if offset is None else offset.astype(np.float64)
        if self.norm:
            gain, bias = folded_norm(params["norm"])
            factor, start = (factor * gain).astype(dtype), gain * (0.0 if start is None else start) + bias
        if shift is not None:
            start = shift.astype(np.float64) if start is None else start + shift
        offset = None if start is None else start.astype(dtype)
        return NormalForm(filters.signs, thresholds, factor, offset, self.scheme.pad), kept

    def trace(self, at: Trace) -> Trace:
        """One convolution."""
        return at.conv(self.channels, self.channels, self.size)

    def latent(self) -> Iterator[tuple[str, Binarizer]]:
        """The filters, if they become signs."""
        if self.scheme.binary:
            yield "weight", self.scheme
