"""The choice of the kernel that counts, by an invented clock: no test here depends on how long anything takes."""

import os
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest
from numba.core import config

from npbsrn.errors import UsageError
from npbsrn.kernels import cpu, jit, race
from npbsrn.kernels.bits import counts_ref, pack_filters

DEFAULT, *OTHERS = cpu.choices()
needs_two = pytest.mark.skipif(not OTHERS, reason="this CPU has one kernel only")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty place for compiled kernels, and nothing known of an earlier choice."""
    assert sys.modules[jit.__name__] is jit
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("NPBSRN_KERNEL", raising=False)
    cpu.kept_choice.cache_clear()
    yield tmp_path
    cpu.kept_choice.cache_clear()


def next_process():
    cpu.kept_choice.cache_clear()
    return cpu.chosen_kernel()


def make_race(monkeypatch, **seconds):
    """What the kernels will take; all others take 9 seconds. Returns the clock."""
    now = [0.0]

    def pass_by(name):
        now[0] += seconds.get(name, 9.0)

    def ways():
        return {name: lambda name=name: pass_by(name) for name in cpu.choices()}

    monkeypatch.setattr(race, "convolutions", ways)
    return lambda: now[0]


@pytest.mark.parametrize("kernel", cpu.choices())
def test_what_is_timed_is_a_convolution(kernel):
    convolution = race.BinaryConvolution(50, 3, 32)
    convolution.way(kernel)()
    expected = counts_ref(convolution.bits, pack_filters(convolution.signs), 3, 3, 32)
    np.testing.assert_array_equal(convolution.counts.reshape(3, 50, 32).transpose(1, 0, 2), expected)


def test_the_shortest_of_some_rounds_counts():
    """Whatever else has held one of them up."""
    now, delays = [0.0], iter([5.0, 1.0, 2.0] + [7.0] * 100)

    def way():
        now[0] += next(delays)

    assert race.shortest({"a": way}, lambda: now[0]) == {"a": 1.0}


def test_chance_changes_nothing():
    assert race.winner({"a": 1.0, "b": 0.96}, "a") == "a"
    assert race.winner({"a": 1.0, "b": 0.96}, "b") == "b"
    assert race.winner({"a": 1.0, "b": 0.94}, "a") == "b"
    assert race.winner({"a": 1.0, "b": 2.0}, "numpy") == "a"


def test_the_default_stays_where_it_is_the_quickest(folder, monkeypatch):
    words = race.settle(make_race(monkeypatch, **{DEFAULT: 1.0}))
    assert words.startswith(f"kernel {DEFAULT}")
    assert list(folder.rglob("kernel-*")) == []
    assert next_process() == DEFAULT


@needs_two
def test_the_quickest_is_kept_and_chosen_again(folder, monkeypatch):
    words = race.settle(make_race(monkeypatch, **{OTHERS[0]: 1.0}))
    assert words.startswith(f"kernel {OTHERS[0]} from the next process on: {DEFAULT} 9000.00 ms, {OTHERS[0]} 1000.00")
    assert cpu.chosen_kernel() == DEFAULT  # this process has kernels that were compiled for it
    assert next_process() == OTHERS[0]
    race.settle(make_race(monkeypatch, **{DEFAULT: 1.0}))
    assert next_process() == DEFAULT


@needs_two
def test_a_process_without_kernels_takes_the_choice_at_once(folder, monkeypatch):
    monkeypatch.delitem(sys.modules, jit.__name__)
    assert race.settle(make_race(monkeypatch, **{OTHERS[0]: 1.0})).startswith(f"kernel {OTHERS[0]}: ")
    assert cpu.chosen_kernel() == OTHERS[0]


@needs_two
def test_the_variable_overrides_what_is_kept(folder, monkeypatch):
    cpu.keep_choice(OTHERS[0])
    monkeypatch.setenv("NPBSRN_KERNEL", DEFAULT)
    assert next_process() == DEFAULT
    monkeypatch.setattr(race, "convolutions", lambda: pytest.fail("nothing is to be timed"))
    assert race.settle() == f"kernel {DEFAULT}, because NPBSRN_KERNEL says so"


@pytest.mark.parametrize("content", [b"", b"numpy", b"fast", b"\xff\xfe\x00", DEFAULT.encode() * 1000])
def test_a_damaged_choice_is_as_if_not_there(folder, content):
    cpu.keep_choice(DEFAULT)
    (path,) = folder.rglob("kernel-*.txt")
    path.write_bytes(content)
    assert next_process() == DEFAULT


@needs_two
def test_what_the_cpu_lacks_is_not_chosen(folder, monkeypatch):
    """As in a folder that was copied from another machine."""
    cpu.keep_choice(DEFAULT)
    monkeypatch.setattr(cpu, "choices", lambda: OTHERS)
    assert next_process() == OTHERS[0]


@needs_two
def test_every_kind_of_cpu_has_its_own_choice(folder, monkeypatch):
    cpu.keep_choice(OTHERS[0])
    monkeypatch.setattr(config, "CPU_FEATURES", ",".join(f"+{name}" for name in cpu.features()))
    monkeypatch.setattr(config, "CPU_NAME", "another")
    assert next_process() == DEFAULT


@needs_two
@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_changes_nothing(folder, monkeypatch):
    place = folder / "locked"
    place.mkdir()
    monkeypatch.setattr(cpu, "_choice_file", lambda: place / "kernel-0.txt")
    place.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert "cannot be kept" in race.settle(make_race(monkeypatch, **{OTHERS[0]: 1.0}))
    assert next_process() == DEFAULT


def test_warmup_chooses_before_any_kernel_is_made():
    program = "import sys; import npbsrn.cli.warmup; print('npbsrn.kernels.jit' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@needs_two
def test_the_folder_of_the_choice_is_made(folder, monkeypatch):
    monkeypatch.setattr(cpu, "kernel_folder", lambda: folder / "not" / "yet")
    assert cpu.keep_choice(OTHERS[0])
    assert [path.read_text() for path in (folder / "not" / "yet").iterdir()] == [OTHERS[0]]


@needs_two
@pytest.mark.parametrize("error", [OSError(30, "Read-only file system"), UsageError("no home folder")])
def test_without_a_place_nothing_is_kept(folder, monkeypatch, error):
    def nowhere():
        raise error

    monkeypatch.setattr(cpu, "_choice_file", nowhere)
    assert "cannot be kept" in race.settle(make_race(monkeypatch, **{OTHERS[0]: 1.0}))
    assert next_process() == DEFAULT


@needs_two
def test_several_may_keep_a_choice_at_once(folder):
    """Whoever reads meanwhile finds one of them whole."""
    names, found = [DEFAULT, OTHERS[0]], set()
    cpu.keep_choice(DEFAULT)
    writers = [threading.Thread(target=lambda n=n: [cpu.keep_choice(n) for _ in range(20)]) for n in names]
    for writer in writers:
        writer.start()
    (path,) = folder.rglob("kernel-*.txt")
    while any(writer.is_alive() for writer in writers):
        found.add(path.read_text())
    assert found <= set(names)
    assert list(folder.rglob("*.tmp")) == []


def test_the_choice_comes_before_the_kernels():
    """They are compiled for it: what chooses must not have loaded them."""
    code = "import sys, npbsrn.__main__, npbsrn.cli.parser, npbsrn.kernels.race; "
    code += "sys.exit('npbsrn.kernels.jit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
