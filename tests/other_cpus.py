"""Processes that are held to the instructions of lesser CPUs than this one."""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from npbsrn.kernels.cpu import features

# What Numba compiles for, and for which CPU OpenBLAS takes this one.
CPUS = {"avx2": ("+avx2,+fma,+bmi,+bmi2,+popcnt", "Haswell"), "sse4.2": ("+sse4.2,+popcnt", "Nehalem")}


def held_to(cpu, cache):
    """Environment of a process in which Numba, NumPy and BLAS use what `cpu` has, and nothing more."""
    if platform.machine() not in ("x86_64", "AMD64") or cpu not in features():
        pytest.skip(f"this CPU cannot be held to {cpu}")
    allowed = ("SSE", "SSSE", "POPCNT") + (("AVX2", "FMA3", "F16C", "X86_V3") if cpu == "avx2" else ())
    umath = np._core._multiarray_umath
    denied = [
        name
        for name in umath.__cpu_dispatch__
        if umath.__cpu_features__[name] and not name.startswith(allowed) and not (cpu == "avx2" and name == "AVX")
    ]
    compiled, blas = CPUS[cpu]
    return os.environ | {
        "NUMBA_CPU_NAME": "x86-64",
        "NUMBA_CPU_FEATURES": compiled,
        "NUMBA_CACHE_DIR": str(cache),
        "NPY_DISABLE_CPU_FEATURES": " ".join(denied),
        "OPENBLAS_CORETYPE": blas,
    }


def run_held(cpu, cache, program):
    """What a Python program prints in such a process; it may import from `tests`."""
    done = subprocess.run(
        [sys.executable, "-c", program], env=held_to(cpu, cache), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
