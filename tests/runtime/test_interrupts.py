"""Signals that arrive at many moments. Their seconds are the property itself; a busy machine is given three for one."""

import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from benchmarks.interrupts import Moment, interrupt, moments
from npbsrn.cli.say import say
from npbsrn.kernels.compiling import WORDS
from npbsrn.runtime.interrupts import Interrupted, deferred, say_at_once
from npbsrn.storage.files import atomic_write

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")

BOUND = 3.0  # seconds
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def said(answer):
    """Without the line about compiling, which is due where a kernel is compiled."""
    return [line for line in answer.said if line != f"npbsrn: {WORDS}"]


def left_behind(folder):
    return [path for path in folder.rglob("*") if ".tmp" in path.name]


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("delay", [0, 0.03, 0.1])
def test_one_line_says_so_while_libraries_are_imported(delay, number):
    answer = interrupt(Moment(["info"], lambda: True, delay), number)
    assert (answer.code, answer.said) == (128 + number, ["npbsrn: interrupted"])
    assert answer.end < BOUND


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("compiling", signal.SIGINT),
        ("a large picture", signal.SIGTERM),
        ("writing a large picture", signal.SIGHUP),
    ],
)
def test_nothing_that_takes_long_is_waited_for_and_nothing_is_left(name, number, tmp_path):
    answer = interrupt(moments(tmp_path)[name], number)
    assert (answer.code, said(answer)) == (128 + number, ["npbsrn: interrupted"])
    assert answer.end < BOUND
    assert list((tmp_path / "out").iterdir()) == left_behind(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("compiling the first step", "; --resume goes on"),
        ("validation", "; the state is saved, --resume goes on"),
    ],
)
def test_training_ends_at_once_where_nothing_can_be_lost(name, words, tmp_path):
    answer = interrupt(moments(tmp_path)[name], signal.SIGTERM)
    assert (answer.code, said(answer)) == (143, [f"npbsrn: interrupted{words}"])
    assert answer.end < BOUND
    assert left_behind(tmp_path) == []


WAITS = "npbsrn: interrupted; the state is saved behind this step, another interrupt ends at once"


@pytest.mark.slow
def test_training_says_at_once_that_the_step_is_finished(tmp_path):
    answer = interrupt(moments(tmp_path)["training"], signal.SIGHUP)
    assert answer.said == [WAITS, "npbsrn: interrupted; the state is saved, --resume goes on"]
    assert answer.code == 129
    assert answer.first < BOUND
    assert left_behind(tmp_path) == []


@pytest.mark.slow
def test_a_second_interrupt_does_not_wait_for_the_step(tmp_path):
    answer = interrupt(moments(tmp_path)["a long step"], signal.SIGINT, again=True)
    assert answer.said == [WAITS, "npbsrn: interrupted; --resume goes on from the last checkpoint"]
    assert answer.code == 130
    assert answer.end < BOUND
    assert left_behind(tmp_path) == []


def program(*lines, before=""):
    """Start a program of the command line's kind; each line is within `watched`."""
    code = [
        "import sys, time",
        "from pathlib import Path",
        "from npbsrn.runtime.interrupts import watched",
        "with watched():",
    ]
    words = [sys.executable, "-c", "\n".join([*code, *(f"    {line}" for line in lines)])]
    shell = ["sh", "-c", f'{before}\nexec "$@"', "sh", *words]
    return subprocess.Popen(shell, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_files_of_all_threads_are_whole_or_gone(tmp_path):
    lines = [
        "from threading import Thread",
        "from npbsrn.storage.files import atomic_write",
        "def write(name):",
        "    while True:",
        f"        with atomic_write(Path({str(tmp_path)!r}) / name) as file:",
        "            file.write(bytes(100_000))",
        "            print(flush=True)",
        "            file.write(bytes(100_000))",
        "for n in range(3):",
        "    Thread(target=write, args=[str(n)]).start()",
        "write('main')",
    ]
    for n in range(10):
        with program(*lines) as process:
            process.stdout.readline()
            time.sleep(n / 200)
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=20)
        assert (process.returncode, said) == (143, "npbsrn: interrupted\n")
        assert all(path.stat().st_size == 200_000 for path in tmp_path.iterdir())
        assert left_behind(tmp_path) == []


