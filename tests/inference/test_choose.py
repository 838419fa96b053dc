"""Which engine runs what."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

import npbsrn
from npbsrn.errors import UsageError, WeightsError
from npbsrn.inference import choose
from npbsrn.inference.choose import choose_runner
from npbsrn.inference.runners import Reference
from npbsrn.models import Model, save_model
from npbsrn.networks.base import make_network
from npbsrn.packed.engine import SIDES, Engine
from npbsrn.packed.format import save_packed
from npbsrn.packed.lower import lower
from npbsrn.runtime import buffers


@pytest.fixture
def picture(rng):
    return rng.integers(0, 256, (9, 11, 3), np.uint8)


@pytest.fixture
def packed_file(tmp_path, tiny_model):
    save_packed(tmp_path / "packed.npz", lower(tiny_model))
    return tmp_path / "packed.npz"


def test_models_are_packed_by_default(tiny_model):
    assert isinstance(choose_runner(tiny_model, 4), Engine)
    assert isinstance(choose_runner(tiny_model, 4, "packed"), Engine)
    assert choose_runner(tiny_model, 4, "reference").model is tiny_model


def test_an_engine_is_kept_with_its_model(tiny_model):
    model = Model(tiny_model.network, tiny_model.params)
    assert choose_runner(model, 4) is choose_runner(model, 4)
    key = id(model)
    assert key in choose._packed
    del model
    gc.collect()
    assert key not in choose._packed


def test_what_cannot_be_packed_runs_by_the_reference(picture):
    network = make_network({"scale": 4, "blocks": 1, "width": 4, "binarizer": {"padding": "zero"}})
    model = Model(network, network.init(0))
    assert isinstance(choose_runner(model, 4), Reference)
    np.testing.assert_array_equal(
        npbsrn.upscale(picture, 4, model), npbsrn.upscale(picture, 4, model, engine="reference")
    )
    with pytest.raises(UsageError, match=r'cannot be packed: zeros .* third value; run it with engine="reference"'):
        npbsrn.upscale(picture, 4, model, engine="packed")


def test_a_folder_that_holds_packed_weights_alone_names_them(packed_file, tiny_model, picture):
    """As that of a table's row does; other weights go before them."""
    expected = npbsrn.upscale(picture, 4, tiny_model)
    np.testing.assert_array_equal(npbsrn.upscale(picture, 4, packed_file.parent), expected)
    (packed_file.parent / "weights.npz").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match=r"weights\.npz is truncated"):
        choose_runner(packed_file.parent, 4)


def test_packed_files_run(packed_file, tiny_model, picture):
    expected = npbsrn.upscale(picture, 4, tiny_model)
    np.testing.assert_array_equal(npbsrn.upscale(picture, 4, packed_file), expected)
    np.testing.assert_array_equal(npbsrn.upscale(picture, 4, str(packed_file), engine="packed"), expected)
    np.testing.assert_array_equal(npbsrn.upscale(picture, 4, choose_runner(packed_file, 4)), expected)
    difference = npbsrn.upscale(picture, 4, packed_file, engine="reference").astype(int) - expected
    assert abs(difference).max() <= 1
    with pytest.raises(UsageError, match="the model enlarges x4, not x2"):
        choose_runner(packed_file, 2)


def test_float_files_run_by_either(tmp_path, tiny_model, picture):
    save_model(tmp_path / "float.npz", tiny_model)
    difference = npbsrn.upscale(picture, 4, tmp_path / "float.npz").astype(int)
    difference -= npbsrn.upscale(picture, 4, tmp_path / "float.npz", engine="reference")
    assert np.abs(difference).max() <= 1


def test_missing_files_are_named(tmp_path):
    with pytest.raises(WeightsError, match=r"there is no weight file .*none\.npz"):
        choose_runner(tmp_path / "none.npz", 4)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"engine": "fast"}, "there is no engine 'fast'; choose among auto, packed, reference"),
        ({"tile": 15}, 'tile must be "auto" or a whole number of at least 16, not 15'),
        ({"tile": "large"}, "not 'large'"),
        ({"threads": 0}, "threads must be a whole number above 0, not 0"),
        ({"threads": True}, "threads must be a whole number above 0, not True"),
    ],
)
def test_unknown_options_are_refused(tiny_model, picture, option, message):
    with pytest.raises(UsageError, match=message):
        npbsrn.upscale(picture, 4, tiny_model, **option)


