"""What the CPU can do that kernels are compiled for."""

import os
from typing import Any

from llvmlite import binding
from numba.core import config as _config

from npbsrn.errors import UsageError

config: Any = _config  # whose names are made at run time


def features() -> set[str]:
    """Names of the vector instructions, as LLVM has them: those that Numba compiles for, or this CPU's."""
    if config.CPU_FEATURES is not None:
        return {name[1:] for name in config.CPU_FEATURES.split(",") if name.startswith("+")}
    if config.CPU_NAME is not None and binding.get_host_cpu_name() != config.CPU_NAME:
        return set()  # of another CPU little is known: what is chosen by features is then for the least of them
    return {name for name, there in binding.get_host_cpu_features().items() if there}


def has_avx512() -> bool:
    """32 registers of 512 bits."""
    return "avx512f" in features()


KERNELS = ("avx512", "portable", "numpy")  # of the packed engine


def chosen_kernel() -> str:
    """How the packed engine counts: ``$NPBSRN_KERNEL``, or the quickest that this CPU has.

    "avx512" counts words by instructions of AVX-512 BITALG, "portable" bytes by what any CPU has; with "numpy" the
    blocks are done in plain NumPy, and the float ends are compiled all the same.

    Raises
    ------
    UsageError
        If there is no such kernel, or the CPU lacks its instructions.
    """
    there = "avx512bitalg" in features()
    wanted = os.environ.get("NPBSRN_KERNEL") or ("avx512" if there else "portable")
    if wanted not in KERNELS:
        raise UsageError(f"NPBSRN_KERNEL must be one of {', '.join(KERNELS)}, not {wanted!r}")
    if wanted == "avx512" and not there:
        raise UsageError("NPBSRN_KERNEL=avx512 needs a CPU with AVX-512 BITALG; leave it out, or take portable")
    return wanted
