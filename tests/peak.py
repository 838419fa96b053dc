"""The most memory that a program holds, measured in a process of its own."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

STATUS = Path("/proc/self/status")


def held(most=False):
    """Bytes that this process holds, or the most that it has held."""
    name = "VmHWM:" if most else "VmRSS:"
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def begin():
    """Forget the most that was held so far, as while kernels were loaded or compiled."""
    with suppress(OSError):  # as it may be in a container: then what was held before must have been less
        Path("/proc/self/clear_refs").write_text("5")
    return held()


def grown(function, *args):
    """By how many bytes this process grows at most while `function` runs."""
    before = begin()
    earlier = held(most=True)
    result = function(*args)
    most = held(most=True)
    assert most > earlier, "the work held less than what came before it"
    del result
    return most - before


def measured(program):
    """The numbers that a Python program prints, one a line."""
    if not STATUS.exists():
        pytest.skip("the most memory is read from Linux's /proc")
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"},  # so that what is freed goes back to the system
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [float(line) for line in done.stdout.split()]
