import os
import subprocess
import sys

import pytest

from npbsrn.runtime import memory

FREE = 1 << 40


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A system of its own, with much memory."""
    for name in ("MEMINFO", "GROUPS", "MOUNTED", "STATM"):
        monkeypatch.setattr(memory, name, tmp_path / name.lower())
    memory.MEMINFO.write_text(f"MemTotal: 9 kB\nMemAvailable:   {FREE // 1024} kB\nSwapFree: 8 kB\n")
    return tmp_path


def group(folder, names, limit, held, spare):
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in zip(names, (limit, held), strict=False):
        (folder / name).write_text(f"{value}\n")
    (folder / "memory.stat").write_text(f"cache 7\n{names[2]}_more 5\n{names[2]} {spare}\n")


@pytest.mark.parametrize(
    ("text", "size"),
    [("MemTotal: 9 kB\nMemAvailable:   2 kB\nSwapFree: 8 kB\n", 2048), ("MemTotal: 9 kB\n", None), (None, None)],
)
def test_available_memory_is_read_where_it_is_said(system, text, size):
    memory.MEMINFO.unlink()
    if text is not None:
        memory.MEMINFO.write_text(text)
    assert memory.available_bytes() == size


@pytest.mark.parametrize(("line", "names", "place"), [("0::", memory.V2, ""), ("4:memory:", memory.V1, "memory")])
@pytest.mark.parametrize("holder", ["pods/one", "pods", ""])
def test_a_limit_of_any_group_around_counts_without_pages_of_files(system, line, names, place, holder):
    memory.GROUPS.write_text(f"1:cpu:/other\n{line}/pods/one\n")
    group(memory.MOUNTED / place / "pods" / "one", names, FREE * 9, 10, 0)
    group(memory.MOUNTED / place / holder, names, 1000, 400, 50)
    assert memory.available_bytes() == 650


def test_a_group_without_limit_or_one_that_is_not_there_limits_nothing(system):
    memory.GROUPS.write_text("0::/host/only\nnonsense\n4:memory:/gone\n")
    group(memory.MOUNTED, memory.V2, "max", 400, 50)
    assert memory.available_bytes() == FREE
    group(memory.MOUNTED, memory.V2, 300, 400, 50)  # held before the limit was set
    assert memory.available_bytes() == 0


@pytest.mark.skipif(not memory.STATM.exists(), reason="only Linux says how much a process holds")
def test_the_limit_of_the_process_counts():
    code = """import resource
from npbsrn.runtime.memory import available_bytes
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
print(available_bytes())"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert 1 << 27 < int(done.stdout) < 1 << 30
