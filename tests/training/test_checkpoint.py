from dataclasses import replace

import numpy as np
import pytest

from npbsrn.errors import WeightsError
from npbsrn.models import Model, save_model
from npbsrn.networks.base import make_network
from npbsrn.storage.params import leaves, load_arrays, save_arrays
from npbsrn.training.checkpoint import GROUPS, Origin, load_checkpoint, save_checkpoint
from npbsrn.training.config import make_config
from npbsrn.training.step import first_state

CONFIG = make_config(2, "default", {"blocks": 1, "width": 4, "steps": 5})
ORIGIN = Origin("/pictures", ("/Set5", "/Set14"), "old.npz", "digest")


def test_round_trip(tmp_path):
    state = replace(first_state(make_network(CONFIG.network), 0), step=3, judged=2, losses=(0.1, 1))
    save_checkpoint(tmp_path / "c.npz", state, CONFIG, ORIGIN)
    again, config, origin = load_checkpoint(tmp_path / "c.npz")
    assert (config, origin, again.step, again.best) == (CONFIG, ORIGIN, 3, float("-inf"))
    assert (again.judged, again.losses) == (2, (0.1, 1))
    for group in GROUPS:
        before, after = getattr(state, group), getattr(again, group)
        assert before.keys() == after.keys()
        for name in before:
            np.testing.assert_array_equal(before[name], after[name])


def test_options_younger_than_a_checkpoint_have_their_defaults(tmp_path):
    path = tmp_path / "c.npz"
    save_checkpoint(path, first_state(make_network(CONFIG.network), 0), CONFIG, ORIGIN)
    arrays, card = load_arrays(path)
    network = card["train"]["network"]
    del network["input_gain"], network["norm"], network["binarizer"]["padding"]
    network["padding"] = "one"  # which was the network's
    save_arrays(path, arrays, card, compress=False)
    assert load_checkpoint(path)[1] == CONFIG


def test_early_checkpoints_were_judged(tmp_path):
    path = tmp_path / "c.npz"
    save_checkpoint(path, replace(first_state(make_network(CONFIG.network), 0), step=3), CONFIG, ORIGIN)
    arrays, card = load_arrays(path)
    del card["judged"], card["losses"]
    save_arrays(path, arrays, card, compress=False)
    assert (load_checkpoint(path)[0].judged, load_checkpoint(path)[0].losses) == (3, (0.0, 0))


@pytest.mark.parametrize(("written", "wanted"), [(None, ()), ("/Set5", ("/Set5",))])
def test_early_checkpoints_name_one_validation_folder_or_none(tmp_path, written, wanted):
    path = tmp_path / "c.npz"
    save_checkpoint(path, first_state(make_network(CONFIG.network), 0), CONFIG, ORIGIN)
    arrays, card = load_arrays(path)
    save_arrays(path, arrays, card | {"origin": card["origin"] | {"validation": written}}, compress=False)
    assert load_checkpoint(path)[2].validation == wanted


@pytest.mark.parametrize(
    ("change_arrays", "change_card", "message"),
    [
        ({}, {"train": {"colour": 3}}, "is no checkpoint of this npbsrn"),
        ({}, {"train": None}, "is no checkpoint of this npbsrn"),
        ({}, {"best": "high"}, "is no checkpoint of this npbsrn"),
        ({}, {"best": float("inf"), "step": float("inf")}, "is no checkpoint of this npbsrn"),
        ({}, {"psnr": {}}, "is no checkpoint of this npbsrn"),
        ({}, {"train": {"network": "bsrn"}}, "does not say which network"),
        ({}, {"train": {"network": {"scale": 4, "width": 10**6}}}, "weights are too few"),
        ({}, {"origin": {"folder": 3}}, "is no checkpoint of this npbsrn"),
        ({}, {"origin": {"folder": None, "left_out": []}}, "is no checkpoint of this npbsrn"),
        ({}, {"origin": {"folder": None, "left_out": {"": [1]}}}, "is no checkpoint of this npbsrn"),
        ({"m.head.bias": np.zeros(4)}, {}, "m is not float32"),
        ({"more.x": np.zeros(1)}, {}, "is no checkpoint of this npbsrn"),
        ({"m.head.bias": np.zeros(9, np.float32)}, {}, "m does not fit the weights"),
        ({"average.head.bias": np.zeros(9, np.float32)}, {}, "head.bias is missing or of another shape"),
    ],
)
def test_foreign_checkpoints_are_refused(tmp_path, change_arrays, change_card, message):
    path = tmp_path / "c.npz"
    save_checkpoint(path, first_state(make_network(CONFIG.network), 0), CONFIG, ORIGIN)
    arrays, card = load_arrays(path)
    save_arrays(path, arrays | change_arrays, card | change_card, compress=False)
    with pytest.raises(WeightsError, match=message):
        load_checkpoint(path)


def test_a_weight_file_is_no_checkpoint(tmp_path):
    network = make_network(CONFIG.network)
    save_model(tmp_path / "w.npz", Model(network, network.init(0)))
    with pytest.raises(WeightsError, match="is a weight file, not a checkpoint"):
        load_checkpoint(tmp_path / "w.npz")


def test_first_state_is_drawn_from_the_seed():
    network = make_network(CONFIG.network)
    a, b, c = (dict(leaves(network.init(seed))) for seed in (0, 0, 1))
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert not np.array_equal(a["head.weight"], c["head.weight"])
