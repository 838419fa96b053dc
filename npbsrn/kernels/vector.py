"""Vector instructions that Numba's loops do not come to by themselves, written as portable LLVM IR.

A vector holds 16 pixels (or 16 channels). Arrays are C-contiguous; places in them are counted in elements.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

WIDTH = 48  # channels of the networks that these kernels serve: 3 vectors, 3 words of 16 bits, 12 groups of 4
F16 = ir.VectorType(ir.FloatType(), 16)
H16 = ir.VectorType(ir.IntType(16), 16)
I64 = ir.IntType(64)


def _const(value: int) -> Any:
    return ir.Constant(I64, value)


def _data(context: Any, builder: Any, signature: Any, args: Any, k: int) -> Any:
    """Pointer to the first element of argument k, an array."""
    return context.make_array(signature.args[k])(context, builder, args[k]).data


def _at(builder: Any, base: Any, index: Any, kind: Any) -> Any:
    return builder.bitcast(builder.gep(base, [index]), kind.as_pointer())


@intrinsic
def atomic_add(typing: Any, array: Any, value: Any) -> Any:
    """Add to ``array[0]``, for all threads in one order; gives what was there."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", _data(context, builder, signature, args, 0), args[1], "seq_cst")

    return types.int64(array, types.int64), codegen


def _make_count(size: int) -> Callable[..., Any]:
    """Popcount convolution of one vector of pixels: all inputs stay in registers while the output channels pass by."""

    @intrinsic
    def count(
        typing: Any, bits: Any, at: Any, stride: Any, plane: Any, weights: Any, out: Any, where: Any, step: Any
    ) -> Any:
        """``out[where + o * step :+16] = popcount(bits ^ weights[o])`` over 3 planes and size x size taps, all 48 o."""
        place = types.intp
        signature = types.void(bits, place, place, place, weights, out, place, place)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            b, w, r = (_data(context, builder, signature, args, k) for k in (0, 4, 5))
            at, stride, plane, where, step = args[1], args[2], args[3], args[6], args[7]
            inputs = []
            for p in range(3):
                for ky in range(size):
                    line = builder.add(builder.mul(plane, _const(p)), builder.mul(stride, _const(ky)))
                    for kx in range(size):
                        index = builder.add(builder.add(at, line), _const(kx))
                        inputs.append(builder.load(_at(builder, b, index, H16), align=2))
            kind = ir.FunctionType(H16, [H16])
            popcount = cgutils.get_or_insert_function(builder.module, kind, "llvm.ctpop.v16i16")
            undefined = ir.Constant(H16, ir.Undefined)
            all_first = ir.Constant(ir.VectorType(ir.IntType(32), 16), [0] * 16)
            with cgutils.for_range(builder, _const(WIDTH)) as loop:
                total = None
                first = builder.mul(loop.index, _const(len(inputs)))
                for k, x in enumerate(inputs):
                    word = builder.load(builder.gep(w, [builder.add(first, _const(k))]))
                    word = builder.insert_element(undefined, word, ir.Constant(ir.IntType(32), 0))
                    word = builder.shuffle_vector(word, undefined, all_first)
                    ones = builder.call(popcount, [builder.xor(x, word)])
                    total = ones if total is None else builder.add(total, ones)
                target = builder.add(where, builder.mul(loop.index, step))
                builder.store(total, _at(builder, r, target, H16), align=2)
            return context.get_dummy_value()

        return signature, codegen

    return count


count3, count1 = _make_count(3), _make_count(1)


def _make_gather(terms: int, chains: int = 4) -> Callable[..., Any]:
    """Sum of table entries over vectors of pixels; several chains of additions hide their latency."""

    @intrinsic
    def gather(typing: Any, tables: Any, base: Any, offsets: Any, first: Any, out: Any, where: Any, fresh: Any) -> Any:
        """``out[where :+16] = (0 if fresh else itself) + sum_j tables[base + offsets[first + j] :+16]``."""
        place = types.intp
        signature = types.void(tables, place, offsets, place, out, place, types.boolean)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            t, o, r = (_data(context, builder, signature, args, k) for k in (0, 2, 4))
            base, first, fresh = args[1], args[3], args[6]
            target = _at(builder, r, args[5], F16)
            old = builder.select(fresh, ir.Constant(F16, None), builder.load(target, align=4))
            sums = [old] + [None] * (chains - 1)
            for j in range(terms):
                offset = builder.zext(builder.load(builder.gep(o, [builder.add(first, _const(j))])), I64)
                entry = builder.load(_at(builder, t, builder.add(base, offset), F16), align=4)
                before = sums[j % chains]
                sums[j % chains] = entry if before is None else builder.fadd(before, entry)
            while len(sums) > 1:
                sums = [builder.fadd(sums[k], sums[k + 1]) for k in range(0, len(sums), 2)]
            builder.store(sums[0], target, align=4)
            return context.get_dummy_value()

        return signature, codegen

    return gather


