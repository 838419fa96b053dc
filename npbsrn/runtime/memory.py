"""How much memory is available: by the system, by a container's limit, and by the process's own limits."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

MEMINFO = Path("/proc/meminfo")
GROUPS = Path("/proc/self/cgroup")  # which the process is in, a hierarchy a line
MOUNTED = Path("/sys/fs/cgroup")  # where all groups are
STATM = Path("/proc/self/statm")
# Of a group's folder: its limit, what it holds, and what of that are files' pages that may go; by version of cgroups.
V2 = "memory.max", "memory.current", "inactive_file"
V1 = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"

_limit: int | None = None  # see `hold_to`


def hold_to(limit: int | None) -> None:
    """Hold this process to so many bytes in all, beside what else limits it; None lifts that.

    For a process whose memory another one watches, which ends it where it takes more.
    """
    global _limit
    _limit = limit


def available_bytes() -> int | None:
    """Memory that can be had without swapping and without being ended for it.

    The least of what the system has, what each cgroup of the process may still take (a container's limit is one), what
    is left of the process's address space (``ulimit -v``), and of what `hold_to` leaves it.

    Returns
    -------
    available : int, or None
        None where nothing says (only Linux does).
    """
    sizes = [*_of_system(), *_of_groups(), *_of_process(), *_of_hold()]
    return max(0, min(sizes)) if sizes else None


def _of_system() -> Iterator[int]:
    for line in _lines(MEMINFO):
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024


def _of_groups() -> Iterator[int]:
    """Of the process's group and of those that it lies in, each of which may have a limit.

    In a container the path may be that on the host, which is not there; the container's own group is then the root.
    """
    for line in _lines(GROUPS):
        _, kinds, path = (*line.split(":", 2), "", "")[:3]
        if kinds and "memory" not in kinds.split(","):
            continue
        root, names = (MOUNTED / "memory", V1) if kinds else (MOUNTED, V2)
        below = PurePosixPath("/", path).relative_to("/")
        for folder in (below, *below.parents):
            yield from _of_group(root / folder, *names)


def _of_group(folder: Path, limit: str, held: str, spare: str) -> Iterator[int]:
    with suppress(OSError, ValueError):  # a group without limits, or "max"
        most, now = (int((folder / name).read_text()) for name in (limit, held))
        pages = [int(line.split()[1]) for line in _lines(folder / "memory.stat") if line.startswith(f"{spare} ")]
        yield most - now + sum(pages)


def _of_process() -> Iterator[int]:
    if sys.platform == "win32":
        return
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        for line in _lines(STATM):
            yield limit - int(line.split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _of_hold() -> Iterator[int]:
    if _limit is not None:
        for line in _lines(STATM):
            yield _limit - int(line.split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
