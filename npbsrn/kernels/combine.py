"""Products of a constant matrix with a few vectors, in registers: the transforms of `npbsrn.kernels.tile_points`."""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from npbsrn.kernels.memory import at, data
from npbsrn.kernels.simd import I64, LANES, f32x16, multiply_add

Array = np.ndarray[Any, Any]


def combination(builder: Any, values: list[Any], factors: Array) -> Any:
    """Sum of vectors with constant factors; None without any."""
    total = None
    for value, factor in zip(values, factors, strict=True):
        if factor == 0:
            continue
        constant = ir.Constant(f32x16.vector, [float(factor)] * LANES)
        total = builder.fmul(value, constant) if total is None else multiply_add(builder, value, constant, total)
    return total


def _pairs(matrix: Array) -> list[int]:
    """Rows that have the magnitudes of the row behind them, as those of the points p and -p have."""
    found: list[int] = []
    for i in range(len(matrix) - 1):
        if i - 1 not in found and np.array_equal(abs(matrix[i]), abs(matrix[i + 1])):
            found.append(i)
    return found


def _sums_and_differences(builder: Any, values: list[Any], matrix: Array) -> tuple[list[Any], Array]:
    """The same product with the sum and the difference in place of two vectors whose factors differ in signs alone."""
    values, matrix = list(values), matrix.copy()
    for j in _pairs(matrix.T):
        x, y = values[j], values[j + 1]
        values[j : j + 2] = builder.fadd(x, y), builder.fsub(x, y)
        a, b = matrix[:, j].copy(), matrix[:, j + 1].copy()
        matrix[:, j], matrix[:, j + 1] = (a + b) / 2, (a - b) / 2
    return values, matrix


def product(builder: Any, values: list[Any], matrix: Array) -> list[Any]:
    """``matrix @ values``, with half of the products where rows or columns are those of two opposite points."""
    values, matrix = _sums_and_differences(builder, values, matrix)
    pairs, results = _pairs(matrix), []
    for i, row in enumerate(matrix):
        if i - 1 in pairs:
            continue
        if i in pairs:
            same = row == matrix[i + 1]
            both, apart = (combination(builder, values, np.where(kept, row, 0)) for kept in (same, ~same))
            results += [builder.fadd(both, apart), builder.fsub(both, apart)]
        else:
            results.append(combination(builder, values, row))
    return results


def make_combine(matrix: Array, add: int = 0) -> Callable[..., Any]:
    """Make the intrinsic for a matrix; the first `add` results are added to what is there."""

    @intrinsic
    def combine(typing: Any, x: Any, place: Any, step: Any, y: Any, where: Any, stride: Any) -> Any:
        """``y[where + i * stride :+16] = sum_j matrix[i, j] x[place + j * step :+16]``."""
        i = types.intp

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            def pointer(base: int, first: Any, step: Any, n: int) -> Any:
                index = builder.add(first, builder.mul(step, ir.Constant(I64, n)))
                return at(builder, data(context, builder, signature, args, base), index, f32x16.vector)

            sources = (pointer(0, args[1], args[2], j) for j in range(matrix.shape[1]))
            values = [builder.load(source, align=4) for source in sources]
            for n, result in enumerate(product(builder, values, matrix)):
                target = pointer(3, args[4], args[5], n)
                total = builder.fadd(result, builder.load(target, align=4)) if n < add else result
                builder.store(total, target, align=4)
            return context.get_dummy_value()

        return types.void(x, i, i, y, i, i), codegen

    return combine
