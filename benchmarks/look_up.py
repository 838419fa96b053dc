"""The binary 3x3 convolution by look-up, beside the popcount that the engine has.

Signs of four channels are a nibble, of which a table of 16 bytes for each nibble of a filter holds the count; x86 looks
up 32 or 64 nibbles in one instruction.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from benchmarks.ceilings import aligned_zeros
from benchmarks.upscale_parts import WIDTH, BinaryConvolution
from npbsrn.kernels.cpu import features
from npbsrn.kernels.simd import I64, at, data

Array = np.ndarray[Any, Any]

NIBBLES = WIDTH // 4
STEPS = 3 * NIBBLES  # nibbles of a filter's row, of three taps
AT_ONCE = 5  # vectors that share one load of a table
# the most pixels that one instruction looks up; None where there is no such instruction
WIDTHS = {"avx2": (32, "llvm.x86.avx2.pshuf.b"), "avx512bw": (64, "llvm.x86.avx512.pshuf.b.512")}
PIXELS, PSHUFB = next((WIDTHS[name] for name in ("avx512bw", "avx2") if name in features()), (32, None))
SHUFFLED = ir.VectorType(ir.IntType(8), PIXELS)


@intrinsic
def _look_up_row(
    typing: Any, nibbles: Any, place: Any, plane: Any, tables: Any, offsets: Any, first: Any, out: Any, where: Any,
    begin: Any,
) -> Any:  # fmt: skip
    """``out[where :+AT_ONCE * PIXELS] = or += `` the counts of one row of one filter; 144 at most, so bytes hold them.

    `begin` says whether there is nothing in `out` yet.
    """
    i = types.intp
    signature = types.void(nibbles, i, i, tables, offsets, i, out, i, types.boolean)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pixels, entries, chosen, target = (data(context, builder, signature, args, k) for k in (0, 3, 4, 6))
        place, plane, first, where, begin = (args[k] for k in (1, 2, 5, 7, 8))
        shuffle = cgutils.get_or_insert_function(builder.module, ir.FunctionType(SHUFFLED, [SHUFFLED] * 2), PSHUFB)
        zero = ir.Constant(SHUFFLED, None)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range(AT_ONCE)]
        for slot in sums:
            builder.store(zero, slot)
        with cgutils.for_range(builder, ir.Constant(I64, NIBBLES)) as loop:
            line = builder.add(place, builder.mul(loop.index, plane))
            for kx in range(3):
                nth = builder.add(builder.mul(loop.index, ir.Constant(I64, 3)), ir.Constant(I64, kx))
                offset = builder.load(builder.gep(chosen, [builder.add(first, nth)]))
                table = builder.load(at(builder, entries, builder.zext(offset, I64), SHUFFLED), align=64)
                for v, slot in enumerate(sums):
                    source = at(builder, pixels, builder.add(line, ir.Constant(I64, v * PIXELS + kx)), SHUFFLED)
                    found = builder.call(shuffle, [table, builder.load(source, align=1)])
                    builder.store(builder.add(builder.load(slot), found), slot)
        _store_words(builder, sums, target, where, begin)
        return context.get_dummy_value()

    return signature, codegen


def _store_words(builder: Any, sums: list[Any], target: Any, where: Any, begin: Any) -> None:
    """Bytes to words, and to what is there from other rows."""
    words = ir.VectorType(ir.IntType(16), PIXELS)
    for v, slot in enumerate(sums):
        pointer = at(builder, target, builder.add(where, ir.Constant(I64, v * PIXELS)), words)
        before = builder.select(begin, ir.Constant(words, None), builder.load(pointer, align=2))
        builder.store(builder.add(before, builder.zext(builder.load(slot), words)), pointer, align=2)


@njit(nogil=True)
def _look_up3(nibbles: Array, tables: Array, offsets: Array, counts: Array) -> None:
    _, planes, plane = nibbles.shape
    outputs, height, width = counts.shape
    flat, entries, out = nibbles.ravel(), tables.ravel(), counts.ravel()
    for y in range(height):
        for left in range(0, width, AT_ONCE * PIXELS):
            for o in range(outputs):
                for ky in range(3):
                    place, first = (y + ky) * planes * plane + left, (3 * o + ky) * STEPS
                    where = (o * height + y) * width + left
                    _look_up_row(flat, place, plane, entries, offsets, first, out, where, ky == 0)


class LookUpConvolution:
    """The same convolution; its width is a multiple of what is looked up at once."""

    def __init__(self, other: BinaryConvolution) -> None:
        _, height, width = other.negative.shape
        bit = np.arange(4)[:, None, None]
        nibbles = (other.negative.reshape(NIBBLES, 4, height, width) << bit).sum(1)
        self.nibbles = np.zeros((height + 2, NIBBLES, width + 2), np.uint8)
        self.nibbles[1:-1, :, 1:-1] = nibbles.transpose(1, 0, 2)
        chosen = ((other.signs < 0).reshape(WIDTH, NIBBLES, 4, 3, 3) << bit).sum(2)  # o nibble ky kx
        self.offsets = (chosen.transpose(0, 2, 1, 3).ravel() * PIXELS).astype(np.uint16)
        both = np.arange(16)[:, None] ^ np.arange(16)
        self.tables = aligned_zeros(16 * PIXELS, np.uint8).reshape(16, PIXELS)
        self.tables[:] = np.tile(np.bitwise_count(both), PIXELS // 16)  # each lane of 16 bytes looks up in its own
        self.counts = aligned_zeros(other.negative.size, np.uint16).reshape(WIDTH, height, width)

    def run(self) -> None:
        """Nibbles in, counts out."""
        _look_up3(self.nibbles, self.tables, self.offsets, self.counts)


def has_look_up(width: int) -> bool:
    """Whether the CPU can look up, and vectors fit rows of such a width."""
    return PSHUFB is not None and width % (AT_ONCE * PIXELS) == 0
