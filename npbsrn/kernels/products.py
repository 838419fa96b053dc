"""Products of small matrices of floats, a block of whose results stays in registers."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from npbsrn.kernels.cpu import has_avx512
from npbsrn.kernels.jit import part
from npbsrn.kernels.memory import at, data
from npbsrn.kernels.simd import I64, LANES, broadcast, f32x16, multiply_add

ROWS = 12 if has_avx512() else 6  # of 16 results, beside which there is room for what is multiplied


@intrinsic
def _block(
    typing: Any, x: Any, place: Any, row: Any, column: Any, length: Any, w: Any, first: Any, y: Any, where: Any,
    rows: Any, add: Any,
) -> Any:  # fmt: skip
    """`multiply` for 1 to `ROWS` rows, each number of which is code of its own."""
    i = types.intp
    signature = types.void(x, i, i, i, i, w, i, y, i, i, types.boolean)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        xs, ws, ys = (data(context, builder, signature, args, k) for k in (0, 5, 7))
        place, row, column, length, first, where, rows, add = (args[k] for k in (1, 2, 3, 4, 6, 8, 9, 10))

        def result(r: int) -> Any:
            return at(builder, ys, builder.add(where, ir.Constant(I64, r * LANES)), f32x16.vector)

        def sums_of(count: int) -> None:
            zero = ir.Constant(f32x16.vector, None)
            sums = [cgutils.alloca_once_value(builder, zero) for _ in range(count)]
            for slot in sums:
                builder.store(zero, slot)
            starts = [builder.add(place, builder.mul(row, ir.Constant(I64, r))) for r in range(count)]
            with cgutils.for_range(builder, length) as k:
                weights = builder.add(first, builder.mul(k.index, ir.Constant(I64, LANES)))
                factor = builder.load(at(builder, ws, weights, f32x16.vector), align=4)
                step = builder.mul(k.index, column)
                for slot, start in zip(sums, starts, strict=True):
                    value = broadcast(builder, builder.load(builder.gep(xs, [builder.add(start, step)])), f32x16)
                    builder.store(multiply_add(builder, value, factor, builder.load(slot)), slot)
            with builder.if_then(add):
                for r, slot in enumerate(sums):
                    builder.store(builder.fadd(builder.load(slot), builder.load(result(r), align=4)), slot)
            for r, slot in enumerate(sums):
                builder.store(builder.load(slot), result(r), align=4)

        done = builder.append_basic_block("done")
        cases = builder.switch(rows, done)
        for count in range(1, ROWS + 1):
            case = builder.append_basic_block(f"rows{count}")
            cases.add_case(ir.Constant(I64, count), case)
            builder.position_at_end(case)
            sums_of(count)
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, codegen


@part(forceinline=True)
def multiply(
    x: Any, place: int, row: int, column: int, length: int, w: Any, first: int, y: Any, where: int, rows: int, add: bool
) -> None:
    """``y[where + 16 r :+16] = sum_k x[place + r * row + k * column] w[first + 16 k :+16]``, for r < rows, k < length.

    With `add` that is added to y. Each sum has the same order, whatever the rows.
    """
    groups, done = (rows + ROWS - 1) // ROWS, 0
    for n in range(groups):  # of nearly one size: few rows would wait for one another's sums
        count = rows // groups + (n < rows % groups)
        _block(x, place + done * row, row, column, length, w, first, y, where + done * LANES, count, add)
        done += count
