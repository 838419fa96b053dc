"""The binary 3x3 convolution by the engine's kernels, and the most that their instructions can give; by one thread."""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from benchmarks.ceilings import TURNS, aligned_zeros, seconds_together
from npbsrn.kernels.counting import ones, vectors_of
from npbsrn.kernels.counts import CHOSEN
from npbsrn.kernels.cpu import choices
from npbsrn.kernels.look_up import ADDED, BYTES, add_look_ups, look_up
from npbsrn.kernels.memory import at, data
from npbsrn.kernels.race import BinaryConvolution
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
# vectors: of those that were tried, what gives most
INPUTS, SUMS = (12, 12) if BY_WORD else (12, 4) if OWN == LOOK_UP else (24, 4)
ROWS = 64  # vectors, a power of 2: one of them is the table of a turn
SIGNS = COUNTED.count * (2 * 4 if OWN == LOOK_UP else COUNTED.element.width)  # that one vector counts


@intrinsic
def _count_vectors(typing: Any, values: Any, turns: Any) -> Any:
    """In each turn ``sums[k % SUMS] += popcount(values[k] ^ other)`` for all k, with another `other`; or look-ups.

    These are of ``values[k]`` in `other`, which a turn takes from memory, and are added as the engine's kernel does.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        base = data(context, builder, signature, args, 0)
        places = [at(builder, base, ir.Constant(I64, k * COUNTED.count), COUNTED) for k in range(INPUTS)]
        inputs = [builder.load(place, align=32) for place in places]
        sums = [cgutils.alloca_once_value(builder, value) for value in inputs[:SUMS]]
        other, step = cgutils.alloca_once_value(builder, inputs[0]), ir.Constant(COUNTED, [1] * COUNTED.count)
        with cgutils.for_range(builder, args[1]) as loop:
            if OWN == LOOK_UP:
                row = builder.mul(builder.and_(loop.index, ir.Constant(I64, ROWS - 1)), ir.Constant(I64, COUNTED.count))
                table = builder.load(at(builder, base, row, COUNTED), align=32)
                found = [look_up(builder, table, value) for value in inputs]
                for n, first in enumerate(range(0, INPUTS, ADDED)):
                    pair = n % (SUMS // 2) * 2
                    add_look_ups(builder, found[first : first + ADDED], *sums[pair : pair + 2])
            else:
                builder.store(builder.add(builder.load(other), step), other)
                for k, value in enumerate(inputs):
                    counted = ones(builder, builder.xor(value, builder.load(other)), COUNTED)
                    builder.store(builder.add(builder.load(sums[k % SUMS]), counted), sums[k % SUMS])
        for place, slot in zip(places, sums, strict=False):  # what nobody reads LLVM would leave out
            builder.store(builder.load(slot), place, align=32)
        return context.get_dummy_value()

    return types.void(values, types.intp), codegen


@njit(nogil=True)
def _turns(values: Array, turns: int) -> None:
    _count_vectors(values, turns)


def count_ceiling() -> float:
    """Multiply-accumulates a second: xor, popcount and add, or look-ups and what adds them, without any loads."""
    values = aligned_zeros((INPUTS + ROWS) * COUNTED.count, ELEMENT)
    values[:] = np.random.default_rng(0).integers(0, 16, values.size)
    return TURNS * INPUTS * SIGNS / float(seconds_together(_turns, [(values, TURNS)]).min())


# --- the convolution ---


def ways(convolution: BinaryConvolution) -> dict[str, Callable[[], None]]:
    """Bits in, counts out, by each kernel of `KERNELS` that this CPU can run; they are compiled, and agree."""
    found, results = {}, []
    for name, kernel in KERNELS.items():
        if kernel in choices():
            found[name] = convolution.way(kernel)
            found[name]()
            results.append(convolution.counts.copy())
    assert all(np.array_equal(result, results[0]) for result in results), "the kernels differ"
    return found
