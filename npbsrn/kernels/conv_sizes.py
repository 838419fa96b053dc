"""Extents of a binary convolution, as its backward kernels take them."""

from typing import NamedTuple


class Sizes(NamedTuple):
    """Extents of one binary convolution in training."""

    bases: int  # of the activations
    samples: int
    inputs: int
    outputs: int
    height: int
    width: int
