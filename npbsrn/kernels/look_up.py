"""Counting by table look-up, for x86 CPUs without a vector popcount.

Four signs are a nibble. For one nibble of a filter, the numbers of bits in which the nibbles of 32 pixels differ from
it form a vector of 32 bytes. These vectors are computed once for all 16 possible nibbles, by `vpshufb`, and stored in a
table; each output channel then adds one of them: one vector instruction for 128 products. AVX2 has no popcount, and
LLVM replaces it with several instructions.

The three taps of a row look at the same words, shifted by one pixel: an entry has the bytes of 34 pixels, and a tap
begins at the first, second or third of them. Entries lie 64 bytes apart, so that none of these loads crosses a cache
line. A nibble n is stored as the byte ``8 n``: an x86 address can multiply a register by eight, which gives ``64 n``.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from npbsrn.kernels.bits import BITS, TILE
from npbsrn.kernels.memory import at
from npbsrn.kernels.simd import I32, I64

NIBBLES = BITS // 4  # of a word
LINES = 3  # whose tables are there at once: 3 words of each are 9 at most, whose counts fit a byte
ENTRY, TABLE = 64, 16 * 64  # bytes
BYTE, WORD = ir.IntType(8), ir.IntType(BITS)
BYTES, WORDS = ir.VectorType(BYTE, TILE), ir.VectorType(WORD, TILE)
WORKSPACE = "npbsrn.tables"
COUNTS = np.bitwise_count(np.arange(16)[:, None] ^ np.arange(16))


def _number(value: int) -> Any:
    return ir.Constant(I64, value)


def _all(kind: Any, value: int) -> Any:
    return ir.Constant(kind, [value] * kind.count)


def _order(*places: int) -> Any:
    return ir.Constant(ir.VectorType(I32, len(places)), places)


def _counts(module: Any) -> Any:
    """Pointer to 16 tables of two times 16 bytes: each half of a vector looks up in its own."""
    name, kind = "npbsrn.counts", ir.ArrayType(BYTE, 16 * TILE)
    if name not in module.globals:
        tables = ir.GlobalVariable(module, kind, name)
        tables.global_constant, tables.linkage, tables.align = True, "internal", TILE
        tables.initializer = ir.Constant(kind, bytearray(np.tile(COUNTS, 2).astype(np.uint8).tobytes()))
    return module.globals[name].bitcast(BYTE.as_pointer())


def _workspace(builder: Any) -> Any:
    """Pointer to where tables lie: one place for all counts of a function."""
    kind = ir.ArrayType(BYTE, LINES * NIBBLES * TABLE)
    for instruction in builder.function.entry_basic_block.instructions:
        if instruction.name == WORKSPACE:
            break
    else:
        with builder.goto_entry_block():
            instruction = builder.alloca(kind, name=WORKSPACE)
            instruction.align = ENTRY
    return builder.bitcast(instruction, BYTE.as_pointer())


def _splat(builder: Any, word: Any) -> Any:
    """All words of a tile."""
    undefined = ir.Constant(WORDS, ir.Undefined)
    return builder.shuffle_vector(
        builder.insert_element(undefined, word, ir.Constant(I32, 0)), undefined, _order(*[0] * TILE)
    )


def look_up(builder: Any, table: Any, nibbles: Any) -> Any:
    """``table[nibbles]``, byte by byte."""
    kind = ir.FunctionType(BYTES, [BYTES, BYTES])
    shuffle = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx2.pshuf.b")
    return builder.call(shuffle, [table, nibbles])


def _opaque(builder: Any, x: Any) -> Any:
    """The same, of which LLVM knows nothing.

    Else it would make a shift and a mask of each byte, where x86 takes two bytes out of a register at once; and it
    would take all bytes of a filter out before it looks one up, for which there are not enough registers.
    """
    return builder.asm(ir.FunctionType(I64, [I64]), "", "=r,0,~{memory}", [x], side_effect=True)


def _nibbles(builder: Any, words: Any) -> list[Any]:
    """Of vectors of words, as bytes."""
    halves = [builder.trunc(builder.lshr(words, _all(WORDS, 8 * half)), BYTES) for half in (0, 1)]
    return [
        builder.and_(builder.lshr(half, _all(BYTES, shift)), _all(BYTES, 15)) for half in halves for shift in (0, 4)
    ]


def _fill(builder: Any, bits: Any, line: Any, size: int, tables: Any) -> None:
    """Tables of the words of one row of one plane."""
    counts = _counts(builder.module)
    words = [builder.load(at(builder, bits, line, WORDS), align=2)]
    if size > 1:  # words 32 and 33, beyond which there may be nothing, come first
        last = builder.load(at(builder, bits, builder.add(line, _number(2)), WORDS), align=2)
        words.append(builder.shuffle_vector(last, ir.Constant(WORDS, ir.Undefined), _order(*[TILE - 2, TILE - 1] * 16)))
    nibbles = [_nibbles(builder, own) for own in words]
    with cgutils.for_range(builder, _number(16)) as entry:
        source = at(builder, counts, builder.mul(entry.index, _number(TILE)), BYTES)
        table, place = builder.load(source, align=TILE), builder.mul(entry.index, _number(ENTRY))
        for part, own in enumerate(nibbles):
            for n, value in enumerate(own):
                found = look_up(builder, table, value)
                if part:
                    found = builder.shuffle_vector(found, ir.Constant(BYTES, ir.Undefined), _order(*range(16)))
                target = builder.add(place, _number(n * TABLE + part * TILE))
                builder.store(found, at(builder, tables, target, found.type), align=16)


def _total(builder: Any, words: Any, taps: int, size: int, workspace: Any) -> Any:
    """Counts as bytes of a filter's words, whose tables are there."""
    total, tables = None, builder.bitcast(workspace, I64.as_pointer())
    k = 0
    while k < taps:
        step = max(n for n in (4, 2, 1) if n <= taps - k)
        kind = ir.IntType(BITS * step)
        read = builder.zext(builder.load(at(builder, words, _number(k), kind), align=2), I64)
        eights = _number(int("78" * 8, 16))  # 8 n, of every other nibble
        pairs = [
            builder.and_(builder.shl(read, _number(3)), eights),
            builder.and_(builder.lshr(read, _number(1)), eights),
        ]
        for byte in range(2 * step):
            for odd in (0, 1):
                if byte % 2 == 0:
                    pairs[odd] = _opaque(builder, builder.lshr(pairs[odd], _number(16 if byte else 0)))
                index = builder.zext(builder.trunc(builder.lshr(pairs[odd], _number(byte % 2 * 8)), BYTE), I64)
                row, kx = divmod(k + byte // 2, size)
                entry = builder.bitcast(builder.gep(tables, [index]), BYTE.as_pointer())
                table = row * NIBBLES + byte % 2 * 2 + odd
                found = builder.load(at(builder, entry, _number(table * TABLE + kx), BYTES), align=1)
                total = found if total is None else builder.add(total, found)
        k += step
    return total


def emit_look_up(
    builder: Any, bits: Any, words: Any, out: Any, steps: tuple[Any, Any], outputs: Any, shape: tuple[int, int],
    more: Any,
) -> None:  # fmt: skip
    """Write ``out[32 o :+32] (+)= popcount(bits ^ words[o])``, over planes and taps, for all o.

    See `npbsrn.kernels.counts.emit_count` for the parameters.
    """
    (size, planes), (row, plane), workspace = shape, steps, _workspace(builder)
    # At once go the rows of one plane, or for 1x1 all planes.
    lines, step, parts = (LINES, row, planes) if size > 1 else (planes, plane, 1)
    taps = lines * size
    with cgutils.for_range(builder, _number(parts)) as part:
        first = builder.mul(plane, part.index)
        with cgutils.for_range(builder, _number(lines)) as nth:
            line = builder.add(first, builder.mul(step, nth.index))
            tables = builder.gep(workspace, [builder.mul(nth.index, _number(NIBBLES * TABLE))])
            _fill(builder, bits, line, size, tables)
        begins = builder.icmp_signed("==", part.index, _number(0))
        kept = _splat(builder, builder.select(begins, builder.sext(more, WORD), ir.Constant(WORD, -1)))
        with cgutils.for_range(builder, outputs) as loop:
            start = builder.add(builder.mul(loop.index, _number(taps * parts)), builder.mul(part.index, _number(taps)))
            counts = builder.zext(_total(builder, builder.gep(words, [start]), taps, size, workspace), WORDS)
            target = at(builder, out, builder.mul(loop.index, _number(TILE)), WORDS)
            before = builder.and_(builder.load(target, align=2), kept)
            builder.store(builder.add(counts, before), target, align=2)
