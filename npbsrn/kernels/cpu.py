"""The CPU's instructions for which kernels are compiled."""

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


def has_fma() -> bool:
    """A product and a sum in one instruction, rounded once: FMA3, AVX-512 and NEON have it."""
    return bool({"fma", "avx512f", "neon"} & features())


KERNELS = ("avx512", "avx2", "portable", "numpy")  # of the packed engine
NEEDED = {"avx512": ("avx512bitalg", "AVX-512 BITALG"), "avx2": ("avx2", "AVX2")}


def chosen_kernel() -> str:
    """How the packed engine counts: ``$NPBSRN_KERNEL``, or the quickest that this CPU has.

    "avx512" counts words by instructions of AVX-512 BITALG, "avx2" looks nibbles up, "portable" counts bytes by what
    any CPU has; with "numpy" the blocks are done in plain NumPy, and the float ends are compiled all the same.

    Raises
    ------
    UsageError
        If there is no such kernel, or the CPU lacks its instructions.
    """
    there = features()
    lacking = [name for name, (feature, _) in NEEDED.items() if feature not in there]
    wanted = os.environ.get("NPBSRN_KERNEL") or next(name for name in KERNELS if name not in lacking)
    if wanted not in KERNELS:
        raise UsageError(f"NPBSRN_KERNEL must be one of {', '.join(KERNELS)}, not {wanted!r}")
    if wanted in lacking:
        raise UsageError(f"NPBSRN_KERNEL={wanted} needs a CPU with {NEEDED[wanted][1]}; leave it out, or take portable")
    return wanted