def test_the_line_stands_alone_beside_a_progress_bar():
    lines = [
        "from tqdm import tqdm",
        "for _ in tqdm(range(10**6), mininterval=0, file=sys.stderr):",
        "    print(flush=True)",
        "    time.sleep(0.001)",
    ]
    with program(*lines) as process:
        for _ in range(20):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said.endswith(" \nnpbsrn: interrupted\n")  # universal newlines: the bar's line was wiped out


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_a_signal_that_was_ignored_stays_so(number):
    before = f"trap '' {number.name.removeprefix('SIG')}"  # as nohup does, and a shell for a job in the background
    with program("print(flush=True)", "time.sleep(0.2)", "print('done')", before=before) as process:
        process.stdout.readline()
        process.send_signal(number)
        assert process.communicate(timeout=20) == ("done\n", "")
    assert process.returncode == 0


def test_nobody_reads_what_is_said():
    lines = ["print(flush=True)", "while True: sys.stderr.write('x' * 10**6)"]
    with program(*lines) as process:
        process.stdout.readline()
        time.sleep(0.3)  # the pipe is full
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 143


def test_what_was_printed_is_there(tmp_path):
    with program("print('result')", "print(file=sys.stderr, flush=True)", "time.sleep(60)") as process:
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == ("result\n", "npbsrn: interrupted\n")


def test_an_interrupt_behind_the_command_is_quiet():
    lines = "from npbsrn.runtime.interrupts import watched", "with watched(): pass", "print(flush=True)", "import time"
    code = "\n".join([*lines, "time.sleep(60)"])
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20)[1] == ""
    assert process.returncode == -signal.SIGINT


def test_of_several_processes_the_others_wait_for_the_first(tmp_path):
    """Without what is half-written, and longer than the first one takes to end them."""
    lines = [
        "from npbsrn.runtime.interrupts import among_others",
        "from npbsrn.storage.files import atomic_write",
        f"with among_others(60, print), atomic_write(Path({str(tmp_path)!r}) / 'a'):",
        "    print(flush=True)",
        "    time.sleep(60)",
    ]
    with program(*lines) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        for _ in range(200):
            if not left_behind(tmp_path):
                break
            time.sleep(0.05)
        assert left_behind(tmp_path) == []
        assert process.poll() is None
        process.kill()
        assert process.communicate(timeout=20)[1] == ""


def test_of_several_processes_the_first_ends_all():
    lines = [
        "import os",
        "from npbsrn.runtime.interrupts import among_others",
        "with among_others(0, lambda code: (print('all', code, flush=True), os._exit(7))):",
        "    print(flush=True)",
        "    time.sleep(60)",
    ]
    with program(*lines) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=20) == ("all 143\n", "npbsrn: interrupted\n")
    assert process.returncode == 7


def test_a_line_is_one_write(monkeypatch):
    """Those of several processes may share a stream."""
    written = []
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(write=written.append, flush=lambda: None))
    say_at_once("one")
    say("two")
    assert [text for text in written if text] == ["npbsrn: one\n", "npbsrn: two\n"]


def send(number):
    os.kill(os.getpid(), number)
    time.sleep(0.01)  # in which the handler runs


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_waits_and_the_second_ends(number, capsys):
    handlers = [signal.getsignal(one) for one in SIGNALS]
    with deferred("waits", "over") as interrupt:
        send(number)
        assert interrupt.number == number
        assert capsys.readouterr().err == "npbsrn: waits\n"
        with pytest.raises(Interrupted, match="over") as raised:
            send(number)
    assert raised.value.number == number
    assert [signal.getsignal(one) for one in SIGNALS] == handlers


def test_one_that_waits_ends_when_it_is_asked_for():
    with deferred("waits", "over") as interrupt:
        interrupt.check("none")
        send(signal.SIGINT)
        with pytest.raises(Interrupted, match="asked"):
            interrupt.check("asked")
        with pytest.raises(Interrupted, match="block"), interrupt.at_once("block"):
            pytest.fail("the block does not begin")


def test_within_a_block_the_first_ends():
    with deferred("waits", "over") as interrupt:
        with pytest.raises(Interrupted, match="block"), interrupt.at_once("block"):
            send(signal.SIGTERM)
        assert interrupt.number is None
        send(signal.SIGTERM)
        assert interrupt.number == signal.SIGTERM


def test_another_thread_hears_nothing():
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work():
        with deferred("waits", "over") as interrupt:
            seen.extend([signal.getsignal(signal.SIGINT), interrupt.number])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before, None]


def test_an_exception_in_a_file_is_no_end_for_the_next(tmp_path):
    with pytest.raises(Interrupted), atomic_write(tmp_path / "a"):
        raise Interrupted("", signal.SIGINT)
    with atomic_write(tmp_path / "a") as file:
        file.write(b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_callers_own_handlers_stay():
    def own(number, frame):
        raise AssertionError

    before = signal.signal(signal.SIGTERM, own)
    try:
        with deferred("waits", "again"):
            assert signal.getsignal(signal.SIGTERM) is own
            assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)
