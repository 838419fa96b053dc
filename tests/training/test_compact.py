import dataclasses

import numpy as np
import pytest

import npbsrn
from npbsrn.errors import UsageError
from npbsrn.networks.base import make_network
from npbsrn.storage.params import load_arrays
from npbsrn.training.checkpoint import GROUPS, Origin, load_checkpoint, save_checkpoint
from npbsrn.training.compact import BITS, SMALL, compact_run, keep_bits
from npbsrn.training.config import make_config
from npbsrn.training.step import first_state
from tests.training.runs import arrays, interrupt_at, same

ORIGIN = Origin("/pictures", ("/Set5",), "old.npz", "digest")


@pytest.fixture
def used_state(rng):
    """The state of a network in its middle, with moments of many magnitudes."""

    def make(**network):
        state = first_state(make_network({"scale": 4} | network), 0)
        size = state.m.vector.size
        state.m.vector[:] = rng.standard_normal(size) * np.exp(rng.standard_normal(size)) * 1e-4
        state.v.vector[:] = state.m.vector**2 * np.exp(rng.standard_normal(size))
        state.average.vector[:] += 0.01 * rng.standard_normal(state.average.vector.size)
        return dataclasses.replace(state, step=7, best=25.5, psnr=25.25, seconds=9.5)

    return make


@pytest.mark.parametrize("bits", [0, 3, 7, 22])
def test_rounding_is_to_the_nearest(rng, bits):
    values = (rng.standard_normal(1000) * 10.0 ** rng.integers(-30, 30, 1000)).astype(np.float32)
    mantissa, exponent = np.frexp(values.astype(np.float64))  # 0.5 <= |mantissa| < 1
    naive = np.ldexp(np.rint(mantissa * 2.0 ** (bits + 1)) / 2.0 ** (bits + 1), exponent)
    rounded = keep_bits(values, bits)
    assert rounded.dtype == np.float32
    np.testing.assert_array_equal(rounded, naive.astype(np.float32))
    np.testing.assert_array_equal(keep_bits(rounded, bits), rounded)


def test_halves_are_rounded_to_even_and_zero_stays():
    values = np.array([1.25, 1.75, -1.25, -1.75, 0.0, 1.5, 1e-45], np.float32)
    np.testing.assert_array_equal(keep_bits(values, 1), np.array([1, 2, -1, -2, 0, 1.5, 0], np.float32))


def test_a_compact_state_is_near_and_small(tmp_path, used_state):
    state = used_state(blocks=1)
    config = make_config(4, options={"blocks": 1})
    (tmp_path / "run").mkdir()
    save_checkpoint(tmp_path / "run/checkpoint.npz", state, config, ORIGIN)
    path, small = compact_run(tmp_path / "run", tmp_path / "out")
    assert path == tmp_path / "out/checkpoint.npz"
    assert path.stat().st_size < 0.55 * (tmp_path / "run/checkpoint.npz").stat().st_size
    again, *rest = load_checkpoint(path)
    assert rest == [config, dataclasses.replace(ORIGIN, folder=None)]
    assert (again.step, again.best, again.psnr, again.seconds) == (7, 25.5, 25.25, 9.5)
    for group in GROUPS:
        for name, array in getattr(state, group).items():
            kept = getattr(again, group)[name]
            np.testing.assert_array_equal(kept, getattr(small, group)[name])
            np.testing.assert_allclose(kept, array, rtol=0 if array.size < SMALL else 2.0 ** -(BITS[group] + 1))
    assert not np.array_equal(again.params.vector, state.params.vector)


@pytest.mark.slow
def test_the_papers_network_fits_into_ten_megabytes(tmp_path, used_state):
    save_checkpoint(tmp_path / "checkpoint.npz", used_state(), make_config(4), ORIGIN)
    path, _ = compact_run(tmp_path, tmp_path / "out")
    assert path.stat().st_size < 10e6


def test_a_compact_run_goes_on(train, tmp_path, photographs, monkeypatch):
    train("whole", width=16)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            train("stopped", width=16)
    compact_run(tmp_path / "stopped", tmp_path / "carried")
    again = {"output": tmp_path / "carried", "resume": True, "progress": False, "cache": tmp_path / "cache"}
    with pytest.raises(UsageError, match="name a folder of pictures"):
        npbsrn.train(**again)
    npbsrn.train(photographs, **again)
    assert load_arrays(tmp_path / "carried/checkpoint.npz")[1]["step"] == 8
    whole, carried = (arrays(tmp_path / run / "weights.npz") for run in ("whole", "carried"))
    assert not same(whole, carried)
    for name in whole:
        np.testing.assert_allclose(carried[name], whole[name], atol=0.05, err_msg=name)


def test_nothing_is_overwritten(train, tmp_path):
    train()
    before = (tmp_path / "run/checkpoint.npz").read_bytes()
    with pytest.raises(UsageError, match="run holds a run already"):
        compact_run(tmp_path / "run", tmp_path / "run")
    assert (tmp_path / "run/checkpoint.npz").read_bytes() == before
