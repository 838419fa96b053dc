"""Which engine runs what."""

import gc

import numpy as np
import pytest

import npbsrn
from npbsrn import engines
from npbsrn.errors import UsageError, WeightsError
from npbsrn.models import Model, save_model
from npbsrn.networks import make_network
from npbsrn.packed.engine import Engine
from npbsrn.packed.file import save_packed
from npbsrn.packed.fold import fold
from npbsrn.upscaling import choose_model


@pytest.fixture
def picture(rng):
    return rng.integers(0, 256, (9, 11, 3), np.uint8)


@pytest.fixture
def packed_file(tmp_path, tiny_model):
    save_packed(tmp_path / "packed.npz", fold(tiny_model))
    return tmp_path / "packed.npz"


def test_models_are_packed_by_default(tiny_model):
    assert isinstance(choose_model(tiny_model, 4), Engine)
    assert isinstance(choose_model(tiny_model, 4, "packed"), Engine)
    assert choose_model(tiny_model, 4, "reference") is tiny_model


def test_an_engine_is_kept_with_its_model(tiny_model):
    model = Model(tiny_model.network, tiny_model.params)
    assert choose_model(model, 4) is choose_model(model, 4)
    key = id(model)
    assert key in engines._engines
    del model
    gc.collect()
    assert key not in engines._engines


def test_what_cannot_be_packed_runs_by_the_reference(picture):
    network = make_network({"scale": 4, "blocks": 1, "width": 4, "skip": "every"})
    model = Model(network, network.init(0))
    assert choose_model(model, 4) is model
    np.testing.assert_array_equal(
        npbsrn.upscale(picture, 4, model), npbsrn.upscale(picture, 4, model, engine="reference")
    )
    with pytest.raises(UsageError, match='skip "every" cannot be packed; run it with engine="reference"'):
        npbsrn.upscale(picture, 4, model, engine="packed")


def test_packed_files_run(packed_file, tiny_model, picture):
    expected = npbsrn.upscale(picture, 4, tiny_model)
    np.testing.assert_array_equal(npbsrn.upscale(picture, 4, packed_file), expected)
    np.testing.assert_array_equal(npbsrn.upscale(picture, 4, str(packed_file), engine="packed"), expected)
    np.testing.assert_array_equal(npbsrn.upscale(picture, 4, choose_model(packed_file, 4)), expected)
    with pytest.raises(UsageError, match="which only the packed engine runs"):
        npbsrn.upscale(picture, 4, packed_file, engine="reference")
    with pytest.raises(UsageError, match="the model enlarges x4, not x2"):
        npbsrn.upscale(picture, 2, packed_file)


def test_float_files_run_by_either(tmp_path, tiny_model, picture):
    save_model(tmp_path / "float.npz", tiny_model)
    difference = npbsrn.upscale(picture, 4, tmp_path / "float.npz").astype(int)
    difference -= npbsrn.upscale(picture, 4, tmp_path / "float.npz", engine="reference")
    assert np.abs(difference).max() <= 1


def test_missing_files_are_named(tmp_path):
    with pytest.raises(WeightsError, match=r"there is no weight file .*none\.npz"):
        choose_model(tmp_path / "none.npz", 4)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"engine": "fast"}, "there is no engine 'fast'; choose among auto, packed, reference"),
        ({"tile": 0}, 'tile must be "auto" or a whole number above 0, not 0'),
        ({"tile": "large"}, "not 'large'"),
        ({"threads": 0}, "threads must be a whole number above 0, not 0"),
        ({"threads": True}, "threads must be a whole number above 0, not True"),
    ],
)
def test_unknown_options_are_refused(tiny_model, picture, option, message):
    with pytest.raises(UsageError, match=message):
        npbsrn.upscale(picture, 4, tiny_model, **option)


def test_what_cannot_fit_into_memory_is_said_before(monkeypatch, tiny_model, picture):
    engine = choose_model(tiny_model, 4)
    need = 16 * picture.nbytes + engine.working_bytes(9, 11, 1024, 1)
    monkeypatch.setattr("npbsrn.packed.engine.available_bytes", lambda: need)
    npbsrn.upscale(picture, 4, tiny_model, threads=1)
    monkeypatch.setattr("npbsrn.packed.engine.available_bytes", lambda: need - 1)
    with pytest.raises(UsageError, match=r"11x9 pixels need \d+\.\d\d GB of memory.* are available; take smaller"):
        npbsrn.upscale(picture, 4, tiny_model, threads=1)


def test_smaller_tiles_need_less_memory(tiny_model):
    engine = choose_model(tiny_model, 4)
    needs = [engine.working_bytes(4000, 6000, side, 2) for side in (128, 512, 1024, 6000)]
    assert needs == sorted(needs)
