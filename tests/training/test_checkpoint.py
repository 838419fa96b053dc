import numpy as np
import pytest

from npbsrn.errors import WeightsError
from npbsrn.models import Model, save_model
from npbsrn.networks import make_network
from npbsrn.params import leaves
from npbsrn.training.checkpoint import GROUPS, Origin, load_checkpoint, save_checkpoint
from npbsrn.training.config import make_config
from npbsrn.training.step import first_state

CONFIG = make_config(2, "default", {"blocks": 1, "width": 4, "steps": 5})
ORIGIN = Origin("/pictures", None, "digest")


def test_round_trip(tmp_path):
    state = first_state(make_network(CONFIG.network), 0)
    save_checkpoint(tmp_path / "c.npz", state, CONFIG, ORIGIN)
    again, config, origin = load_checkpoint(tmp_path / "c.npz")
    assert (config, origin, again.step, again.best) == (CONFIG, ORIGIN, 0, float("-inf"))
    for group in GROUPS:
        before, after = getattr(state, group), getattr(again, group)
        assert before.keys() == after.keys()
        for name in before:
            np.testing.assert_array_equal(before[name], after[name])


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
