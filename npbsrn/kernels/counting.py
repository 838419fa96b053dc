"""Counts of products of -1 as code, for every kernel that can be chosen, at tiles of 32 pixels.

`npbsrn.kernels.counts` compiles that of the chosen kernel; `npbsrn.kernels.race` compiles all of them, to choose one.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from npbsrn.kernels.bits import TILE
from npbsrn.kernels.look_up import TOGETHER, arrange_for_look_up, emit_look_up
from npbsrn.kernels.memory import at, data
from npbsrn.kernels.simd import I32, I64

Array = np.ndarray[Any, Any]

WORD, BYTE = ir.IntType(16), ir.IntType(8)


class Vectors(NamedTuple):
    """What the counting is done on: words where a CPU counts their bits by one instruction, else bytes.

    Most CPUs count the bits of bytes only, or by a few instructions on bytes; 27 words make 216 at most, so that the
    sums of bytes fit a byte, too.
    """

    lanes: int
    by_word: bool

    @property
    def words(self) -> Any:
        """As the arrays have it."""
        return ir.VectorType(WORD, self.lanes)

    @property
    def counted(self) -> Any:
        """As the bits are counted."""
        return self.words if self.by_word else ir.VectorType(BYTE, 2 * self.lanes)


VECTORS = {"avx512": Vectors(32, True), "portable": Vectors(16, False)}


def _constant(kind: Any, value: int) -> Any:
    return ir.Constant(kind, [value] * kind.count)


def _splat(builder: Any, word: Any, kind: Any) -> Any:
    """As many of a number as a vector has lanes."""
    undefined = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(undefined, word, ir.Constant(I32, 0))
    return builder.shuffle_vector(first, undefined, _constant(ir.VectorType(I32, kind.count), 0))


def ones(builder: Any, x: Any, kind: Any) -> Any:
    """Bits that are set."""
    name = f"llvm.ctpop.v{kind.count}i{kind.element.width}"
    count = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind]), name)
    return builder.call(count, [builder.bitcast(x, kind)])


def _by_word(builder: Any, total: Any, vectors: Vectors) -> Any:
    """Sums of words from those of their bytes."""
    if vectors.by_word:
        return total
    kind = vectors.words
    words = builder.bitcast(total, kind)
    return builder.add(builder.lshr(words, _constant(kind, 8)), builder.and_(words, _constant(kind, 255)))


def emit_count(
    builder: Any, bits: Any, words: Any, out: Any, steps: tuple[Any, Any], tiles: Any, outputs: Any,
    shape: tuple[int, int], more: Any, vectors: Vectors,
) -> None:  # fmt: skip
    """Write ``out[t, o] (+)= popcount(bits ^ words[o])`` at 32 pixels, over planes and taps, for all tiles t and all o.

    The inputs of some pixels stay in registers while the output channels pass by.

    Parameters
    ----------
    builder : llvmlite's
    bits, words, out : pointers to words of 16 bits
    steps : two 64-bit numbers
        From row to row of `bits`, and from plane to plane.
    tiles, outputs : 64-bit numbers
    shape : (k, planes)
    more : bit
        Whether to add to what stands in `out`.
    vectors : Vectors
    """
    with cgutils.for_range(builder, tiles) as tile:
        source = builder.gep(bits, [builder.mul(tile.index, ir.Constant(I64, TILE))])
        target = builder.gep(out, [builder.mul(builder.mul(tile.index, outputs), ir.Constant(I64, TILE))])
        for part in range(0, TILE, vectors.lanes):
            _count_part(builder, source, words, target, steps, outputs, shape, more, part, vectors)


def _count_part(
    builder: Any, bits: Any, words: Any, out: Any, steps: tuple[Any, Any], outputs: Any, shape: tuple[int, int],
    more: Any, part: int, vectors: Vectors,
) -> None:  # fmt: skip
    """One vector of pixels."""
    size, planes = shape
    row, plane = steps
    kind, inputs = vectors.words, []
    kept = _splat(builder, builder.sext(more, WORD), kind)
    for p in range(planes):
        for ky in range(size):
            line = builder.add(builder.mul(plane, ir.Constant(I64, p)), builder.mul(row, ir.Constant(I64, ky)))
            for kx in range(size):
                source = at(builder, bits, builder.add(line, ir.Constant(I64, part + kx)), kind)
                inputs.append(builder.load(source, align=2))
    with cgutils.for_range(builder, outputs) as loop:
        start = builder.mul(loop.index, ir.Constant(I64, len(inputs)))
        total = None
        for k, x in enumerate(inputs):
            word = _filter_word(builder, words, builder.add(start, ir.Constant(I64, k)), vectors)
            counted = ones(builder, builder.xor(x, word), vectors.counted)
            total = counted if total is None else builder.add(total, counted)
        total = _by_word(builder, total, vectors)
        where = builder.add(builder.mul(loop.index, ir.Constant(I64, TILE)), ir.Constant(I64, part))
        target = at(builder, out, where, kind)
        before = builder.and_(builder.load(target, align=2), kept)
        builder.store(builder.add(total, before), target, align=2)


def _filter_word(builder: Any, words: Any, place: Any, vectors: Vectors) -> Any:
    """One word in all lanes; see `arrange`."""
    if not vectors.by_word:
        return _splat(builder, builder.load(builder.gep(words, [place])), vectors.words)
    pair = builder.load(at(builder, words, builder.mul(place, ir.Constant(I64, 2)), I32), align=2)
    return builder.bitcast(_splat(builder, pair, ir.VectorType(I32, vectors.lanes // 2)), vectors.words)


def vectors_of(name: str) -> Vectors:
    """What a kernel counts on; "numpy" counts nothing, and has those of the portable one."""
    return VECTORS.get(name, VECTORS["portable"])


def emitter(name: str) -> Callable[..., None]:
    """What writes the code of a kernel that `npbsrn.kernels.cpu.KERNELS` names."""
    if name == "avx2":
        return emit_look_up
    return partial(emit_count, vectors=vectors_of(name))


def arrange(words: Array, outputs: int, size: int, name: str) -> Array:
    """Filters as the kernel of this name reads them; see `npbsrn.kernels.look_up.arrange_for_look_up`.

    AVX-512 repeats 32 bits in all lanes as it reads them. For 16 bits it needs one more instruction, which takes the
    place of one that counts: so each word stands there twice.
    """
    if name == "avx2":
        return arrange_for_look_up(words, outputs, size)
    return np.repeat(words, 2) if vectors_of(name).by_word else words


def filter_size(outputs: int, words: int, name: str) -> int:
    """Numbers in the filters of so many output channels, of so many words each, as `arrange` gives them."""
    if name == "avx2":
        return (outputs + outputs % 2) * 2 * words
    return outputs * words * (2 if vectors_of(name).by_word else 1)


def tiles_at_once(name: str) -> int:
    """How many tiles gain from being counted together by a kernel."""
    return TOGETHER if name == "avx2" else 1


def make_count(size: int, planes: int, name: str) -> Callable[..., Any]:
    """An intrinsic that counts: k, planes, and the kernel's name."""
    emit = emitter(name)

    @intrinsic
    def count(
        typing: Any,
        bits: Any,
        place: Any,
        row: Any,
        plane: Any,
        tiles: Any,
        words: Any,
        first: Any,
        outputs: Any,
        out: Any,
        more: Any,
    ) -> Any:
        """See `emit_count`; bits from `place` on, words from `first` on."""
        i = types.intp
        signature = types.void(bits, i, i, i, i, words, i, i, out, types.boolean)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            b, w, r = (data(context, builder, signature, args, k) for k in (0, 5, 8))
            b, w = builder.gep(b, [args[1]]), builder.gep(w, [args[6]])
            emit(builder, b, w, r, (args[2], args[3]), args[4], args[7], (size, planes), args[9])
            return context.get_dummy_value()

        return signature, codegen

    return count
