"""Training by several processes that MPI connects: real ones, begun by mpiexec."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from npbsrn.models import Model, save_model
from npbsrn.networks.base import make_network
from npbsrn.storage.params import load_arrays
from npbsrn.training.checkpoint import load_checkpoint

MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")]))
SETTINGS = ("width=4", "blocks=1", "checkpoint_every=3", "holdout=1", "validate_every=100")
LONG = 100_000  # steps that no test waits for
TEACHER = "teacher.npz"


def has_mpi4py():
    return subprocess.run([sys.executable, "-c", "import mpi4py.MPI"], capture_output=True, check=False).returncode == 0


def is_open_mpi():
    """Whether mpiexec is Open MPI's, which ends all ranks by itself at an interrupt, and where one ends."""
    return b"Open MPI" in subprocess.run([MPIEXEC, "--version"], capture_output=True, check=False).stdout


RANK = "(os.environ.get('PMI_RANK') or os.environ.get('OMPI_COMM_WORLD_RANK'))"  # MPICH's, or Open MPI's
pytestmark = pytest.mark.slow
needs_mpi = pytest.mark.skipif(
    not MPIEXEC or not has_mpi4py(), reason="mpi4py or mpiexec is missing; pip install 'npbsrn[mpi]' mpich"
)


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setenv("NPBSRN_PATIENCE", "60")


def command(*words, ranks=1, settings=SETTINGS, debug=()):
    options = [part for setting in settings for part in ("--set", setting)]
    start = [MPIEXEC, "-n", str(ranks)] if ranks > 1 else []
    return [*start, sys.executable, "-m", "npbsrn", *debug, "train", *map(str, words), *options, "--quiet"]


def run(*words, **options):
    return subprocess.run(command(*words, **options), capture_output=True, text=True, check=False, timeout=300)


