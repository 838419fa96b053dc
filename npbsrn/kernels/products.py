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

ROWS = 12 if has_avx512() else 6  # of results, beside which there is room for what is multiplied
MATRICES = 2 if has_avx512() else 1  # that x is multiplied with at once: each value of x is then read once for both


def _make_block(matrices: int) -> Any:
    """`multiply` for so many matrices and 1 to `ROWS` rows, each number of which is code of its own."""

    @intrinsic
    def block(
        typing: Any, x: Any, place: Any, row: Any, column: Any, length: Any, w: Any, first: Any, next_w: Any, y: Any,
        where: Any, next_y: Any, rows: Any, add: Any,
    ) -> Any:  # fmt: skip
        i = types.intp
        signature = types.void(x, i, i, i, i, w, i, i, y, i, i, i, types.boolean)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            xs, ws, ys = (data(context, builder, signature, args, k) for k in (0, 5, 8))
            place, row, column, length, first, next_w, where, next_y, rows, add = (
                args[k] for k in (1, 2, 3, 4, 6, 7, 9, 10, 11, 12)
            )

            def nth(base: Any, gap: Any, n: int) -> Any:
                return builder.add(base, builder.mul(gap, ir.Constant(I64, n)))

            def result(n: int, r: int) -> Any:
                return at(builder, ys, builder.add(nth(where, next_y, n), ir.Constant(I64, r * LANES)), f32x16.vector)

            def sums_of(count: int) -> None:
                zero = ir.Constant(f32x16.vector, None)
                sums = {(n, r): cgutils.alloca_once_value(builder, zero) for r in range(count) for n in range(matrices)}
                for slot in sums.values():
                    builder.store(zero, slot)
                starts = [nth(place, row, r) for r in range(count)]
                with cgutils.for_range(builder, length) as k:
                    weights = nth(first, k.index, LANES)
                    places = [at(builder, ws, nth(weights, next_w, n), f32x16.vector) for n in range(matrices)]
                    factors = [builder.load(where, align=4) for where in places]
                    step = builder.mul(k.index, column)
                    for r, start in enumerate(starts):
                        value = broadcast(builder, builder.load(builder.gep(xs, [builder.add(start, step)])), f32x16)
                        for n, factor in enumerate(factors):
                            slot = sums[n, r]
                            builder.store(multiply_add(builder, value, factor, builder.load(slot)), slot)
                with builder.if_then(add):
                    for own, slot in sums.items():
                        builder.store(builder.fadd(builder.load(slot), builder.load(result(*own), align=4)), slot)
                for own, slot in sums.items():
                    builder.store(builder.load(slot), result(*own), align=4)

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

    return block


_one, _two = (_make_block(matrices) for matrices in (1, 2))  # intrinsics are globals, see `npbsrn.kernels.counts`


@part(forceinline=True)
def multiply(
    x: Any, place: int, row: int, column: int, length: int, w: Any, first: int, next_w: int, y: Any, where: int,
    next_y: int, rows: int, matrices: int, add: bool,
) -> None:  # fmt: skip
    """Products of one matrix with several others of 16 columns, `next_w` apart, whose results are `next_y` apart.

    ``y[where + 16 r :+16] = sum_k x[place + r * row + k * column] w[first + 16 k :+16]``, for r < rows, k < length.
    With `add` that is added to y. Each sum has the same order, whatever the rows and the matrices; these are at most
    `MATRICES`.
    """
    groups, done = (rows + ROWS - 1) // ROWS, 0
    for n in range(groups):  # of nearly one size: few rows would wait for one another's sums
        count = rows // groups + (n < rows % groups)
        start, target = place + done * row, where + done * LANES
        if MATRICES == 2 and matrices == 2:
            _two(x, start, row, column, length, w, first, next_w, y, target, next_y, count, add)
        else:
            _one(x, start, row, column, length, w, first, next_w, y, target, next_y, count, add)
        done += count
