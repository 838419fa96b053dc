"""Folders over a real cluster: the bytes of the ordinary run, whatever fails, is killed or is interrupted."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from tests.cluster.conftest import ENVIRONMENT, PATIENCE, end, files_of, npbsrn, start, wait_for, write_pictures

pytest.importorskip("distributed", reason="Dask is missing: pip install '.[dask]'")
QUICK = "-m", "bicubic"


@pytest.fixture
def place(tmp_path, photographs):
    """A folder with pictures of several kinds, one of them damaged, and what is no picture."""
    below = photographs / "below"
    below.mkdir()
    alpha = np.random.default_rng(1).integers(0, 256, (9, 8, 4), np.uint8)
    Image.fromarray(alpha).save(below / "clear.png")
    Image.fromarray(alpha[:1, :1, :3]).save(below / "dot.png")
    whole = (photographs / "1.png").read_bytes()
    (photographs / "cut.png").write_bytes(whole[: len(whole) // 2])
    (photographs / "0.bmp").write_bytes(b"BM")
    (photographs / "notes.txt").write_text("no picture")
    return tmp_path


def test_all_is_as_without_a_cluster(place, workers):
    words = "-i", "photographs", "-f", "jpg", "-s", "2.5", "-m", "fast"
    code, said = npbsrn("upscale", *words, "-o", "by-one", cwd=place)
    other_code, other = npbsrn("upscale", *words, "-o", "by-many", "--dask", workers, cwd=place)
    # In another order, as pictures end; and only this process says that it compiles.
    assert sorted(other.replace("by-many", "by-one").splitlines()) == sorted(
        line for line in said.splitlines() if "compiling kernels" not in line
    )
    assert code == other_code
    assert code == 1
    assert "photographs/cut.png is damaged" in said
    assert "photographs/below/clear.png: transparency is laid over #ffffff" in said
    assert files_of(place / "by-one") == files_of(place / "by-many")
    assert len(files_of(place / "by-one")) == 6


def test_what_is_done_is_left_alone(place, workers):
    words = "upscale", "-i", "photographs/below", "-o", "out", *QUICK, "--dask", workers
    (place / "out").mkdir()
    (place / "out/dot.png").write_bytes(b"mine")
    assert npbsrn(*words, cwd=place) == (
        0, "out: 1 picture enlarged; 1 existed already and are left alone, --overwrite replaces them\n"
    )  # fmt: skip
    assert (place / "out/dot.png").read_bytes() == b"mine"
    assert npbsrn(*words, "--overwrite", cwd=place)[0] == 0
    with Image.open(place / "out/dot.png") as image:
        assert image.size == (4, 4)


def test_a_single_picture_that_cannot_be_read(place, workers):
    code, said = npbsrn("upscale", "photographs/cut.png", "-o", "out/", *QUICK, "--dask", workers, cwd=place)
    assert code == 1
    assert "photographs/cut.png is damaged" in said
    assert all(line.startswith("npbsrn: ") for line in said.splitlines()), said
    assert not files_of(place / "out")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(place, workers):
    (place / "out").mkdir(mode=0o555)
    code, said = npbsrn("upscale", "-i", "photographs", "-o", "out", *QUICK, "--dask", workers, cwd=place)
    assert (code, "may not be written" in said) == (2, True)


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Pictures that take a moment each, and their results without a cluster."""
    folder = tmp_path_factory.mktemp("several")
    write_pictures(folder / "in", 6, 50)
    assert npbsrn("upscale", "-i", "in", "-o", "out", cwd=folder)[0] == 0
    return folder


