import dataclasses

import numpy as np
import pytest

from npbsrn.errors import UsageError, WeightsError
from npbsrn.models import check_scale, load, save_model
from npbsrn.storage import params as params_module
from npbsrn.storage.params import leaves, load_arrays, save_arrays


@pytest.fixture
def path(tmp_path, tiny_model):
    save_model(tmp_path / "w.npz", dataclasses.replace(tiny_model, card={"steps": 7}))
    return tmp_path / "w.npz"


def test_round_trip(path, tiny_model):
    model = load(path)
    assert model.network.config == tiny_model.network.config
    assert model.card["steps"] == 7
    for (name, a), (other, b) in zip(leaves(model.params), leaves(tiny_model.params), strict=True):
        assert name == other
        np.testing.assert_array_equal(a, b)


def test_a_loaded_model_can_be_changed_and_saved_again(path):
    model = load(path)
    model.params["head"]["bias"] += 1
    save_model(path, model)
    np.testing.assert_array_equal(load(path).params["head"]["bias"], model.params["head"]["bias"])


def test_a_model_is_shown_in_one_line(tiny_model):
    assert repr(tiny_model).startswith("<Model bsrn x4, ")


def test_a_run_folder_stands_for_its_weights(path):
    path.rename(path.parent / "weights.npz")
    assert load(path.parent).scale == 4


def rewrite(path, change_arrays=None, change_card=None):
    arrays, card = load_arrays(path)
    save_arrays(path, (change_arrays or dict)(arrays), (change_card or dict)(card), compress=True)


def test_weights_that_do_not_fit_are_refused(path):
    good = path.read_bytes()
    for change, message in (
        (lambda a: {k: v for k, v in a.items() if k != "head.bias"}, "head.bias is missing"),
        (lambda a: a | {"more": np.zeros(1, np.float32)}, "more is missing or of another shape"),
        (lambda a: a | {"head.bias": np.zeros(5, np.float32)}, "head.bias is missing or of another shape"),
        (lambda a: a | {"head.bias": np.zeros(4)}, "head.bias is not finite float32"),
        (lambda a: a | {"head.bias": np.full(4, np.nan, np.float32)}, "head.bias is not finite float32"),
    ):
        path.write_bytes(good)
        rewrite(path, change)
        with pytest.raises(WeightsError, match=message):
            load(path)
    for config in ({"name": "edsr", "scale": 4}, {"scale": 2.0}, {"scale": [4]}, {}, [], "bsrn", None, 3):
        path.write_bytes(good)
        rewrite(path, change_card=lambda card, config=config: card | {"config": config})
        with pytest.raises(WeightsError, match="does not say which network it is for"):
            load(path)


@pytest.mark.parametrize("options", [{"width": 10**6}, {"blocks": 10**12}, {"name": "bbcu", "blocks": 10**5}])
def test_a_network_that_is_larger_than_its_file_is_not_built(path, monkeypatch, options):
    monkeypatch.setattr("npbsrn.models.make_network", lambda config: pytest.fail("built"))
    rewrite(path, change_card=lambda card: card | {"config": card["config"] | options})
    with pytest.raises(WeightsError, match=r"weights are too few for \d+ blocks of \d+ channels"):
        load(path)


def test_foreign_and_newer_files_are_refused(path, monkeypatch):
    rewrite(path)
    monkeypatch.setattr(params_module, "FORMAT", 0)
    with pytest.raises(WeightsError, match="has format 1, this npbsrn reads up to 0; upgrade"):
        load(path)
    np.savez(path, a=np.zeros(3))
    with pytest.raises(WeightsError, match="was not written by npbsrn"):
        load(path)
    path.write_text("no archive at all")
    with pytest.raises(WeightsError, match="truncated or no npbsrn file"):
        load(path)
    with pytest.raises(WeightsError, match="there is no weight file"):
        load(path.parent / "nothing.npz")


@pytest.mark.parametrize("scale", [1, 5, 2.5, 4.0, "4", None, True])
def test_unknown_scales_are_refused(scale):
    with pytest.raises(UsageError, match="the scale must be one of 2, 3, 4"):
        check_scale(scale)
