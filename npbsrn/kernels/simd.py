"""Vectors of 16 lanes as Numba values, written as portable LLVM IR.

Numba's own loops do not become good vector code where a loop is short or has several arrays (it checks each time
whether they overlap). Here a kernel says what the vectors do: ``store(out, at, load(x, at) * factor + shift)``.

A vector holds 16 pixels (or 16 channels). Arrays are C-contiguous; places in them are counted in elements. Types:
`f32x16`, `u16x16`, `u32x16`, and `mask16`, what a comparison gives.
"""

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

Emit = Callable[[Any, Any, Any], Any]  # (builder, x, y) -> value

LANES = 16
I32, I64 = ir.IntType(32), ir.IntType(64)


class Vector(types.Type):
    """Numba type of a vector; `lane` is LLVM's type of one lane."""

    def __init__(self, name: str, lane: Any) -> None:
        self.vector = ir.VectorType(lane, LANES)
        super().__init__(name=name)

    def __reduce__(self) -> Any:
        return _by_name, (self.name,)


f32x16 = Vector("f32x16", ir.FloatType())
u16x16 = Vector("u16x16", ir.IntType(16))
u32x16 = Vector("u32x16", ir.IntType(32))
mask16 = Vector("mask16", ir.IntType(1))
VECTORS = {kind.name: kind for kind in (f32x16, u16x16, u32x16, mask16)}


def _by_name(name: str) -> Vector:
    return VECTORS[name]


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    """How Numba holds a vector: as LLVM's own."""

    def __init__(self, dmm: Any, fe_type: Vector) -> None:
        super().__init__(dmm, fe_type, fe_type.vector)


# --- arithmetic: vectors with vectors, or with a scalar of the lane's type ---


def broadcast(builder: Any, value: Any, kind: Vector) -> Any:
    """All lanes `value`."""
    undefined = ir.Constant(kind.vector, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(I32, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(I32, LANES), [0] * LANES))


def multiply_add(builder: Any, x: Any, y: Any, z: Any) -> Any:
    """``x * y + z`` of `f32x16`, by one instruction where the CPU has it."""
    kind = ir.FunctionType(f32x16.vector, [f32x16.vector] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.fmuladd.v16f32"), [x, y, z])


def _define(function: Any, kind: Vector, scalar: Any, result: Vector, emit: Emit) -> None:
    """Let an operator take two vectors, or a vector and a scalar on either side."""
    pairs = [(kind, kind), (kind, scalar), (scalar, kind)]

    class Template(ConcreteTemplate):
        cases = [signature(result, *pair) for pair in pairs]  # noqa: RUF012

    infer_global(function)(Template)
    for pair in pairs:

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            a, b = (
                value if given == kind else broadcast(builder, context.cast(builder, value, given, scalar), kind)
                for value, given in zip(args, signature.args, strict=True)
            )
            return emit(builder, a, b)

        lower_builtin(function, *pair)(lower)


def _float_operation(name: str) -> Emit:
    # "contract": a product and a sum may become one instruction
    return lambda builder, x, y: getattr(builder, name)(x, y, flags=("contract",))


def _whole_operation(name: str) -> Emit:
    return lambda builder, x, y: getattr(builder, name)(x, y)


def _comparison(name: str, sign: str) -> Emit:
    return lambda builder, x, y: getattr(builder, name)(sign, x, y)


for _function, _name in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    _define(_function, f32x16, types.float32, f32x16, _float_operation(_name))
for _function, _sign in ((operator.lt, "<"), (operator.le, "<="), (operator.gt, ">"), (operator.ge, ">=")):
    _define(_function, f32x16, types.float32, mask16, _comparison("fcmp_ordered", _sign))
for _function, _name in (
    (operator.add, "add"),
    (operator.sub, "sub"),
    (operator.and_, "and_"),
    (operator.or_, "or_"),
    (operator.xor, "xor"),
    (operator.lshift, "shl"),
    (operator.rshift, "lshr"),
):
    _define(_function, u16x16, types.uint16, u16x16, _whole_operation(_name))


@infer_global(operator.neg)
class _Negative(ConcreteTemplate):
    cases = [signature(f32x16, f32x16)]  # noqa: RUF012


@lower_builtin(operator.neg, f32x16)  # type: ignore[untyped-decorator]
def _negate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return builder.fneg(args[0])


# --- memory ---


class Memory(types.Type):
    """Numba type of an array's numbers without the array: their address.

    Numba counts who holds an array wherever it hands one on, even within a loop, and each count waits until all that
    was stored before is in memory. So where the parts of a kernel are called for each tile, they are given this.
    """

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"memory({dtype})")


