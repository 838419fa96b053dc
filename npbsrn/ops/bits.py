"""Signs of activations as bits."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from npbsrn.runtime.buffers import empty
from npbsrn.runtime.threads import SHARDS, map_parallel, parts_of

Array = np.ndarray[Any, Any]

WORD = 16  # channels


@dataclass(frozen=True)
class Bits:
    """A batch of signs, one bit each, with the border that a binary convolution reads.

    Parameters
    ----------
    memory : flat uint16
        Words (N, C / 16, H + 2, W + 2), then padding that vectors may read. Bit j of plane g stands for channel
        16 g + j, set where it is -1.
    shape : (N, C, H, W)
    pad : {1.0, -1.0}
    """

    memory: Array
    shape: tuple[int, int, int, int]
    pad: float

    @property
    def words(self) -> Array:
        """(N, C / 16, H + 2, W + 2) uint16."""
        n, channels, height, width = self.shape
        shape = (n, channels // WORD, height + 2, width + 2)
        return self.memory[: int(np.prod(shape))].reshape(shape)

    @property
    def dtype(self) -> Any:
        """Of the signs, were they numbers."""
        return np.dtype(np.float32)

    def unpack(self) -> Array:
        """(N, C, H, W) float32, +-1."""
        from npbsrn.kernels.pack import unpack_signs

        x = np.empty(self.shape, np.float32)
        unpack_signs(self.words, x)
        return x

    def padded(self, pad: float) -> "Bits":
        """The same with another border."""
        if pad == self.pad:
            return self
        from npbsrn.kernels.pack import set_border

        memory, (n, channels, height, width) = self.memory.copy(), self.shape
        planes = channels // WORD
        for s in range(n):
            set_border(memory, s * planes * (height + 2) * (width + 2), planes, height, width, border_of(pad))
        return Bits(memory, self.shape, pad)


def border_of(pad: float) -> int:
    """The word that stands around a picture."""
    return 0 if pad > 0 else 0xFFFF


def memory_for_bits(shape: tuple[int, ...]) -> Array:
    """Memory of `Bits` of this shape."""
    from npbsrn.kernels.pack import SLACK

    n, channels, height, width = shape
    memory = empty((n * (channels // WORD) * (height + 2) * (width + 2) + SLACK,), np.uint16)
    memory[-SLACK:] = 0
    return memory


def pack(x: Array, pad: float, shift: Array | None = None) -> Bits:
    """Signs of ``x + shift``, of which 0 counts as +1.

    Parameters
    ----------
    x : (N, C, H, W) float32
        C a multiple of 16.
    pad : {1.0, -1.0}
    shift : (C,) float32, optional
    """
    from npbsrn.kernels.pack import pack_signs

    (n, channels, height, width), flat = x.shape, np.ascontiguousarray(x).ravel()
    shift = np.zeros(channels, np.float32) if shift is None else shift
    memory = memory_for_bits(x.shape)
    numbers = channels // WORD, height, width, border_of(pad)
    map_parallel(lambda shard: pack_signs(flat, shift, *numbers, memory, *shard), parts_of(n, SHARDS))
    return Bits(memory, (n, channels, height, width), pad)
