"""Counting by table look-up, for x86 CPUs without a vector popcount.

Four signs are a nibble. One nibble of a filter has a table of 16 bytes: how many bits of it differ from each nibble of
a pixel. `vpshufb` looks 32 pixels up in such a table at once. A count is 4 at most, so half a byte holds it: the tables
here are those of two output channels, one count in the lower half of a byte and one in the upper half. One look-up is
then 256 products, and a table serves several tiles of pixels. AVX2 has no popcount; LLVM replaces it with several
instructions for the bytes of one output channel.

Two halves of a byte hold the sums of three look-ups, 12 at most. These are added to two sums of bytes: as they are,
modulo 256, which is ``lower + 16 upper``; and shifted down and masked, which is ``upper``. The first one minus 16 times
the second is ``lower``. Bytes hold the counts of 63 nibbles; then they are widened. Sums of whole numbers are exact, so
it does not matter which tiles are counted together.
"""

from functools import reduce
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from npbsrn.kernels.bits import BITS, GROUP, TILE
from npbsrn.kernels.memory import at
from npbsrn.kernels.simd import I32, I64

Array = np.ndarray[Any, Any]

NIBBLES, TABLE = BITS // 4, 16  # of a word; bytes
TOGETHER = 2  # tiles: three would be 3 % faster, but many pictures would leave one or two over
ADDED = 3  # look-ups whose sums half a byte holds
MOST = 5  # rows of three words whose counts a byte holds: 5 * 3 * 16 is 240
BYTE, WORD = ir.IntType(8), ir.IntType(BITS)
BYTES, HALF, WORDS = ir.VectorType(BYTE, 32), ir.VectorType(BYTE, TABLE), ir.VectorType(WORD, 16)
COUNTS = np.bitwise_count(np.arange(16)[:, None] ^ np.arange(16))
TABLES = (COUNTS[:, None] << 4 | COUNTS).astype(np.uint8)  # by nibble of the upper and of the lower channel


class Call(NamedTuple):
    """What `npbsrn.kernels.counting.emit_count` is given, and where the pixels' nibbles lie."""

    bits: Any
    words: Any
    out: Any
    row: Any
    plane: Any
    outputs: Any
    size: int
    planes: int
    kept: Any  # all bits of what stands in `out`, or none
    nibbles: Any

    @property
    def taps(self) -> int:
        """Words of an output channel."""
        return self.planes * self.size**2

    @property
    def lines(self) -> tuple[int, int]:
        """How many times so many words are looked up: a row of taps, or all planes of a 1x1 filter."""
        return (self.planes * self.size, self.size) if self.size > 1 else (1, self.planes)


def arrange_for_look_up(words: Array, outputs: int, size: int) -> Array:
    """Filters as places of tables.

    Parameters
    ----------
    words : (O * P * k * k,) uint16
        See `npbsrn.kernels.bits.pack_filters`.
    outputs, size : int
        O, k.

    Returns
    -------
    places : (2 * (O + O % 2) * P * k * k,) uint16
        In bytes from the first table; by groups of planes; within a group by pair of output channels, plane, tap and
        nibble. The last of an odd number of channels makes a pair with itself.
    """
    planes, parts, first = words.size // (outputs * size**2), [], 0
    channels = np.minimum(np.arange(outputs + outputs % 2), outputs - 1)
    for p in range(0, planes, GROUP):
        length = min(planes - p, GROUP) * size**2
        own = words[first : first + outputs * length].reshape(outputs, length)[channels]
        nibbles = own[:, :, None] >> (np.arange(NIBBLES, dtype=np.uint16) * 4) & 15
        parts.append((nibbles[::2] | nibbles[1::2] << 4) * TABLE)
        first += outputs * length
    return np.concatenate(parts, axis=None).astype(np.uint16)


def _number(value: int) -> Any:
    return ir.Constant(I64, value)


def _all(kind: Any, value: int) -> Any:
    return ir.Constant(kind, [value] * kind.count)


def _shuffled(builder: Any, a: Any, b: Any, places: list[int]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, len(places)), places))


def _shifted(builder: Any, x: Any, left: bool, mask: int) -> Any:
    """Bytes shifted by four bits; there is an instruction for words only, so the mask removes what comes over."""
    shift = builder.shl if left else builder.lshr
    return builder.and_(builder.bitcast(shift(builder.bitcast(x, WORDS), _all(WORDS, 4)), BYTES), _all(BYTES, mask))


