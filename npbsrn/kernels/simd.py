"""Vectors of 16 lanes as Numba values, written as portable LLVM IR.

Numba's own loops do not compile to good vector code if they are short or use several arrays (each time it checks
whether they overlap). Here a kernel states what the vectors do: ``store(out, at, load(x, at) * factor + shift)``.

A vector holds 16 pixels (or 16 channels). The types are `f32x16`, `u16x16`, `u32x16`, and `mask16`, the result of a
comparison. `load` and `store` are in `npbsrn.kernels.memory`.
"""

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from npbsrn.kernels.cpu import has_fma

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
    """``x * y + z`` of `f32x16`, by one instruction where the CPU has it: not for what decides a sign."""
    kind = ir.FunctionType(f32x16.vector, [f32x16.vector] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.fmuladd.v16f32"), [x, y, z])


def fused_multiply_add(builder: Any, x: Any, y: Any, z: Any) -> Any:
    """``x * y + z`` of `f32x16`, rounded once, on every CPU."""
    if not has_fma():  # where LLVM would call a function of the C library for each lane
        return _in_float64(builder, x, y, z)
    kind = ir.FunctionType(f32x16.vector, [f32x16.vector] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.fma.v16f32"), [x, y, z])


def _in_float64(builder: Any, x: Any, y: Any, z: Any) -> Any:
    """The same by float64, in which the product is exact.

    The sum is not. If it were rounded to the nearest float64 and then to float32, it could be rounded twice in one
    direction; so of the two float64 around it that with an odd last bit is taken. What is left of the sum is known
    from Knuth's TwoSum. See S. Boldo and G. Melquiond, "Emulation of FMA and correctly rounded sums", IEEE
    Transactions on Computers, 2008.
    """
    wide, bits = ir.VectorType(ir.DoubleType(), LANES), ir.VectorType(I64, LANES)
    one, none = ir.Constant(bits, [1] * LANES), ir.Constant(bits, None)
    zero = ir.Constant(wide, None)
    product = builder.fmul(*(builder.fpext(value, wide) for value in (x, y)))
    term = builder.fpext(z, wide)
    total = builder.fadd(product, term)
    other = builder.fsub(total, product)
    left = builder.fadd(builder.fsub(product, builder.fsub(total, other)), builder.fsub(term, other))
    whole = builder.bitcast(total, bits)
    even = builder.icmp_unsigned("==", builder.and_(whole, one), none)
    inexact = builder.and_(builder.fcmp_ordered("!=", left, zero), even)
    outwards = builder.xor(builder.fcmp_ordered(">", left, zero), builder.fcmp_ordered("<", total, zero))
    step = builder.select(outwards, one, ir.Constant(bits, [-1] * LANES))
    odd = builder.add(whole, builder.select(inexact, step, none))
    return builder.fptrunc(builder.bitcast(odd, wide), f32x16.vector)


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


def _operation(name: str) -> Emit:
    # Without flags: LLVM may not make one operation of a product and a sum, which would round once where there is one.
    return lambda builder, x, y: getattr(builder, name)(x, y)


def _comparison(name: str, sign: str) -> Emit:
    return lambda builder, x, y: getattr(builder, name)(sign, x, y)


for _function, _name in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    _define(_function, f32x16, types.float32, f32x16, _operation(_name))
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
    _define(_function, u16x16, types.uint16, u16x16, _operation(_name))


@infer_global(operator.neg)
class _Negative(ConcreteTemplate):
    cases = [signature(f32x16, f32x16)]  # noqa: RUF012


@lower_builtin(operator.neg, f32x16)  # type: ignore[untyped-decorator]
def _negate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return builder.fneg(args[0])


# --- the rest ---


LANE_KINDS = {types.float32: f32x16, types.uint16: u16x16}


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


def _of_three(emit: Callable[..., Any]) -> Callable[..., Any]:
    """Codegen of three arguments, each a vector or a scalar."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vectors = [
            value if given == f32x16 else broadcast(builder, context.cast(builder, value, given, types.float32), f32x16)
            for value, given in zip(args, signature.args, strict=True)
        ]
        return emit(builder, *vectors)

    return codegen


@intrinsic
def fused(typing: Any, x: Any, y: Any, z: Any) -> Any:
    """``x * y + z``, rounded once, on every CPU."""
    return f32x16(x, y, z), _of_three(fused_multiply_add)


@intrinsic
def contracted(typing: Any, x: Any, y: Any, z: Any) -> Any:
    """``x * y + z``, rounded once where the CPU has an instruction for it, else twice: for gradients alone."""
    return f32x16(x, y, z), _of_three(multiply_add)


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
    """``2 * bits + (x < 0)``, lane by lane, of float32 that is not -0.0: its highest bit is moved over.

    A sum gives -0.0 where it is negative and too small for a float32, below 1e-45: that counts as negative here.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = u32x16.vector
        kind = ir.FunctionType(vector, [vector] * 3)
        shift = cgutils.get_or_insert_function(builder.module, kind, "llvm.fshl.v16i32")
        return builder.call(shift, [args[0], builder.bitcast(args[1], vector), ir.Constant(vector, [1] * LANES)])

    return u32x16(u32x16, f32x16), codegen


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