ELEMENTS = {types.float32: ir.FloatType(), types.uint16: ir.IntType(16)}


@register_model(Memory)
class MemoryModel(models.PrimitiveModel):
    """How Numba holds it: as a pointer."""

    def __init__(self, dmm: Any, fe_type: Memory) -> None:
        super().__init__(dmm, fe_type, ELEMENTS[fe_type.dtype].as_pointer())


@intrinsic
def memory(typing: Any, array: Any) -> Any:
    """Where the numbers of a contiguous array begin, for as long as somebody holds the array; None of None."""
    if array == types.none:
        return types.none(array), lambda context, builder, signature, args: context.get_dummy_value()
    return Memory(array.dtype)(array), lambda *codegen: data(*codegen, 0)


def data(context: Any, builder: Any, signature: Any, args: Any, k: int) -> Any:
    """Pointer to the first element of argument k, an array or its memory."""
    kind = signature.args[k]
    return args[k] if isinstance(kind, Memory) else context.make_array(kind)(context, builder, args[k]).data


def at(builder: Any, base: Any, index: Any, kind: Any) -> Any:
    """Pointer to element `index`, as a pointer to `kind`."""
    return builder.bitcast(builder.gep(base, [index]), kind.as_pointer())


LANE_KINDS = {types.float32: f32x16, types.uint16: u16x16}


