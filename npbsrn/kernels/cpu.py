"""What the CPU can do that kernels are compiled for."""

from typing import Any

from llvmlite import binding
from numba.core import config as _config

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
