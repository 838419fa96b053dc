import importlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core import config
from numba.core.dispatcher import Dispatcher

from npbsrn.kernels import jit
from npbsrn.kernels.memory import load, store

TINY = "import numpy as np; from npbsrn.ops.filters import binary_filters; from npbsrn.ops.conv import conv2d; "
TINY += "x = np.ones((1, 1, 2, 2), np.float32); y, pull = conv2d(x, np.ones((1, 1, 3, 3), np.float32)); pull(y); "
TINY += "w = np.ones((2, 3, 1, 1), np.float32); print(binary_filters([w], np.ones(1, np.float32), 'identity')[0][1]); "
TINY += "import sys; print('numba.np.arraymath' in sys.modules)"  # of what Numba imports only to compile
COMPILED, LOADED = "[1. 1.]\nTrue\n", "[1. 1.]\nFalse\n"


def run(cache):
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", TINY], env=environment | {"NPBSRN_CACHE": str(cache)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_compiled_kernels_are_kept(tmp_path):
    """In the package's cache; and loading them takes less than compiling them."""
    assert run(tmp_path) == COMPILED
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")}
    assert kept
    assert {path.parents[1] for path in kept} == {tmp_path / "kernels"}
    assert run(tmp_path) == LOADED
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")} == kept


@pytest.mark.parametrize("variable", ["NPBSRN_CACHE", "NUMBA_CACHE_DIR"])
def test_where_kernels_cannot_be_kept_it_is_said_and_nothing_is_written(tmp_path, variable):
    """Least of all into the package, which files would outlive."""
    place = tmp_path / "file"
    place.write_text("mine")
    program = "import numpy as np; from npbsrn.kernels import jit; from tests.kernels.test_jit import double; "
    program += "out = np.empty(16, np.float32); jit.kernel()(double)(np.ones(16, np.float32), out); print(out[0])"
    environment = {name: value for name, value in os.environ.items() if not name.endswith(("CACHE", "CACHE_DIR"))}
    before = set(Path(jit.__file__).parents[1].rglob("*.nb?"))
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment | {variable: str(place)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "2.0\n"
    assert f"set {variable} to a folder that can be written" in done.stderr
    assert set(Path(jit.__file__).parents[1].rglob("*.nb?")) == before
    assert place.read_text() == "mine"


def test_a_change_of_any_kernel_is_noticed():
    from npbsrn.kernels import filters

    kept = filters.filters_forward._cache._cache_file
    assert kept._source_stamp == jit.STAMP


def test_an_interrupt_leaves_no_temporary_file(tmp_path):
    from npbsrn.kernels import filters

    with pytest.raises(KeyboardInterrupt), filters.filters_forward._cache._cache_file._open_for_write(tmp_path / "x"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_only_gradients_are_summed_in_any_order():
    """Whatever decides a sign has one order on every CPU."""
    loose = []
    for path in jit.SOURCES:
        module = importlib.import_module(f"npbsrn.{path.parent.name}.{path.stem}")
        loose += [
            name
            for name, value in vars(module).items()
            if isinstance(value, Dispatcher) and value.targetoptions.get("fastmath")
        ]
    assert loose == ["filters_backward"]


def double(x, out):
    store(out, 0, load(x, 0) + load(x, 0))


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """The kernel `double` as a new process meets it, kept in a folder of the test's."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))  # which Numba reads again where it has changed
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))

    def run():
        own, out = jit.kernel()(double), np.empty(16, np.float32)
        own(np.arange(16, dtype=np.float32), out)
        assert out.tolist() == list(range(0, 32, 2))
        return own.stats.cache_hits.total()

    return run


def test_a_kept_kernel_is_not_compiled_again(fresh, tmp_path):
    assert [fresh(), fresh(), fresh()] == [0, 1, 1]
    assert len(list(tmp_path.rglob("*.nbc"))) == 1


def test_what_another_version_has_kept_is_not_even_read(fresh, tmp_path):
    """It may name what is no longer where it was."""
    fresh()
    (path,) = tmp_path.rglob("*.nbi")
    with path.open("rb") as file:
        version = pickle.load(file)
    path.write_bytes(pickle.dumps(version[:-1] + "?") + b"cnpbsrn.kernels.simd\nMoved\n.")
    assert [fresh(), fresh()] == [0, 1]


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("size", [0, 40])
def test_damaged_kernels_are_compiled_anew(fresh, tmp_path, suffix, size):
    fresh()
    (path,) = tmp_path.rglob(f"*.{suffix}")
    path.write_bytes(path.read_bytes()[:size])
    assert [fresh(), fresh()] == [0, 1]
    assert path.stat().st_size > size


def test_a_full_disk_does_not_matter(monkeypatch):
    """Where kernels cannot be kept they are used all the same, with a warning."""

    class Full:
        _source_stamp, _version = "", "0"

        def _load_index(self):
            return {}

        def _load_data(self, name):
            return name

        def save(self, key, compiled):
            raise OSError(28, "No space left on device")

    full = Full()
    jit._harden(full)
    jit._warn_once.cache_clear()
    with pytest.warns(UserWarning, match="has room"):
        full.save("key", "kernel")


@pytest.mark.slow
@pytest.mark.parametrize("features", ["+sse4.2", "+avx2,+fma,+bmi,+bmi2,+popcnt"])
def test_lesser_cpus_give_the_same(tmp_path, features):
    if os.uname().machine != "x86_64":
        pytest.skip("these features are of x86-64")
    program = "from tests.fused.test_lb_blocks import check_twins, steady; check_twins(steady(2, 4, 16), 2e-5)"
    environment = {"NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": features}
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_kernels_from_the_disk_give_the_bytes_of_those_just_compiled(tmp_path):
    """What is loaded may be linked in another way than what was compiled; runs must go on bit for bit all the same."""
    program = (
        "import hashlib; import numpy as np; from npbsrn.networks.base import make_network; "
        "from npbsrn.training.config import make_config; from npbsrn.training.step import first_state, train_step; "
        "config = make_config(4, options={'blocks': 2}); network = make_network(config.network); "
        "state = first_state(network, 0); rng = np.random.default_rng(0); "
        "x, y = (rng.random((8, 3, side, side), dtype=np.float32) for side in (16, 64)); "
        "state, _ = train_step(state, network, config, x, y); "
        "print(hashlib.sha256(state.params.vector.tobytes()).hexdigest())"
    )
    digests = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        digests.append(done.stdout)
    assert digests[0] == digests[1]
