"""Layers: frozen descriptions without state, which take parameters and return gradients.

``y, back = layer.apply(params, x, train)``, then ``dx, grads = back(dy)``, where `grads` has the structure of `params`
without the running averages. Composition is the tape: a chain calls its layers' ``back`` in reverse order. Without
`train` no tape is kept, so the memory for large pictures does not accumulate, and ``back`` raises an error.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar, NoReturn, TypeVar, cast

import numpy as np

from npbsrn.binarizers.base import Binarizer
from npbsrn.runtime.shards import current
from npbsrn.storage.params import Params, leaves

Array = np.ndarray[Any, Any]
Rng = np.random.Generator
Back = Callable[..., tuple[Array, Params]]


AnyBack = TypeVar("AnyBack", bound=Callable[..., Any])


def taped(back: AnyBack, train: bool) -> AnyBack:
    """`back`; or, without `train`, when nothing was recorded, a function that raises an error."""
    return back if train else cast(AnyBack, untaped)


def untaped(*cotangents: Any) -> NoReturn:
    """Raise an error: the backward pass was not recorded."""
    raise RuntimeError("there are no gradients of a forward pass without `train`; call apply(..., train=True)")


@dataclass(frozen=True)
class Trace:
    """The path of a picture through layers, without its pixels: extents, cost and reach so far.

    Parameters
    ----------
    height, width : int
        Extents in pixels at this point.
    macs : int
        Multiply-accumulates so far.
    reach : Fraction
        The radius of the receptive field of an output pixel, in pixels of the network's input.
    step : Fraction
        The size of a pixel at this point, in pixels of the network's input.
    """

    height: int
    width: int
    macs: int = 0
    reach: Fraction = Fraction(0)
    step: Fraction = Fraction(1)

    def conv(self, inputs: int, outputs: int, size: int) -> "Trace":
        """Pass one convolution."""
        macs = inputs * outputs * size * size * self.height * self.width
        return replace(self, macs=self.macs + macs, reach=self.reach + size // 2 * self.step)


class Layer:
    """One element of a chain: a frozen dataclass that defines at least `apply`.

    Attributes
    ----------
    can_lead : bool
        Whether ``back`` takes a second argument, False where nobody asks for dx, which is then empty.
    """

    can_lead: ClassVar[bool] = False

    def init(self, rng: Rng, dtype: Any) -> Params:
        """Initial parameters; none by default."""
        return {}

    def apply(self, params: Params, x: Array, train: bool) -> tuple[Array, Back]:
        """Forward pass; ``back`` maps dy to (dx, grads); see `taped`."""
        raise NotImplementedError

    def trace(self, at: Trace) -> Trace:
        """Extents, cost and reach behind this layer; by default those before it."""
        return at

    def latent(self) -> Iterator[tuple[str, Binarizer]]:
        """Dotted names of the latent filters that are binarized, with their scheme; none by default."""
        return iter(())


def latent_below(layers: Iterable[tuple[str, Layer]]) -> Iterator[tuple[str, Binarizer]]:
    """`Layer.latent` of named layers, with their names as prefixes."""
    for name, layer in layers:
        for inner, scheme in layer.latent():
            yield f"{name}.{inner}", scheme


def uniform_filters(rng: Rng, outputs: int, inputs: int, size: int, dtype: Any, gain: float = 1.0) -> Array:
    """Filters (O, I, k, k), uniform within +-gain/sqrt(fan-in)."""
    bound = gain * (inputs * size * size) ** -0.5
    return rng.uniform(-bound, bound, (outputs, inputs, size, size)).astype(dtype)


@dataclass(frozen=True)
class Identity(Layer):
    """The identity, in the place of an activation function."""

    def apply(self, params: Params, x: Array, train: bool) -> tuple[Array, Back]:
        """The input itself."""
        return x, taped(lambda dy: (dy, {}), train)


@dataclass(frozen=True)
class Chain(Layer):
    """Named layers, one after another."""

    can_lead: ClassVar[bool] = True
    layers: tuple[tuple[str, Layer], ...]

    def init(self, rng: Rng, dtype: Any) -> Params:
        """Parameters of each layer under its name."""
        return {name: layer.init(rng, dtype) for name, layer in self.layers}

    def apply(self, params: Params, x: Array, train: bool) -> tuple[Array, Back]:
        """Through all layers in order."""
        backs: list[tuple[str, Back]] = []
        for name, layer in self.layers:
            x, back = layer.apply(params.get(name, {}), x, train)
            if train:
                backs.append((name, back))

        def back_through(dy: Array, inner: bool = True) -> tuple[Array, Params]:
            grads: Params = {}
            for name, back in reversed(backs[1:]):
                dy, grads[name] = back(dy)
                hand_over(grads[name])
            for (name, back), (_, layer) in zip(backs[:1], self.layers[:1], strict=True):
                dy, grads[name] = back(dy) if inner or not layer.can_lead else back(dy, False)
            return dy, grads

        return x, taped(back_through, train)

    def trace(self, at: Trace) -> Trace:
        """Through all layers in order."""
        for _, layer in self.layers:
            at = layer.trace(at)
        return at

    def latent(self) -> Iterator[tuple[str, Binarizer]]:
        """Those of all layers."""
        return latent_below(self.layers)


def hand_over(grads: Params) -> None:
    """Let the gradients of a layer be on their way while those of others are computed, where a batch is divided."""
    if (shard := current()) is not None:
        shard.hand_over(array for _, array in leaves(grads))


@dataclass(frozen=True)
class Residual(Layer):
    """``y = x + inner(x)``."""

    inner: Layer

    def init(self, rng: Rng, dtype: Any) -> Params:
        """Those of the inner layer."""
        return self.inner.init(rng, dtype)

    def apply(self, params: Params, x: Array, train: bool) -> tuple[Array, Back]:
        """Forward: add the input; backward: add the cotangent."""
        y, back_inner = self.inner.apply(params, x, train)

        def back(dy: Array) -> tuple[Array, Params]:
            dx, grads = back_inner(dy)
            return dx + dy, grads

        return x + y, taped(back, train)

    def trace(self, at: Trace) -> Trace:
        """That of the inner layer."""
        return self.inner.trace(at)

    def latent(self) -> Iterator[tuple[str, Binarizer]]:
        """Those of the inner layer."""
        return self.inner.latent()
