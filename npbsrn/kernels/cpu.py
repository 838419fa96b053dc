"""The CPU's instructions for which kernels are compiled, and where the compiled kernels are kept."""

import os
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from llvmlite import binding
from numba.core import config as _config

from npbsrn.errors import UsageError
from npbsrn.storage.caches import cache_folder
from npbsrn.storage.files import atomic_write

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


def choices() -> list[str]:
    """The compiled kernels that this CPU has, that which is quickest on most CPUs first."""
    there = features()
    return [name for name in KERNELS[:-1] if name not in NEEDED or NEEDED[name][0] in there]


def chosen_kernel() -> str:
    """How the packed engine counts: ``$NPBSRN_KERNEL``, or what was quickest here, or is on most CPUs like this one.

    "avx512" counts words by instructions of AVX-512 BITALG, "avx2" looks nibbles up, "portable" counts bytes by what
    any CPU has; with "numpy" the blocks are done in plain NumPy, and the float ends are compiled all the same. All give
    the same bytes. ``npbsrn warmup`` times them, and keeps the name of the quickest beside the compiled kernels.

    Raises
    ------
    UsageError
        If there is no such kernel, or the CPU lacks its instructions.
    """
    there = choices()
    wanted = os.environ.get("NPBSRN_KERNEL") or kept_choice() or there[0]
    if wanted not in KERNELS:
        raise UsageError(f"NPBSRN_KERNEL must be one of {', '.join(KERNELS)}, not {wanted!r}")
    if wanted != KERNELS[-1] and wanted not in there:
        raise UsageError(f"NPBSRN_KERNEL={wanted} needs a CPU with {NEEDED[wanted][1]}; leave it out, or take portable")
    return wanted


@cache
def kept_choice() -> str | None:
    """The kernel that `keep_choice` has kept for a CPU like this one, if it is one that the CPU has.

    It is read once in a process, whose kernels are all compiled for one choice. What is damaged is as if not there.
    """
    try:
        text = _choice_file().read_text("ascii")
    except (OSError, UsageError, ValueError):
        return None
    return text if text in choices() else None


def keep_choice(name: str) -> bool:
    """Keep the name of the kernel to use from the next process on; whether that could be done."""
    try:
        path = _choice_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.write(name.encode())
    except (OSError, UsageError):
        return False
    return True


def _choice_file() -> Path:
    """Beside the compiled kernels; a folder that several machines share has one for each kind of CPU."""
    kind = f"{config.CPU_NAME or binding.get_host_cpu_name()} {sorted(features())}"
    digest = blake2b(kind.encode(), digest_size=8).hexdigest()
    return kernel_folder() / f"kernel-{digest}.txt"


def kernel_folder() -> Path:
    """Of the compiled kernels: ``kernels`` in the package's cache, or where ``$NUMBA_CACHE_DIR`` says.

    Raises
    ------
    UsageError
        See `npbsrn.storage.caches.cache_folder`.
    """
    return Path(config.CACHE_DIR).absolute() if config.CACHE_DIR else cache_folder() / "kernels"
