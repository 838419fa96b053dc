"""Arrays as memory: load and store, vector by vector or number by number.

Arrays are C-contiguous; positions in them are counted in elements.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from npbsrn.kernels.simd import I32, LANE_KINDS, LANES, u16x16, u32x16


class Memory(types.Type):
    """Numba type of an array's numbers without the array: their address.

    Numba counts who holds an array wherever it hands one on, even within a loop, and each count waits until all that
    was stored before is in memory. So where the parts of a kernel are called for each tile, they are given this.
    """

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"memory({dtype})")


ELEMENTS = {types.float32: ir.FloatType(), types.uint16: ir.IntType(16), types.int64: ir.IntType(64)}


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


@intrinsic
def hold(typing: Any, array: Any) -> Any:
    """Hold an array that was made in this kernel up to here.

    Numba lets go of an array behind the last line that names it, and its memory may become another one's: taking its
    `memory` does not count.
    """
    return types.void(array), lambda context, builder, signature, args: context.get_dummy_value()


def data(context: Any, builder: Any, signature: Any, args: Any, k: int) -> Any:
    """Pointer to the first element of argument k, an array or its memory."""
    kind = signature.args[k]
    return args[k] if isinstance(kind, Memory) else context.make_array(kind)(context, builder, args[k]).data


def at(builder: Any, base: Any, index: Any, kind: Any) -> Any:
    """Pointer to element `index`, as a pointer to `kind`."""
    return builder.bitcast(builder.gep(base, [index]), kind.as_pointer())


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


def _make_ask(write: int) -> Any:
    def ask(typing: Any, array: Any, place: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            byte = ir.IntType(8).as_pointer()
            pointer = builder.gep(data(context, builder, signature, args, 0), [args[1]])
            kind = ir.FunctionType(ir.VoidType(), [byte, I32, I32, I32])
            function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
            builder.call(function, [builder.bitcast(pointer, byte), *(ir.Constant(I32, n) for n in (write, 3, 1))])
            return context.get_dummy_value()

        return types.void(array, types.intp), codegen

    return ask


# Ask for the cache line of ``array.ravel()[place]``, to be read or written soon: a CPU does not foresee what lies in
# many short pieces. The place may be outside of the array; no result depends on it.
ask, ask_to_write = intrinsic(_make_ask(0)), intrinsic(_make_ask(1))


@intrinsic
def atomic_add(typing: Any, array: Any, value: Any) -> Any:
    """Add to ``array[0]``, for all threads in one order; gives what was there."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", data(context, builder, signature, args, 0), args[1], "seq_cst")

    return types.int64(array, types.int64), codegen