def _tables(module: Any) -> Any:
    """Pointer to `TABLES`."""
    name, kind = "npbsrn.tables", ir.ArrayType(BYTE, TABLES.size)
    if name not in module.globals:
        tables = ir.GlobalVariable(module, kind, name)
        tables.global_constant, tables.linkage, tables.align = True, "internal", 64
        tables.initializer = ir.Constant(kind, bytearray(TABLES.tobytes()))
    return module.globals[name].bitcast(BYTE.as_pointer())


def _workspace(builder: Any, size: int) -> Any:
    """Pointer to so many bytes of the function's own."""
    with builder.goto_entry_block():
        memory = builder.alloca(ir.ArrayType(BYTE, size))
        memory.align = 64
    return builder.bitcast(memory, BYTE.as_pointer())


def look_up(builder: Any, table: Any, nibbles: Any) -> Any:
    """``table[nibbles]``, byte by byte, each half of a vector in its own half of the table."""
    kind = ir.FunctionType(BYTES, [BYTES, BYTES])
    shuffle = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx2.pshuf.b")
    return builder.call(shuffle, [table, nibbles])


# AVX2 packs and unpacks each half of a vector by itself. So bytes have the order that packing gives, pixels 0 to 7, 16
# to 23, 8 to 15 and 24 to 31, and unpacking restores the pixels' own.
PACKED = [vector * 32 + half + 2 * i for half in (0, 16) for vector in (0, 1) for i in range(8)]
UNPACKED = [[half + 8 * upper + i // 2 + i % 2 * 32 for half in (0, 16) for i in range(16)] for upper in (0, 1)]


def _split(builder: Any, call: Call, tiles: int) -> None:
    """Write the nibbles of all words that some tiles look at: by word, nibble, tile and pixel."""
    size, step = call.size, TILE * tiles
    per_line, per_plane = size * NIBBLES * step, size * size * NIBBLES * step
    with cgutils.for_range(builder, _number(tiles)) as tile, cgutils.for_range(builder, _number(call.planes)) as plane:
        source = builder.add(builder.mul(tile.index, _number(TILE)), builder.mul(call.plane, plane.index))
        target = builder.add(builder.mul(tile.index, _number(TILE)), builder.mul(plane.index, _number(per_plane)))
        with cgutils.for_range(builder, _number(size)) as line:
            first = builder.add(source, builder.mul(call.row, line.index))
            place = builder.add(target, builder.mul(line.index, _number(per_line)))
            for kx in range(size):
                both = [builder.add(first, _number(kx + 16 * part)) for part in (0, 1)]
                words = [builder.load(at(builder, call.bits, own, WORDS), align=2) for own in both]
                a, b = (builder.bitcast(word, BYTES) for word in words)
                for byte in (0, 1):
                    pair = _shuffled(builder, a, b, [p + byte for p in PACKED])
                    for odd, own in enumerate(
                        (builder.and_(pair, _all(BYTES, 15)), _shifted(builder, pair, False, 15))
                    ):
                        n = (kx * NIBBLES + 2 * byte + odd) * step
                        builder.store(own, at(builder, call.nibbles, builder.add(place, _number(n)), BYTES), align=32)


def add_look_ups(builder: Any, found: list[Any], whole: Any, upper: Any) -> None:
    """Add what was looked up, up to `ADDED` vectors, to sums of bytes in two slots: as it is, and its upper halves."""
    total = reduce(builder.add, found)
    builder.store(builder.add(builder.load(whole), total), whole)
    builder.store(builder.add(builder.load(upper), _shifted(builder, total, False, 15)), upper)


def _add_line(builder: Any, call: Call, line: Any, places: Any, sums: list[Any]) -> None:
    """Look up one line of words, and add to each tile's sums of bytes."""
    count, tiles = call.lines[1] * NIBBLES, len(sums)
    tables = _tables(builder.module)
    first = builder.mul(line, _number(count))
    for begin in range(0, count, ADDED):
        found: list[list[Any]] = [[] for _ in sums]
        for k in range(begin, min(begin + ADDED, count)):
            if k % 2 == 0:  # two places by one load: loads are what limits these look-ups
                two = builder.load(at(builder, places, builder.add(first, _number(k)), I32), align=2)
            place = builder.lshr(two, I32(16)) if k % 2 else builder.and_(two, I32(65535))
            table = builder.load(at(builder, tables, builder.zext(place, I64), HALF), align=TABLE)
            table = _shuffled(builder, table, ir.Constant(HALF, ir.Undefined), [*range(TABLE)] * 2)
            for tile in range(tiles):
                where = builder.add(
                    builder.mul(line, _number(count * tiles * TILE)), _number((k * tiles + tile) * TILE)
                )
                nibbles = builder.load(at(builder, call.nibbles, where, BYTES), align=32)
                found[tile].append(look_up(builder, table, nibbles))
        for own, slots in zip(found, sums, strict=True):
            add_look_ups(builder, own, *slots)


def _widened(builder: Any, whole: Any, upper: Any) -> list[list[Any]]:
    """Counts of both output channels as words, 16 pixels and 16 more, from sums of bytes."""
    lower = builder.sub(whole, _shifted(builder, upper, True, 0xF0))
    zero = ir.Constant(BYTES, None)
    return [[builder.bitcast(_shuffled(builder, x, zero, p), WORDS) for p in UNPACKED] for x in (lower, upper)]


def _counts(builder: Any, call: Call, tiles: int, places: Any) -> list[list[list[Any]]]:
    """Counts of a pair of output channels, by tile, channel and part."""
    lines, zero, counts = call.lines[0], ir.Constant(BYTES, None), []
    parts = -(-lines // MOST)
    cuts = [lines * n // parts for n in range(parts + 1)]
    for begin, end in pairwise(cuts):
        sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(2)] for _ in range(tiles)]
        for slot in (slot for own in sums for slot in own):
            builder.store(zero, slot)
        with cgutils.for_range(builder, _number(end - begin)) as line:
            _add_line(builder, call, builder.add(line.index, _number(begin)), places, sums)
        counts.append([_widened(builder, *(builder.load(slot) for slot in own)) for own in sums])
    return [
        [[reduce(builder.add, vectors) for vectors in zip(*own, strict=True)] for own in zip(*tile, strict=True)]
        for tile in zip(*counts, strict=True)
    ]


def _count_tiles(builder: Any, call: Call, tiles: int) -> None:
    """All output channels of some tiles."""
    _split(builder, call, tiles)
    pairs, last = builder.lshr(builder.add(call.outputs, _number(1)), _number(1)), builder.sub(call.outputs, _number(1))
    with cgutils.for_range(builder, pairs) as loop:
        places = builder.gep(call.words, [builder.mul(loop.index, _number(call.taps * NIBBLES))])
        counts, targets = _counts(builder, call, tiles, places), []
        for tile, channels in enumerate(counts):
            for n, parts in enumerate(channels):
                o = builder.add(builder.mul(loop.index, _number(2)), _number(n))
                if n:  # the last of an odd number is written twice
                    o = builder.select(builder.icmp_signed("<", o, last), o, last)
                first = builder.mul(builder.add(builder.mul(call.outputs, _number(tile)), o), _number(TILE))
                for part, count in enumerate(parts):
                    target = at(builder, call.out, builder.add(first, _number(16 * part)), WORDS)
                    before = builder.and_(builder.load(target, align=2), call.kept)
                    targets.append((builder.add(count, before), target))
        for count, target in targets:
            builder.store(count, target, align=2)


def emit_look_up(
    builder: Any, bits: Any, words: Any, out: Any, steps: tuple[Any, Any], tiles: Any, outputs: Any,
    shape: tuple[int, int], more: Any,
) -> None:  # fmt: skip
    """Write ``out[t, o] (+)= popcount(bits ^ words[o])`` at 32 pixels, over planes and taps, for all tiles t and all o.

    See `npbsrn.kernels.counting.emit_count` for the parameters; the words are as `arrange_for_look_up` gives them.
    """
    size, planes = shape
    undefined = ir.Constant(WORDS, ir.Undefined)
    kept = builder.insert_element(undefined, builder.sext(more, WORD), I32(0))
    kept = _shuffled(builder, kept, undefined, [0] * 16)
    nibbles = _workspace(builder, planes * size**2 * NIBBLES * TILE * TOGETHER)

    def from_tile(tile: Any) -> Call:
        source = builder.gep(bits, [builder.mul(tile, _number(TILE))])
        target = builder.gep(out, [builder.mul(builder.mul(tile, outputs), _number(TILE))])
        return Call(source, words, target, *steps, outputs, size, planes, kept, nibbles)

    with cgutils.for_range(builder, builder.lshr(tiles, _number(1))) as pair:
        _count_tiles(builder, from_tile(builder.mul(pair.index, _number(TOGETHER))), TOGETHER)
    with builder.if_then(builder.trunc(tiles, ir.IntType(1))):
        _count_tiles(builder, from_tile(builder.sub(tiles, _number(1))), 1)
