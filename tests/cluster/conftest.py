"""Real clusters, in processes of their own: what Dask leaves open when it ends is no warning of these tests."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from npbsrn.images.resize import resize

ROOT = Path(__file__).parents[2]
# As many as `--dask local` starts workers.
ENVIRONMENT = os.environ | {"NPBSRN_NUM_THREADS": "2", "PYTHONPATH": str(ROOT)}
PATIENCE = 100  # seconds, on a machine that compiles kernels and has much else to do


def npbsrn(*words, cwd=None):
    """Run a command; returns its exit code, and what it has said."""
    done = subprocess.run(
        [sys.executable, "-m", "npbsrn", *map(str, words)],
        cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def start(name, *words, **environment):
    """Start one of Dask's programs."""
    command = [sys.executable, "-m", f"distributed.cli.dask_{name}", *map(str, words), "--no-dashboard"]
    return subprocess.Popen(
        command, env=ENVIRONMENT | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def end(*processes):
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(PATIENCE)


def wait_for(condition):
    """Wait until something is so."""
    until = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < until
        time.sleep(0.02)
    return found


def files_of(folder):
    """All files below a folder, hidden ones too, with their bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()
    }


def write_pictures(folder, count, side):
    """Write smooth pictures, no two of one size."""
    folder.mkdir(parents=True)
    for n in range(count):
        small = np.random.default_rng(n).integers(0, 256, (side + n, side, 3), np.uint8)
        Image.fromarray(resize(small, 4)).save(folder / f"{n}.png")


@pytest.fixture(scope="session")
def scheduler(tmp_path_factory):
    """The address of a scheduler without workers."""
    pytest.importorskip("distributed", reason="Dask is missing: pip install '.[dask]'")
    place = tmp_path_factory.mktemp("scheduler") / "address"
    script = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom distributed import Scheduler\n"
        "async def main():\n    async with Scheduler(host='127.0.0.1', port=0, dashboard=False) as scheduler:\n"
        "        Path(sys.argv[1] + '~').write_text(scheduler.address)\n"
        "        Path(sys.argv[1] + '~').rename(sys.argv[1])\n        await scheduler.finished()\n"
        "asyncio.run(main())"
    )
    process = subprocess.Popen([sys.executable, "-c", script, place], env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    wait_for(place.exists)
    yield place.read_text()
    end(process)


@pytest.fixture(scope="session")
def workers(scheduler):
    """The address of a scheduler with two workers, which are started again when they end."""
    process = start("worker", scheduler, "--nworkers", 2, "--nthreads", 1)
    yield scheduler
    end(process)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a picture, as the working folder."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.arange(96, dtype=np.uint8).reshape(4, 8, 3) * 2).save("a.png")
    return tmp_path
