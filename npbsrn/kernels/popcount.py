"""Popcount convolution of one vector of pixels.

All inputs stay in registers while the kernel loops over the output channels.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from npbsrn.kernels.jit import kernel
from npbsrn.kernels.memory import at, data
from npbsrn.kernels.simd import I32, I64, LANES, u16x16

Array = np.ndarray[Any, Any]

WIDTH = 48  # channels that this counts


def _make_count(size: int) -> Callable[..., Any]:
    @intrinsic
    def count(
        typing: Any, bits: Any, place: Any, stride: Any, plane: Any, weights: Any, out: Any, where: Any, step: Any
    ) -> Any:
        """``out[where + o * step :+16] = popcount(bits ^ weights[o])`` over 3 planes and size x size taps, all 48 o."""
        intp = types.intp
        signature = types.void(bits, intp, intp, intp, weights, out, intp, intp)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            b, w, r = (data(context, builder, signature, args, k) for k in (0, 4, 5))
            place, stride, plane, where, step = args[1], args[2], args[3], args[6], args[7]
            inputs = []
            for p in range(3):
                for ky in range(size):
                    rows = builder.mul(plane, ir.Constant(I64, p)), builder.mul(stride, ir.Constant(I64, ky))
                    line = builder.add(place, builder.add(*rows))
                    for kx in range(size):
                        source = at(builder, b, builder.add(line, ir.Constant(I64, kx)), u16x16.vector)
                        inputs.append(builder.load(source, align=2))
            kind = ir.FunctionType(u16x16.vector, [u16x16.vector])
            popcount = cgutils.get_or_insert_function(builder.module, kind, "llvm.ctpop.v16i16")
            with cgutils.for_range(builder, ir.Constant(I64, WIDTH)) as loop:
                total = None
                first = builder.mul(loop.index, ir.Constant(I64, len(inputs)))
                for k, x in enumerate(inputs):
                    word = builder.load(builder.gep(w, [builder.add(first, ir.Constant(I64, k))]))
                    ones = builder.call(popcount, [builder.xor(x, _repeated(builder, word))])
                    total = ones if total is None else builder.add(total, ones)
                target = builder.add(where, builder.mul(loop.index, step))
                builder.store(total, at(builder, r, target, u16x16.vector), align=2)
            return context.get_dummy_value()

        return signature, codegen

    return count


def _repeated(builder: Any, pair: Any) -> Any:
    """A filter's word, which stands twice in 32 bits, in all lanes.

    So it is repeated as it is read; for 16 bits x86 needs one more instruction, in the place of one that counts.
    """
    kind = ir.VectorType(I32, LANES // 2)
    undefined = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(undefined, pair, ir.Constant(I32, 0))
    return builder.bitcast(builder.shuffle_vector(first, undefined, ir.Constant(kind, [0] * kind.count)), u16x16.vector)


count3, count1 = _make_count(3), _make_count(1)


@kernel()
def pack_filters(w: Array, words: Array) -> None:
    """Words of filters (48, 48, k, k): output channel, plane, row, column; bit j for input channel 16 * plane + j.

    Each stands twice in its uint32.
    """
    taps = w.shape[2] * w.shape[3]
    signs = w.ravel()
    for o in range(WIDTH):
        for plane in range(3):
            for tap in range(taps):
                word = 0
                for j in range(16):
                    if signs[(o * WIDTH + 16 * plane + j) * taps + tap] < 0:
                        word |= 1 << j
                words[(o * 3 + plane) * taps + tap] = word | word << 16
