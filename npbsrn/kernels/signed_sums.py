"""Tables of signed sums of four or five values, and sums of entries: see `npbsrn.kernels.tables` and `long_row`."""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from npbsrn.kernels.jit import kernel, part
from npbsrn.kernels.memory import at, data, load, store
from npbsrn.kernels.simd import I64, LANES, f32x16

Array = np.ndarray[Any, Any]

TABLE = 16 * LANES  # values of the table of four
FIVES = 32 * LANES  # and of five


@kernel()
def aligned(size: int) -> Array:
    """Memory for `size` float32, aligned to 64 bytes and zero."""
    workspace = np.zeros(size + LANES, np.float32)
    first = (-workspace.ctypes.data // 4) % LANES
    return workspace[first : first + size]


@part(forceinline=True)
def add_to(out: Array, place: int, vector: Any) -> None:
    """``out[place :+16] += vector``."""
    store(out, place, load(out, place) + vector)


@part(forceinline=True)
def sums_of(a: Any, b: Any, c: Any, d: Any, out: Array, where: int) -> None:
    """``out[where + 16 n :+16] = +-a +-b +-c +-d``, a minus where bit 0, 1, 2, 3 of n is set."""
    p, m = a + b, b - a  # with their negatives the four sums of bits 0 and 1: ++, -+, +-, --
    q, n = c + d, d - c
    store(out, where, q + p)
    store(out, where + 16, q + m)
    store(out, where + 32, q - m)
    store(out, where + 48, q - p)
    store(out, where + 64, n + p)
    store(out, where + 80, n + m)
    store(out, where + 96, n - m)
    store(out, where + 112, n - p)
    store(out, where + 128, p - n)
    store(out, where + 144, m - n)
    store(out, where + 160, -(m + n))
    store(out, where + 176, -(p + n))
    store(out, where + 192, p - q)
    store(out, where + 208, m - q)
    store(out, where + 224, -(m + q))
    store(out, where + 240, -(p + q))


@part(forceinline=True)
def signed_sums(values: Array, place: int, step: int, out: Array, where: int) -> None:
    """`sums_of` four vectors of `values` that lie `step` apart."""
    a, b = load(values, place), load(values, place + step)
    sums_of(a, b, load(values, place + 2 * step), load(values, place + 3 * step), out, where)


@part(forceinline=True)
def _four_entries(x: Any, e: Any, out: Array, where: int, opposite: int) -> None:
    """``x + e``, ``x - e`` and, at the opposite entry, ``-x + e`` and ``-x - e``."""
    more, less = x + e, x - e
    store(out, where, more)
    store(out, where + TABLE, less)
    store(out, opposite, -less)
    store(out, opposite + TABLE, -more)


@part(forceinline=True)
def sums_of_five(a: Any, b: Any, c: Any, d: Any, e: Any, out: Array, where: int) -> None:
    """``out[where + 16 n :+16] = +-a +-b +-c +-d +-e``, a minus where bit 0, 1, .. 4 of n is set."""
    p, m, q, n = a + b, b - a, c + d, d - c
    last = where + 15 * LANES
    _four_entries(q + p, e, out, where, last)
    _four_entries(q + m, e, out, where + LANES, last - LANES)
    _four_entries(q - m, e, out, where + 2 * LANES, last - 2 * LANES)
    _four_entries(q - p, e, out, where + 3 * LANES, last - 3 * LANES)
    _four_entries(n + p, e, out, where + 4 * LANES, last - 4 * LANES)
    _four_entries(n + m, e, out, where + 5 * LANES, last - 5 * LANES)
    _four_entries(n - m, e, out, where + 6 * LANES, last - 6 * LANES)
    _four_entries(n - p, e, out, where + 7 * LANES, last - 7 * LANES)


def make_look_up(
    sums: int, groups: int, parts: int = 1, bytes_at_once: int = 8, apart: bool = False, table: int = TABLE
) -> Callable[..., Any]:
    """Sums of table entries: ``tables[part, g, nibble (g, s)]`` over the groups g.

    The nibbles follow each other as they are used, group by group, and `bytes_at_once` are read together: a processor
    takes the single ones out of a register while its ways to the memory are busy with the tables. Where they lie in
    two places, `apart`, each has an argument. Each nibble is used for `parts` vectors, whose tables lie `groups` apart.
    Several sums at once hide the latency of an addition.
    """
    word = ir.IntType(8 * bytes_at_once)

    @intrinsic
    def look_up(typing: Any, tables: Any, nibbles: Any, first: Any, second: Any) -> Any:
        result = types.UniTuple(f32x16, sums * parts)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            t = builder.bitcast(data(context, builder, signature, args, 0), I64.as_pointer())
            n = data(context, builder, signature, args, 1)
            totals: list[list[Any]] = [[None] * parts for _ in range(sums)]
            loaded = None
            for k in range(groups * sums):
                g, s = divmod(k, sums)
                nth, byte = divmod(k, bytes_at_once)
                if byte == 0:
                    place = args[3] if apart and nth else builder.add(args[2], ir.Constant(I64, k))
                    loaded = builder.load(at(builder, n, place, word), align=1)
                shifted = builder.lshr(loaded, ir.Constant(word, 8 * byte))
                index = builder.zext(builder.trunc(shifted, ir.IntType(8)), I64)
                for p in range(parts):
                    base = ir.Constant(I64, (p * groups + g) * table * 4 // 8)
                    entry = builder.load(at(builder, t, builder.add(index, base), f32x16.vector), align=4)
                    before = totals[s][p]
                    totals[s][p] = entry if before is None else builder.fadd(before, entry)
            return context.make_tuple(builder, result, [total for row in totals for total in row])

        return result(tables, nibbles, types.intp, types.intp), codegen

    return look_up
