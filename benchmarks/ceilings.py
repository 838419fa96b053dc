"""What this CPU can do at most, all threads at once: the ceilings that the parts of a training step are held against.

Each is measured by a loop that does nothing else, kept in registers or in the first cache:

- `fma`: float32 multiply-adds in independent chains;
- `look_up`: one load of 16 floats from a table of 12 KiB and one addition, which is 64 multiply-accumulates of signs;
- `popcount`: xor, popcount, addition, on lanes of 16 bits: a lane is 16 multiply-accumulates of signs;
- `memory`: bytes read and written by a copy of arrays that are larger than the caches.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from npbsrn.kernels.cpu import has_avx512
from npbsrn.kernels.memory import at, data
from npbsrn.kernels.signed_sums import TABLE
from npbsrn.kernels.simd import I64, LANES, f32x16
from npbsrn.runtime.threads import run_parallel, thread_count

Array = np.ndarray[Any, Any]

CHAINS = 12 if has_avx512() else 6  # an addition takes 2 to 4 cycles, and two begin in each; 32 or 16 registers
ENTRIES = 120  # look-ups in a turn of the loop, a multiple of CHAINS
WIDE = 2 * LANES  # 16-bit lanes in 512 bits
TURNS = 1 << 18
COPIED = 1 << 26  # bytes a thread: more than the last cache holds
REPEATS = 30  # some seconds in all: how much memory gives varies where other machines share it


@dataclass(frozen=True)
class Ceilings:
    """Rates of all threads together: multiply-accumulates, of `memory` bytes, a second."""

    fma: float
    look_up: float
    popcount: float
    memory: float


def _slots(builder: Any, base: Any, vector: Any) -> list[Any]:
    """Chains that begin with different values from memory: equal ones LLVM would compute once."""
    places = [ir.Constant(I64, k * vector.count) for k in range(CHAINS)]
    return [cgutils.alloca_once_value(builder, builder.load(at(builder, base, k, vector), align=2)) for k in places]


def _keep(builder: Any, base: Any, slots: list[Any], vector: Any) -> None:
    """Write the chains' ends to memory: what nobody reads LLVM would leave out."""
    for k, slot in enumerate(slots):
        builder.store(builder.load(slot), at(builder, base, ir.Constant(I64, k * vector.count), vector), align=2)


def _make_chains(vector: Any, follow: Callable[[Any, Any, Any], Any]) -> Callable[..., Any]:
    @intrinsic
    def chains(typing: Any, values: Any, turns: Any) -> Any:
        """In each turn ``x = follow(x, values[0])`` for all chains."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            base = data(context, builder, signature, args, 0)
            slots = _slots(builder, base, vector)
            other = builder.load(slots[0])
            with cgutils.for_range(builder, args[1]):
                for slot in slots:
                    builder.store(follow(builder, builder.load(slot), other), slot)
            _keep(builder, base, slots, vector)
            return context.get_dummy_value()

        return types.void(values, types.intp), codegen

    return chains


def _call(builder: Any, name: str, vector: Any, *args: Any) -> Any:
    kind = ir.FunctionType(vector, [vector] * len(args))
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


def _count(builder: Any, x: Any, other: Any) -> Any:
    return builder.add(x, _call(builder, f"llvm.ctpop.v{WIDE}i16", x.type, builder.xor(x, other)))


_fma_chains = _make_chains(f32x16.vector, lambda b, x, y: _call(b, "llvm.fmuladd.v16f32", x.type, x, y, y))
_popcount_chains = _make_chains(ir.VectorType(ir.IntType(16), WIDE), _count)


@intrinsic
def _look_up_chains(typing: Any, tables: Any, values: Any, turns: Any) -> Any:
    """In each turn add `ENTRIES` entries of the tables to the chains; they begin at another one each time."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        table, base = (data(context, builder, signature, args, k) for k in (0, 1))
        slots = _slots(builder, base, f32x16.vector)
        with cgutils.for_range(builder, args[2]) as loop:
            # not always the same ones: these LLVM would load once, before the loop
            first = builder.mul(builder.and_(loop.index, ir.Constant(I64, 63)), ir.Constant(I64, LANES))
            for k in range(ENTRIES):
                place = builder.add(first, ir.Constant(I64, k * LANES))
                entry = builder.load(at(builder, table, place, f32x16.vector), align=64)
                slot = slots[k % CHAINS]
                builder.store(builder.fadd(builder.load(slot), entry), slot)
        _keep(builder, base, slots, f32x16.vector)
        return context.get_dummy_value()

    return types.void(tables, values, types.intp), codegen


@njit(nogil=True)
def _fma(values: Array, turns: int) -> None:
    _fma_chains(values, turns)


@njit(nogil=True)
def _popcount(values: Array, turns: int) -> None:
    _popcount_chains(values, turns)


@njit(nogil=True)
def _look_up(tables: Array, values: Array, turns: int) -> None:
    _look_up_chains(tables, values, turns)


def aligned_zeros(size: int, dtype: Any) -> Array:
    """On a boundary of 64 bytes, as the kernels' arrays are."""
    kind = np.dtype(dtype)
    workspace = np.zeros(size * kind.itemsize + 64, np.uint8)
    first = -workspace.ctypes.data % 64
    return workspace[first : first + size * kind.itemsize].view(kind)


def seconds_together(function: Callable[..., None], jobs: list[tuple[Any, ...]], repeats: int = REPEATS) -> Array:
    """Seconds of each repeat of ``function(*job)`` for all jobs at once, one thread each; compiled before."""

    def serve(worker: int, workers: int, barrier: Any) -> None:
        function(*jobs[worker])

    function(*jobs[0])
    times = np.empty(repeats)
    for n in range(repeats):
        start = time.perf_counter()
        run_parallel(serve, len(jobs))
        times[n] = time.perf_counter() - start
    return times


def measure_ceilings() -> Ceilings:
    """All four, the best of some repeats each."""
    threads = thread_count()

    def rate(function: Callable[..., None], make: Callable[[], tuple[Any, ...]], work: int) -> float:
        jobs = [make() for _ in range(threads)]
        return threads * work / float(seconds_together(function, jobs).min())

    def floats() -> Array:
        values = aligned_zeros(CHAINS * LANES, np.float32)
        values[:] = np.linspace(0.1, 0.9, values.size)  # below 1: x -> x y + y stays finite
        return values

    def words() -> Array:
        values = aligned_zeros(CHAINS * WIDE, np.uint16)
        values[:] = np.arange(values.size) * 257
        return values

    def copied() -> tuple[Array, Array]:
        return np.ones(COPIED, np.uint8), np.ones(COPIED, np.uint8)

    tables = aligned_zeros(12 * TABLE, np.float32)
    return Ceilings(
        fma=rate(_fma, lambda: (floats(), 4 * TURNS), 4 * TURNS * CHAINS * LANES),
        look_up=rate(_look_up, lambda: (tables, floats(), TURNS), TURNS * ENTRIES * LANES * 4),
        popcount=rate(_popcount, lambda: (words(), 4 * TURNS), 4 * TURNS * CHAINS * WIDE * 16),
        memory=rate(np.copyto, copied, 2 * COPIED),
    )
