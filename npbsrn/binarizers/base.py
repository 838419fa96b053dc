"""What every binarizer offers to a binary convolution."""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Protocol

import numpy as np

from npbsrn.storage.params import Params

Array = np.ndarray[Any, Any]

# What earlier convolutions of a block left behind, and its cotangent: None where nothing came back.
Remembered = tuple[Array, ...]
RememberedGrad = tuple[Array | None, ...]

PullActivations = Callable[[Array, RememberedGrad], tuple[Array, RememberedGrad, Params]]
PullFilters = Callable[[Array, Array, RememberedGrad], tuple[Array, RememberedGrad, Params]]


class Binarizer(Protocol):
    """A scheme: a frozen dataclass of options. Parameters and memory travel as explicit values."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def init(self, channels: int, inputs: int, filters: int, dtype: Any) -> Params:
        """First parameters for one convolution.

        Parameters
        ----------
        channels : int
            Channels of the convolution's input.
        inputs, filters : int
            How many activations and filters (of this shape) can accumulate here, its own included.
        dtype : numpy floating dtype
        """
        ...

    def activations(
        self, params: Params, x: Array, memory: Remembered, train: bool
    ) -> tuple[Array, Remembered, PullActivations]:
        """Binarize the input of a convolution.

        Parameters
        ----------
        params : dict
        x : (N, C, H, W)
        memory : tuple of arrays
            What this method put there for the earlier convolutions of the block.
        train : bool
            Whether batch statistics are taken and running averages moved.

        Returns
        -------
        bits : (N, C, H, W), +-1, or what a scheme that does not binarize has in their place
        memory : tuple of arrays
            With this convolution's entry at its end.
        pull : (dbits, dmemory) -> (dx, dmemory, grads)
        """
        ...

    def filters(self, params: Params, w: Array, memory: Remembered) -> tuple[Array, Array, Remembered, PullFilters]:
        """Binarize the filters of a convolution.

        Parameters
        ----------
        params : dict
        w : (O, I, kh, kw), latent filters
        memory : tuple of arrays
            The latent filters of the earlier convolutions, of any shape.

        Returns
        -------
        bits : (O, I, kh, kw), +-1, or as above
        scale : (O,)
            To be applied to the counts, after the convolution.
        memory : tuple of arrays
            With `w` at its end.
        pull : (dbits, dscale, dmemory) -> (dw, dmemory, grads)
        """
        ...


def add_at(grads: RememberedGrad, places: Iterable[int], terms: Iterable[Array]) -> list[Any]:
    """Cotangents of a memory with `terms` added at `places`; what is missing counts as zero."""
    total = list(grads)
    for place, term in zip(places, terms, strict=True):
        there = total[place]
        total[place] = term if there is None else there + term
    return total
