"""A barrier at which the workers of one kernel wait for each other."""

import os
from typing import Any

import numpy as np
from numba import types

from npbsrn.kernels.jit import kernel, part
from npbsrn.kernels.memory import atomic_add
from npbsrn.runtime.threads import GIVEN_UP

Array = np.ndarray[Any, Any]

SPINS = 2000  # some tens of microseconds

if os.name == "posix":
    _yield = types.ExternalFunction("sched_yield", types.int32())
else:

    @part()
    def _yield() -> int:
        return 0


@part()
def wait(barrier: Array, workers: int) -> None:
    """Go on when all workers have come here.

    The others are nearly there when the machine is otherwise idle. Where it is not, the one that is waited for may
    have no processor: after a while it is offered this one.
    """
    if workers == 1:
        return
    ticket = atomic_add(barrier, 1)
    spins = 0
    while atomic_add(barrier, 0) < min((ticket // workers + 1) * workers, GIVEN_UP):
        spins += 1
        if spins > SPINS:
            _yield()


@kernel()
def given_up(barrier: Array) -> bool:
    """Whether nobody wants the result any more."""
    return atomic_add(barrier, 0) >= GIVEN_UP