gather36, gather12 = _make_gather(36), _make_gather(12)


@intrinsic
def scatter8(typing: Any, tables: Any, nibbles: Any, row0: Any, row1: Any, out: Any, where: Any) -> Any:
    """``out[where :+48] += sum_j tables[j, nibble_j, :]``, the nibbles at row0 + 0, 4, 8, 12 and row1 + the same."""
    place = types.intp
    signature = types.void(tables, nibbles, place, place, out, place)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        t, n, r = (_data(context, builder, signature, args, k) for k in (0, 1, 4))
        targets = [_at(builder, r, builder.add(args[5], _const(16 * part)), F16) for part in range(3)]
        sums: list[list[Any]] = [[None] * 3, [None] * 3]
        for j in range(8):
            row = args[2] if j < 4 else args[3]
            nibble = builder.zext(builder.load(builder.gep(n, [builder.add(row, _const(4 * (j % 4)))])), I64)
            offset = builder.add(_const(j * 16 * WIDTH), builder.mul(nibble, _const(WIDTH)))
            for part in range(3):
                entry = builder.load(_at(builder, t, builder.add(offset, _const(16 * part)), F16), align=4)
                before = sums[j % 2][part]
                sums[j % 2][part] = entry if before is None else builder.fadd(before, entry)
        for part in range(3):
            total = builder.fadd(sums[0][part], sums[1][part])
            builder.store(builder.fadd(builder.load(targets[part], align=4), total), targets[part], align=4)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def signed_sums(typing: Any, values: Any, at: Any, step: Any, out: Any, where: Any, stride: Any) -> Any:
    """The 16 signed sums of four vectors.

    ``out[where + n * stride :+16] = sum_b +-values[at + b * step :+16]``, a minus where bit b of n is set.
    """
    place = types.intp
    signature = types.void(values, place, place, out, place, place)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        v, r = (_data(context, builder, signature, args, k) for k in (0, 3))
        at, step, where, stride = args[1], args[2], args[4], args[5]
        d = [
            builder.load(_at(builder, v, builder.add(at, builder.mul(step, _const(b))), F16), align=4) for b in range(4)
        ]
        plus, minus = builder.fadd, builder.fsub
        halves = []  # of bits 0 and 1, of bits 2 and 3: ++, -+, +-, --
        for a, b in ((d[0], d[1]), (d[2], d[3])):
            both, first_off = plus(a, b), minus(b, a)
            halves.append([both, first_off, builder.fneg(first_off), builder.fneg(both)])
        for n in range(16):
            entry = plus(halves[0][n & 3], halves[1][n >> 2])
            target = builder.add(where, builder.mul(stride, _const(n)))
            builder.store(entry, _at(builder, r, target, F16), align=4)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def transpose16(typing: Any, values: Any, at: Any, step: Any, out: Any, where: Any, stride: Any) -> Any:
    """``out[where + c * stride + r] = values[at + r * step + c]`` for r, c < 16."""
    place = types.intp
    signature = types.void(values, place, place, out, place, place)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        v, r = (_data(context, builder, signature, args, k) for k in (0, 3))
        at, step, where, stride = args[1], args[2], args[4], args[5]

        def line(base: Any, first: Any, stride: Any, n: int) -> Any:
            return _at(builder, base, builder.add(first, builder.mul(stride, _const(n))), F16)

        rows = [builder.load(line(v, at, step, n), align=4) for n in range(16)]
        for span in (1, 2, 4, 8):  # exchange the off-diagonal quarters of all 2 span x 2 span blocks
            low = [c if not c & span else 16 + (c ^ span) for c in range(16)]
            high = [c | span if not c & span else 16 + c for c in range(16)]
            masks = [ir.Constant(ir.VectorType(ir.IntType(32), 16), mask) for mask in (low, high)]
            for n in range(16):
                if not n & span:
                    a, b = rows[n], rows[n | span]
                    rows[n], rows[n | span] = (builder.shuffle_vector(a, b, mask) for mask in masks)
        for n, row in enumerate(rows):
            builder.store(row, line(r, where, stride, n), align=4)
        return context.get_dummy_value()

    return signature, codegen
