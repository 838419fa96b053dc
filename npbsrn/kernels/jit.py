"""How kernels are compiled and kept."""

import warnings
from collections.abc import Callable
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from numba import njit

from npbsrn.kernels.cpu import chosen_kernel

# Numba's file cache looks at the kernel's own file alone, and would keep a kernel whose helper in another file has
# changed, or that was compiled for another choice.
PLACES = ("kernels", "packed")  # of the package, where kernels are
SOURCES = sorted(path for place in PLACES for path in (Path(__file__).parents[1] / place).glob("*.py"))
STAMP = blake2b(b"".join([chosen_kernel().encode(), *(path.read_bytes() for path in SOURCES)])).hexdigest()

# Sums may be reordered, so that they can be done in vectors; everything else follows IEEE 754.
SUMS = {"reassoc", "nsz", "contract"}


@cache
def _warn_once() -> None:
    warnings.warn(
        "neither the package's folder nor the user's cache can be written, so kernels are compiled in each process; "
        "set NUMBA_CACHE_DIR to a folder that can be written",
        stacklevel=4,
    )


def kernel(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function by Numba, without the GIL, and keep the result on the disk."""

    def compile_lazily(function: Callable[..., Any]) -> Any:
        try:
            dispatcher = njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:
            _warn_once()
            return njit(nogil=True, **options)(function)
        kept = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
        if kept is not None:  # Numba's own business; without it, only a developer's changes would go unnoticed
            kept._source_stamp = STAMP
        return dispatcher

    return compile_lazily