@intrinsic
def load(typing: Any, array: Any, place: Any) -> Any:
    """``array.ravel()[place :+16]``, of float32 or uint16."""
    kind = LANE_KINDS[array.dtype]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = at(builder, data(context, builder, signature, args, 0), args[1], kind.vector)
        return builder.load(pointer, align=array.dtype.bitwidth // 8)

    return kind(array, types.intp), codegen


@intrinsic
def store(typing: Any, array: Any, place: Any, vector: Any) -> Any:
    """``array.ravel()[place :+16] = vector``; to uint8 the low halves of uint16."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = args[2]
        if array.dtype == types.uint8:
            value = builder.trunc(value, ir.VectorType(ir.IntType(8), LANES))
        pointer = at(builder, data(context, builder, signature, args, 0), args[1], value.type)
        builder.store(value, pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), codegen


@intrinsic
def scalar(typing: Any, array: Any, place: Any) -> Any:
    """``array.ravel()[place]``. Numba's own ``array[i]`` asks each time whether i counts from the end."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(builder.gep(data(context, builder, signature, args, 0), [args[1]]))

    return array.dtype(array, types.intp), codegen


@intrinsic
def put(typing: Any, array: Any, place: Any, value: Any) -> Any:
    """``array.ravel()[place] = value``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = context.cast(builder, args[2], signature.args[2], array.dtype)
        builder.store(value, builder.gep(data(context, builder, signature, args, 0), [args[1]]))
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


# --- the rest ---


@intrinsic
def splat(typing: Any, value: Any) -> Any:
    """All lanes `value`, a float32 or uint16."""
    kind = LANE_KINDS[value]
    return kind(value), lambda context, builder, signature, args: broadcast(builder, args[0], kind)


@intrinsic
def select(typing: Any, mask: Any, yes: Any, no: Any) -> Any:
    """Lane by lane, `yes` where the mask is set, else `no`; both of one type."""
    return yes(mask, yes, yes), lambda context, builder, signature, args: builder.select(*args)


@intrinsic
def magnitude(typing: Any, x: Any) -> Any:
    """``|x|``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(f32x16.vector, [f32x16.vector])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.fabs.v16f32"), args)

    return f32x16(f32x16), codegen


@intrinsic
def to_float(typing: Any, x: Any) -> Any:
    """Whole numbers as float32."""
    return f32x16(u16x16), lambda context, builder, signature, args: builder.uitofp(args[0], f32x16.vector)


@intrinsic
def fused(typing: Any, x: Any, y: Any, z: Any) -> Any:
    """``x * y + z``, rounded once, on every CPU."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vectors = [
            value if given == f32x16 else broadcast(builder, context.cast(builder, value, given, types.float32), f32x16)
            for value, given in zip(args, signature.args, strict=True)
        ]
        kind = ir.FunctionType(f32x16.vector, [f32x16.vector] * 3)
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.fma.v16f32"), vectors)

    return f32x16(x, y, z), codegen


@intrinsic
def divide(typing: Any, x: Any, divisor: Any) -> Any:
    """``x / divisor``, by a float32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fdiv(args[0], broadcast(builder, args[1], f32x16))

    return f32x16(f32x16, types.float32), codegen


@intrinsic
def no_bits(typing: Any) -> Any:
    """All lanes 0, to push bits into."""
    return u32x16(), lambda context, builder, signature, args: ir.Constant(u32x16.vector, None)


@intrinsic
def push_sign(typing: Any, bits: Any, x: Any) -> Any:
    """``2 * bits + (x < 0)``, lane by lane, of float32 that is not -0.0: its highest bit is moved over."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = u32x16.vector
        kind = ir.FunctionType(vector, [vector] * 3)
        shift = cgutils.get_or_insert_function(builder.module, kind, "llvm.fshl.v16i32")
        return builder.call(shift, [args[0], builder.bitcast(args[1], vector), ir.Constant(vector, [1] * LANES)])

    return u32x16(u32x16, f32x16), codegen


@intrinsic
def low_words(typing: Any, x: Any) -> Any:
    """The low halves of whole numbers of 32 bits."""
    return u16x16(u32x16), lambda context, builder, signature, args: builder.trunc(args[0], u16x16.vector)


@intrinsic
def store_words(typing: Any, array: Any, place: Any, x: Any, y: Any) -> Any:
    """Store the low halves of two vectors of whole numbers of 32 bits, by one instruction."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        halves = [builder.trunc(value, u16x16.vector) for value in args[2:]]
        both = builder.shuffle_vector(*halves, ir.Constant(ir.VectorType(I32, 2 * LANES), list(range(2 * LANES))))
        pointer = at(builder, data(context, builder, signature, args, 0), args[1], both.type)
        builder.store(both, pointer, align=2)
        return context.get_dummy_value()

    return types.void(array, types.intp, u32x16, u32x16), codegen


@intrinsic
def total(typing: Any, x: Any) -> Any:
    """Sum of the lanes, by halves."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector, width = args[0], LANES
        undefined = ir.Constant(f32x16.vector, ir.Undefined)
        while width > 1:
            width //= 2
            mask = ir.Constant(ir.VectorType(I32, LANES), [*range(width, 2 * width), *[0] * (LANES - width)])
            vector = builder.fadd(vector, builder.shuffle_vector(vector, undefined, mask))
        return builder.extract_element(vector, ir.Constant(I32, 0))

    return types.float32(f32x16), codegen


@intrinsic
def atomic_add(typing: Any, array: Any, value: Any) -> Any:
    """Add to ``array[0]``, for all threads in one order; gives what was there."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", data(context, builder, signature, args, 0), args[1], "seq_cst")

    return types.int64(array, types.int64), codegen