def test_what_cannot_fit_into_memory_is_said_before(monkeypatch, tiny_model, picture):
    engine = choose_runner(tiny_model, 4)
    need = 16 * picture.nbytes + engine.working_bytes(9, 11, 1024, 1)
    monkeypatch.setattr("npbsrn.packed.engine.available_bytes", lambda: need)
    npbsrn.upscale(picture, 4, tiny_model, threads=1)
    gc.collect()
    buffers.clear()
    monkeypatch.setattr("npbsrn.packed.engine.available_bytes", lambda: need - 1)
    with pytest.raises(UsageError, match=r"11x9 pixels need \d+\.\d\d GB of memory.* are available; take smaller"):
        npbsrn.upscale(picture, 4, tiny_model, threads=1)


def test_tiles_are_as_large_as_fits(monkeypatch, tiny_model):
    engine, picture = choose_runner(tiny_model, 4), np.zeros((3000, 3000, 3), np.uint8)
    sides = []
    monkeypatch.setattr(engine, "_tile", lambda picture, tile, *_: sides.append(tile.rows[1] - tile.rows[0]))
    for side in SIDES:
        buffers.clear()
        need = 16 * picture.nbytes + engine.working_bytes(3000, 3000, side, 1)
        monkeypatch.setattr("npbsrn.packed.engine.available_bytes", lambda need=need: need)
        engine.run(picture, 1)
        assert max(sides) == side
        sides.clear()


def test_smaller_tiles_need_less_memory(tiny_model):
    engine = choose_runner(tiny_model, 4)
    small, medium, large = (engine.working_bytes(4000, 6000, side, 2) for side in (128, 512, 6000))
    assert 2 * small < medium < large / 2


@pytest.mark.parametrize(("extents", "tile"), [((150, 400), 1024), ((300, 220), 100)])
def test_the_estimate_of_memory_is_what_is_taken(extents, tile):
    network = make_network({"scale": 4, "blocks": 1})
    engine = Engine(lower(Model(network, network.init(0))))
    picture = np.zeros((*extents, 3), np.uint8)
    engine.run(picture, 1, tile)  # compiles
    buffers.clear()
    tracemalloc.start()
    result = engine.run(picture, 1, tile)
    peak = tracemalloc.get_traced_memory()[1] - result.nbytes
    tracemalloc.stop()
    assert 0.7 < peak / engine.working_bytes(*extents, tile, 1) < 1.1


def test_what_waits_for_the_next_picture_counts_as_there(monkeypatch, tiny_model, picture):
    engine = choose_runner(tiny_model, 4)
    need = 16 * picture.nbytes + engine.working_bytes(9, 11, 1024, 1)
    left = buffers.empty((need,), np.uint8)
    del left
    gc.collect()
    assert buffers.held() >= need
    monkeypatch.setattr("npbsrn.packed.engine.available_bytes", lambda: 0)
    assert npbsrn.upscale(picture, 4, tiny_model, threads=1).shape == (36, 44, 3)
    gc.collect()
    buffers.clear()
    with pytest.raises(UsageError, match=r"and 0\.00 GB are available"):
        npbsrn.upscale(picture, 4, tiny_model, threads=1)


def test_an_engine_goes_with_its_model(tiny_model):
    model = Model(tiny_model.network, tiny_model.params)
    engine = weakref.ref(choose_runner(model, 4))
    assert engine() is not None
    del model
    gc.collect()
    assert engine() is None


@pytest.mark.parametrize("dtype", [">u2", "<u2", ">f4", "f8", "f2"])
def test_numbers_of_any_order_and_size(tiny_model, picture, dtype):
    given = (picture / 255).astype(dtype) if "f" in dtype else (picture * np.uint16(257)).astype(dtype)
    result = npbsrn.upscale(given, 4, tiny_model)
    assert result.dtype == given.dtype
    peak = 1 if "f" in dtype else 65535
    eight = npbsrn.upscale(picture, 4, tiny_model)
    if dtype != "f2":  # whose input is rounded
        np.testing.assert_allclose(result.astype(float) / peak * 255, eight, atol=0.51)


def test_models_of_float64_run(picture):
    network = make_network({"scale": 2, "blocks": 1, "width": 4})
    model = Model(network, network.init(0, np.float64))
    difference = npbsrn.upscale(picture, 2, model).astype(int) - npbsrn.upscale(picture, 2, model, engine="reference")
    assert np.mean(np.abs(difference)) < 0.5


def test_an_engine_is_no_model_for_the_reference(tiny_model, picture):
    with pytest.raises(UsageError, match="an engine is no model that the reference could run"):
        npbsrn.upscale(picture, 4, choose_runner(tiny_model, 4), engine="reference")


def test_packed_files_are_named_where_float_ones_are_needed(packed_file):
    with pytest.raises(WeightsError, match="holds a packed network, which can only enlarge pictures"):
        npbsrn.load(packed_file)
