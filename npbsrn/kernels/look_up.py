"""Counting by look-up, for x86 without an instruction that counts the bits of a vector's words.

Four signs are a nibble. In how many bits a nibble of the filter and one of a pixel differ stands in a table of 16
bytes, one table for each nibble that a filter may have; `vpshufb` looks up 32 pixels at once. Xor and popcount take
twice the instructions: AVX2 has no popcount, and LLVM makes it of two such look-ups.
"""

from itertools import pairwise
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from npbsrn.kernels.bits import BITS, TILE
from npbsrn.kernels.memory import at
from npbsrn.kernels.simd import I64

NIBBLES = BITS // 4  # of a word
MOST = 15  # words whose counts fit a byte
OUTPUTS = 4  # that share one load of pixels: of those that were tried, what counts fastest with 16 registers
BYTE, WORD = ir.IntType(8), ir.IntType(BITS)
BYTES, WORDS = ir.VectorType(BYTE, TILE), ir.VectorType(WORD, TILE)
COUNTS = np.bitwise_count(np.arange(16)[:, None] ^ np.arange(16))


def _all(kind: Any, value: int) -> Any:
    return ir.Constant(kind, [value] * kind.count)


def _tables(module: Any) -> Any:
    """Pointer to 16 tables of two times 16 bytes: each half of a vector looks up in its own."""
    name, kind = "npbsrn.counts", ir.ArrayType(BYTE, 16 * TILE)
    if name not in module.globals:
        tables = ir.GlobalVariable(module, kind, name)
        tables.global_constant, tables.linkage, tables.align = True, "internal", TILE
        tables.initializer = ir.Constant(kind, bytearray(np.tile(COUNTS, 2).astype(np.uint8).tobytes()))
    return module.globals[name].bitcast(BYTE.as_pointer())


def _spread(builder: Any, bits: Any, places: list[Any]) -> Any:
    """Pointer to the nibbles of the words at some places: a byte for each pixel, by word and nibble."""
    with builder.goto_entry_block():
        room = builder.alloca(ir.ArrayType(BYTE, len(places) * NIBBLES * TILE))
        room.align = TILE
    nibbles = builder.bitcast(room, BYTE.as_pointer())
    for k, place in enumerate(places):
        words = builder.load(at(builder, bits, place, WORDS), align=2)
        for n in range(0, NIBBLES, 2):
            low = builder.trunc(builder.lshr(words, _all(WORDS, 4 * n)), BYTES)
            for half, value in enumerate((low, builder.lshr(low, _all(BYTES, 4)))):
                where = at(builder, nibbles, ir.Constant(I64, (k * NIBBLES + n + half) * TILE), BYTES)
                builder.store(builder.and_(value, _all(BYTES, 15)), where, align=TILE)
    return nibbles


def look_up(builder: Any, table: Any, nibbles: Any) -> Any:
    """``table[nibbles]``, byte by byte."""
    kind = ir.FunctionType(BYTES, [BYTES, BYTES])
    shuffle = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx2.pshuf.b")
    return builder.call(shuffle, [table, nibbles])


def _sums(builder: Any, nibbles: Any, words: list[Any], span: tuple[int, int]) -> list[Any]:
    """Counts as bytes, of the filters' words from `span[0]` to `span[1]`; `words` points to each filter's first."""
    tables = _tables(builder.module)
    sums = [cgutils.alloca_once_value(builder, _all(BYTES, 0)) for _ in words]
    for slot in sums:
        builder.store(_all(BYTES, 0), slot)
    with cgutils.for_range(builder, ir.Constant(I64, span[1] - span[0])) as loop:
        k = builder.add(loop.index, ir.Constant(I64, span[0]))
        # nibble n of a word to the offset of its table: 32 n
        chosen = [builder.shl(builder.zext(builder.load(builder.gep(w, [k])), I64), ir.Constant(I64, 5)) for w in words]
        first = builder.mul(k, ir.Constant(I64, NIBBLES * TILE))
        for n in range(NIBBLES):
            source = at(builder, nibbles, builder.add(first, ir.Constant(I64, n * TILE)), BYTES)
            pixels = builder.load(source, align=TILE)
            for word, slot in zip(chosen, sums, strict=True):
                offset = builder.and_(builder.lshr(word, ir.Constant(I64, 4 * n)), ir.Constant(I64, 15 * TILE))
                table = builder.load(at(builder, tables, offset, BYTES), align=TILE)
                builder.store(builder.add(builder.load(slot), look_up(builder, table, pixels)), slot)
    return [builder.load(slot) for slot in sums]


def emit_look_up(
    builder: Any, bits: Any, words: Any, out: Any, steps: tuple[Any, Any], outputs: Any, shape: tuple[int, int],
    more: bool,
) -> None:  # fmt: skip
    """Write ``out[32 o :+32] (+)= popcount(bits ^ words[o])``, over planes and taps, for all o.

    See `npbsrn.kernels.counts.emit_count` for the parameters.
    """
    (size, planes), (row, plane), places = shape, steps, []
    for p in range(planes):
        for ky in range(size):
            line = builder.add(builder.mul(plane, ir.Constant(I64, p)), builder.mul(row, ir.Constant(I64, ky)))
            places += [builder.add(line, ir.Constant(I64, kx)) for kx in range(size)]
    nibbles, taps = _spread(builder, bits, places), ir.Constant(I64, len(places))
    spans = list(pairwise([*range(0, len(places), MOST), len(places)]))

    def some(first: Any, count: int) -> None:
        """Of some output channels."""
        nths = [builder.add(first, ir.Constant(I64, o)) for o in range(count)]
        filters = [builder.gep(words, [builder.mul(nth, taps)]) for nth in nths]
        for span in spans:
            for nth, total in zip(nths, _sums(builder, nibbles, filters, span), strict=True):
                target = at(builder, out, builder.mul(nth, ir.Constant(I64, TILE)), WORDS)
                counts = builder.zext(total, WORDS)
                if more or span[0] > 0:
                    counts = builder.add(counts, builder.load(target, align=2))
                builder.store(counts, target, align=2)

    groups = builder.udiv(outputs, ir.Constant(I64, OUTPUTS))
    with cgutils.for_range(builder, groups) as loop:
        some(builder.mul(loop.index, ir.Constant(I64, OUTPUTS)), OUTPUTS)
    done = builder.mul(groups, ir.Constant(I64, OUTPUTS))
    with cgutils.for_range(builder, builder.sub(outputs, done)) as loop:
        some(builder.add(done, loop.index), 1)
