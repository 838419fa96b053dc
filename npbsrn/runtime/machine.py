"""Which machine this is, for figures that depend on it."""

import platform
from pathlib import Path


def cpu_name() -> str:
    """Name of the CPU, and which vector instructions it has."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")] or [platform.processor()]
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return f"{names[0]} ({', '.join(f for f in ('avx2', 'avx512f', 'avx512_bitalg') if f in flags)})"