def begin(*words, **options):
    """A run that goes on in the background, in a group of processes of its own."""
    return subprocess.Popen(
        command(*words, **options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_for_step(folder, step):
    """Until the run has saved this step."""
    for _ in range(1800):
        if (folder / "checkpoint.npz").exists():
            try:
                if load_checkpoint(folder / "checkpoint.npz")[0].step >= step:
                    return
            except FileNotFoundError:  # just now replaced
                pass
        time.sleep(0.1)
    raise AssertionError(f"{folder} has not come to step {step}")


def ranks_of(process):
    """Process ids of the Python processes that mpiexec has begun, by their parents."""
    listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    below = {process.pid}
    for _ in range(4):  # mpiexec, its proxy, a shell
        below |= {int(pid) for pid, parent, _ in rows if int(parent) in below}
    return [int(pid) for pid, _, words in rows if int(pid) in below and re.search(r"npbsrn train", words)][-2:]


def same(folders):
    """Whether runs have ended with the same bytes."""
    whole = [load_arrays(folder / name)[0] for folder in folders for name in ("checkpoint.npz", "weights.npz")]
    pairs = [whole[k : k + 2] for k in range(0, len(whole), 2)]
    return all(
        a.keys() == b.keys() and all(a[key].tobytes() == b[key].tobytes() for key in a)
        for own in pairs[1:] for a, b in zip(pairs[0], own, strict=True)
    )  # fmt: skip


@needs_mpi
@pytest.mark.parametrize(
    ("words", "settings"),
    [
        (["--binarizer", "bam", "--patch", 6], ()),
        (["--binarizer", "dorefa", "--patch", 6], ("synchronize=false", "late_patch=8", "degrade=true", "clip=0.05")),
        (["--teacher", TEACHER, "--patch", 6], ("distill=0.5", "flat_patches=1", "keep=0.8", "validate_every=2")),
        (["--binarizer", "bam", "--patch", 16, "--scale", 2], ("width=48",)),
    ],
    ids=["statistics of the batch", "of each shard", "teacher", "fused"],
)
def test_any_number_of_ranks_gives_the_same_bytes(photographs, tmp_path, monkeypatch, words, settings):
    """Up to the number of shards; the first of them without MPI."""
    network = make_network({"scale": 4, "blocks": 1, "width": 4})
    save_model(tmp_path / TEACHER, Model(network, network.init(3), {}))
    monkeypatch.chdir(tmp_path)
    words, settings = [photographs, "--batch", 4, "--steps", 5, *words], (*SETTINGS, *settings)
    alone = run(*words, "-o", tmp_path / "1", settings=(*settings, "shards=4"))
    assert alone.returncode == 0, alone.stderr
    for ranks in (2, 3) if settings == SETTINGS else (3,):
        done = run(*words, "-o", tmp_path / str(ranks), ranks=ranks, settings=settings)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("5 steps") == 1  # one rank says it
    assert same([path for path in sorted(tmp_path.iterdir()) if path.name in "123"])


@needs_mpi
def test_a_run_goes_on_with_another_number_of_ranks(photographs, tmp_path):
    words = [photographs, "--batch", 4, "--patch", 6]
    schedule = ["--set", "schedule=step"]  # of which the length of a run changes nothing
    assert run(*words, "--steps", 3, *schedule, "-o", tmp_path / "parts", ranks=2).returncode == 0
    assert run("--resume", "--steps", 5, "-o", tmp_path / "parts", ranks=3, settings=()).returncode == 0
    assert run("--resume", "--steps", 6, "-o", tmp_path / "parts", settings=()).returncode == 0
    assert run(*words, "--steps", 6, *schedule, "-o", tmp_path / "straight", ranks=2).returncode == 0
    assert same([tmp_path / "parts", tmp_path / "straight"])


@needs_mpi
def test_a_rank_that_dies_ends_all(photographs, tmp_path):
    process = begin(photographs, "--batch", 4, "--patch", 6, "--steps", LONG, "-o", tmp_path / "run", ranks=3)
    wait_for_step(tmp_path / "run", 6)
    os.kill(ranks_of(process)[-1], signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode != 0
    step = load_checkpoint(tmp_path / "run/checkpoint.npz")[0].step
    done = run("--resume", "--steps", step + 2, "-o", tmp_path / "run", ranks=2, settings=())
    assert done.returncode == 0, done.stderr


@needs_mpi
def test_a_rank_that_hangs_ends_all(photographs, tmp_path, monkeypatch):
    monkeypatch.setenv("NPBSRN_PATIENCE", "8")  # in which all ranks of a busy machine have begun
    process = begin(photographs, "--batch", 4, "--patch", 6, "--steps", LONG, "-o", tmp_path / "run", ranks=3)
    wait_for_step(tmp_path / "run", 3)
    os.kill(ranks_of(process)[-1], signal.SIGSTOP)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.count("no sign of the other ranks for 8 seconds; --resume goes on") == 1
    assert load_checkpoint(tmp_path / "run/checkpoint.npz")[0].step >= 3


HANGS = """
import fcntl, os, time
if {rank} == "0":
    held = open({place!r} + "-new", "w")
    fcntl.flock(held, fcntl.LOCK_EX)
    os.rename({place!r} + "-new", {place!r})
elif {rank}:
    while not os.path.exists({place!r}):
        time.sleep(0.1)
    with open({place!r}) as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # until the first rank has ended
    os._exit(1)
"""


@needs_mpi
def test_others_do_not_wait_for_a_rank_that_hangs_before_mpi_connects_it(photographs, tmp_path, monkeypatch):
    """But mpiexec does."""
    monkeypatch.setenv("NPBSRN_PATIENCE", "3")
    (tmp_path / "sitecustomize.py").write_text(HANGS.format(rank=RANK, place=str(tmp_path / "held")))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")])))
    done = run(photographs, "--batch", 4, "--patch", 6, "-o", tmp_path / "run", ranks=2)
    assert done.returncode != 0
    assert done.stderr.count("no sign of the other ranks for 3 seconds") == 1


@needs_mpi
def test_an_interrupt_saves_the_state_of_all(photographs, tmp_path):
    settings = (*SETTINGS, "checkpoint_every=50", "validate_every=100000")
    words = [photographs, "--batch", 4, "--patch", 6, "--steps", LONG]
    process = begin(*words, "-o", tmp_path / "run", ranks=2, settings=settings)
    wait_for_step(tmp_path / "run", 50)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    if not is_open_mpi():
        assert process.returncode == 130
        assert said.count("npbsrn: interrupted; the state is saved, --resume goes on") == 1
    assert load_checkpoint(tmp_path / "run/checkpoint.npz")[0].step >= 50


def sentences(done):
    """How many a command has said; not that a rank was ended, as Open MPI does where another fails."""
    ended = "npbsrn: interrupted\n" if is_open_mpi() else "\0"
    return done.stderr.replace(ended, "").count("npbsrn: ")


@needs_mpi
def test_what_is_wrong_is_said_once(photographs, tmp_path):
    missing = run(tmp_path / "missing", "-o", tmp_path / "run", ranks=3)
    assert missing.returncode == 2
    assert sentences(missing) == 1
    few = run(photographs, "-o", tmp_path / "run", ranks=3, settings=(*SETTINGS, "shards=2"))
    assert few.returncode == 2
    assert few.stderr.count("this run divides batches into 2, too few for 3 ranks") == 1
    minutes = run(photographs, "--minutes", -1, "-o", tmp_path / "run", ranks=3)
    assert minutes.returncode == 2
    assert sentences(minutes) == 1
    small = run(photographs, "--batch", 2, "-o", tmp_path / "run", ranks=3)
    assert small.returncode == 2
    assert small.stderr.count("a batch of 2 is too small for 3 ranks") == 1
    assert not (tmp_path / "run").exists()
    diverged = run(photographs, "--batch", 4, "--patch", 6, "--rate", 1e30, "-o", tmp_path / "run", ranks=3)
    assert diverged.returncode == 1
    assert diverged.stderr.count("no longer finite") == 1
    for wrong in (["--sclae", 3], ["--set", "blocks"]):
        done = run(photographs, *wrong, "-o", tmp_path / "run", ranks=3)
        assert done.returncode == 2
        assert sentences(done) == 1


@needs_mpi
def test_debug_shows_where_an_unexpected_error_of_a_rank_comes_from(photographs, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(
        f"import os\nif {RANK} == '1':\n"
        "    from npbsrn.training import loop\n    loop.Run.go = lambda run, state: 1 / 0\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")])))
    words = [photographs, "--batch", 4, "--patch", 6]
    plain = run(*words, "-o", tmp_path / "plain", ranks=2)
    debugged = run(*words, "-o", tmp_path / "debugged", ranks=2, debug=["--debug"])
    for done in (plain, debugged):
        assert done.returncode == 1
        assert done.stderr.count("unexpected ZeroDivisionError on rank 1: division by zero") == 1
    assert "Traceback" not in plain.stderr
    assert "loop.Run.go = lambda run, state: 1 / 0" in debugged.stderr


def test_without_mpi4py(photographs, tmp_path, monkeypatch):
    (tmp_path / "mpi4py.py").write_text("raise ImportError('no mpi4py')")
    place = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    monkeypatch.setenv("PYTHONPATH", place)
    monkeypatch.setenv("PMI_SIZE", "2")
    done = run(photographs, "-o", tmp_path / "run")
    assert done.returncode == 2
    assert "needs mpi4py; pip install 'npbsrn[mpi]'" in done.stderr
    monkeypatch.setenv("PMI_SIZE", "1")
    assert run(photographs, "-o", tmp_path / "run", "--batch", 2, "--patch", 6, "--steps", 1).returncode == 0