@contextmanager
def running(*words, cwd):
    process = subprocess.Popen(
        [sys.executable, "-m", "npbsrn", *words],
        cwd=cwd, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def has_begun(folder):
    """Whether a result is being written, beside at least one that is whole."""
    names = os.listdir(folder) if folder.is_dir() else []
    return any(name.startswith(".") for name in names) and any(not name.startswith(".") for name in names)


def test_a_killed_worker_loses_nothing(several, tmp_path, workers):
    shutil.copytree(several / "in", tmp_path / "in")
    with running("upscale", "-i", "in", "-o", "out", "--dask", workers, cwd=tmp_path) as process:
        wait_for(lambda: has_begun(tmp_path / "out"))
        pids = subprocess.run(
            [sys.executable, "-c", PIDS, workers], env=ENVIRONMENT, capture_output=True, text=True, check=True
        ).stdout.split()
        assert len(pids) == 2
        os.kill(int(pids[0]), signal.SIGKILL)
        said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    # Of a result that was written just before the kill, nobody knows who wrote it.
    assert re.fullmatch(r"out: [56] pictures enlarged(; 1 existed already .*)?\n", said), said
    assert files_of(tmp_path / "out") == files_of(several / "out")  # and so no temporary file is left


PIDS = """if __name__ == "__main__":
    import os, sys
    from distributed import Client
    with Client(sys.argv[1]) as client:
        busy = {where for where, tasks in client.processing().items() if tasks}
        pids = client.run(os.getpid)
        print(*sorted(pids.values(), key=lambda pid: [pids[where] for where in busy].count(pid), reverse=True))
"""


def test_an_interrupt_leaves_nothing_half_written(several, tmp_path):
    shutil.copytree(several / "in", tmp_path / "in")
    words = "upscale", "-i", "in", "-o", "out", "--dask", "local"
    with running(*words, cwd=tmp_path) as process:
        wait_for(lambda: has_begun(tmp_path / "out"))
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
        said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGINT
    assert re.search(r"^npbsrn: interrupted; [0-6] of 6 pictures are done; the same command goes on", said, re.M), said
    assert "Traceback" not in said
    done = files_of(tmp_path / "out")
    assert 0 < len(done) < 6
    code, said = npbsrn(*words, cwd=tmp_path)
    assert code == 0
    assert said.startswith(f"out: {6 - len(done)} picture")
    assert files_of(tmp_path / "out") == files_of(several / "out")
    assert done.items() <= files_of(tmp_path / "out").items()


OTHERS = {
    "version": (
        "import npbsrn\nimport npbsrn.cluster.worker as worker\nnpbsrn.__version__ = worker.__version__ = '0.0.9'\n"
    ),
    "folders": (
        "import npbsrn.cluster.requests as requests\nimport npbsrn.cluster.worker as worker\n"
        "requests.absent = lambda places: list(places)\nworker.blind = lambda request: request.proof\n"
    ),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_the_pictures_of_a_worker_that_will_not_do_go_to_others(several, tmp_path, workers, kind):
    """It joins when the others have been asked, and has always time for the next picture."""
    shutil.copytree(several / "in", tmp_path / "in")
    (tmp_path / "other.py").write_text(OTHERS[kind])
    with running("upscale", "-i", "in", "-o", "out", "--dask", workers, cwd=tmp_path) as process:
        wait_for(lambda: has_begun(tmp_path / "out"))
        other = start("worker", workers, "--nthreads", 1, "--no-nanny", "--preload", tmp_path / "other.py")
        try:
            said, _ = process.communicate(timeout=PATIENCE)
        finally:
            end(other)
    assert process.returncode == 0, said
    assert said.endswith("out: 6 pictures enlarged\n")
    assert files_of(tmp_path / "out") == files_of(several / "out")


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="there are no such signals")
def test_an_interrupt_while_workers_begin(several, tmp_path):
    with running("upscale", "-i", str(several / "in"), "-o", "out", "--dask", "local", cwd=tmp_path) as process:
        wait_for(lambda: children(process.pid) > 1)  # one of them is that of multiprocessing, which tidies up
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGINT, said
    assert all(line.startswith("npbsrn: ") for line in said.splitlines()), said
    assert not files_of(tmp_path / "out")


def children(pid):
    """Processes that one has begun."""
    listed = subprocess.run(["ps", "-e", "-o", "ppid="], capture_output=True, text=True, check=True).stdout
    return listed.split().count(str(pid))


def test_an_interrupt_while_the_scheduler_hangs(several, tmp_path):
    address = tmp_path / "address"
    scheduler = start("scheduler", "--host", "127.0.0.1", "--port", 0, "--scheduler-file", address)
    worker = None
    try:
        wait_for(address.exists)
        worker = start("worker", "--scheduler-file", address, "--nthreads", 1)
        where = json.loads(wait_for(address.read_text))["address"]
        with running("upscale", "-i", str(several / "in"), "-o", "out", "--dask", where, cwd=tmp_path) as process:
            wait_for(lambda: has_begun(tmp_path / "out"))
            scheduler.send_signal(signal.SIGSTOP)
            os.killpg(process.pid, signal.SIGINT)
            said, _ = process.communicate(timeout=PATIENCE)
    finally:
        scheduler.send_signal(signal.SIGCONT)
        end(*filter(None, (scheduler, worker)))
    assert process.returncode == 128 + signal.SIGINT, said
    assert "Traceback" not in said
