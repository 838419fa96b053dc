"""The binary 3x3 convolution by the engine's kernels, and the most that their instructions can give; by one thread."""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from benchmarks.ceilings import TURNS, aligned_zeros, seconds_together
from npbsrn.kernels.bits import GROUP, TILE, pack_filters, pack_picture, planes_of
from npbsrn.kernels.counts import CHOSEN, make_count, ones, vectors_of
from npbsrn.kernels.cpu import NEEDED, features
from npbsrn.kernels.look_up import BYTES
from npbsrn.kernels.memory import at, data
from npbsrn.kernels.simd import I64

Array = np.ndarray[Any, Any]

POPCOUNT, LOOK_UP = "popcount", "look_up"
OWN = LOOK_UP if CHOSEN == "avx2" else POPCOUNT  # what the engine does here
KERNELS = {POPCOUNT: "portable" if OWN == LOOK_UP else CHOSEN, LOOK_UP: "avx2"}
BY_WORD = vectors_of(KERNELS[POPCOUNT]).by_word
NAMES = {POPCOUNT: "popcount, 512 bits" if BY_WORD else "popcount by bytes, 256 bits", LOOK_UP: "look-up, 256 bits"}


# --- the most that the instructions give, in the vectors that the engine's kernels have ---

COUNTED = BYTES if OWN == LOOK_UP else vectors_of(CHOSEN).counted
ELEMENT = np.uint16 if OWN == POPCOUNT and BY_WORD else np.uint8
INPUTS, SUMS = (12, 12) if BY_WORD else (24, 4)  # vectors: of those that were tried, what gives most
ROWS = 64  # vectors, a power of 2: from one of them on a turn's are looked up
SIGNS = COUNTED.count * (4 if OWN == LOOK_UP else COUNTED.element.width)  # that one vector counts


@intrinsic
def _count_vectors(typing: Any, values: Any, turns: Any) -> Any:
    """In each turn ``sums[k % SUMS] += popcount(values[k] ^ other)`` for all k, with another `other`; or look-ups.

    What is looked up lies in tables, from which it is loaded: from another place in each turn.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        base = data(context, builder, signature, args, 0)
        places = [at(builder, base, ir.Constant(I64, k * COUNTED.count), COUNTED) for k in range(INPUTS)]
        inputs = [builder.load(place, align=32) for place in places]
        sums = [cgutils.alloca_once_value(builder, value) for value in inputs[:SUMS]]
        other, step = cgutils.alloca_once_value(builder, inputs[0]), ir.Constant(COUNTED, [1] * COUNTED.count)
        with cgutils.for_range(builder, args[1]) as loop:
            first = builder.mul(builder.and_(loop.index, ir.Constant(I64, ROWS - 1)), ir.Constant(I64, COUNTED.count))
            builder.store(builder.add(builder.load(other), step), other)
            for k, value in enumerate(inputs):
                if OWN == LOOK_UP:
                    place = builder.add(first, ir.Constant(I64, k * COUNTED.count))
                    found = builder.load(at(builder, base, place, COUNTED), align=32)
                else:
                    found = ones(builder, builder.xor(value, builder.load(other)), COUNTED)
                builder.store(builder.add(builder.load(sums[k % SUMS]), found), sums[k % SUMS])
        for place, slot in zip(places, sums, strict=False):  # what nobody reads LLVM would leave out
            builder.store(builder.load(slot), place, align=32)
        return context.get_dummy_value()

    return types.void(values, types.intp), codegen


@njit(nogil=True)
def _turns(values: Array, turns: int) -> None:
    _count_vectors(values, turns)


def count_ceiling() -> float:
    """Multiply-accumulates a second: xor, popcount and add in registers, or loads from the first cache and adds."""
    values = aligned_zeros((INPUTS + ROWS) * COUNTED.count, ELEMENT)
    values[:] = np.random.default_rng(0).integers(0, 16, values.size)
    return TURNS * INPUTS * SIGNS / float(seconds_together(_turns, [(values, TURNS)]).min())


# --- the convolution ---


class BinaryConvolution:
    """Bits of a picture and of filters, and room for counts.

    Parameters
    ----------
    channels : int
        Of what is taken in and given, up to 96.
    height, width : int
        The width is a multiple of 32.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        rng = np.random.default_rng(0)
        self.channels, self.negative = channels, rng.random((channels, height, width)) < 0.5
        self.signs = rng.choice([-1, 1], (channels, channels, 3, 3))
        self.bits = pack_picture(self.negative, width + 2)
        self.words = pack_filters(self.signs)
        self.counts = aligned_zeros(height * width * channels, np.uint16).reshape(height, width // TILE, -1)

    def ways(self) -> dict[str, Callable[[], None]]:
        """Bits in, counts out, by each kernel that this CPU can run; they are compiled, and agree."""
        found, results = {}, []
        for name, kernel in KERNELS.items():
            if kernel in NEEDED and NEEDED[kernel][0] not in features():
                continue
            found[name] = self._way(kernel)
            found[name]()
            results.append(self.counts.copy())
        assert all(np.array_equal(result, results[0]) for result in results), "the kernels differ"
        return found

    def _way(self, kernel: str) -> Callable[[], None]:
        function = _counter(kernel, planes_of(self.channels), self.channels)
        return lambda: function(self.bits, self.words, self.counts)


def _counter(kernel: str, planes: int, channels: int) -> Callable[[Array, Array, Array], None]:
    """As `npbsrn.kernels.counts.count3`: a first group of planes, and what is left."""
    together, left, words_of_group = min(planes, GROUP), planes - GROUP, channels * 9 * GROUP
    count, add = make_count(3, together, kernel), make_count(3, max(left, 1), kernel)

    @njit(nogil=True)
    def counts3(bits: Array, words: Array, counts: Array) -> None:
        plane, row, flat = bits.shape[2], planes * bits.shape[2], bits.ravel()
        height, tiles = counts.shape[:2]
        for y in range(height):
            for t in range(tiles):
                at = y * row + t * TILE
                count(flat, at, row, plane, words, 0, channels, counts[y, t], False)
                if left > 0:
                    add(flat, at + GROUP * plane, row, plane, words, words_of_group, channels, counts[y, t], True)

    return counts3  # type: ignore[no-any-return]
