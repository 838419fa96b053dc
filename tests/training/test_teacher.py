import dataclasses

import numpy as np
import pytest

import npbsrn
from npbsrn.errors import UsageError, WeightsError
from npbsrn.models import Model, save_model
from npbsrn.networks.base import make_network
from npbsrn.training.checkpoint import Origin
from npbsrn.training.config import make_config
from npbsrn.training.teacher import load_teacher
from tests.training.runs import arrays, interrupt_at, same

CONFIG = make_config(4, options={"distill": 0.5})


@pytest.fixture
def teacher(tmp_path):
    """Another network of the same scale."""
    network = make_network({"scale": 4, "blocks": 2, "width": 6, "activation": "none"})
    save_model(tmp_path / "teacher.npz", Model(network, network.init(11)))
    return tmp_path / "teacher.npz"


def test_a_teacher_is_known_by_its_weights(teacher):
    model, origin = load_teacher(Origin("/pictures", teacher=str(teacher)), CONFIG)
    assert model.network.config["width"] == 6
    assert load_teacher(origin, CONFIG)[1] == origin
    model.params["head"]["bias"] += 1
    save_model(teacher, model)
    with pytest.raises(WeightsError, match="is not the teacher that this run began with; name that one"):
        load_teacher(origin, CONFIG)


def test_a_teacher_and_its_share_belong_together(teacher):
    none, origin = load_teacher(Origin("/pictures"), make_config(4))
    assert none is None
    assert origin == Origin("/pictures")
    with pytest.raises(UsageError, match=r"distill is 0\.5, but there is no teacher; name one, or leave distill out"):
        load_teacher(origin, CONFIG)
    with pytest.raises(UsageError, match="a teacher is named, but distill is 0; set distill to its share"):
        load_teacher(dataclasses.replace(origin, teacher=str(teacher)), make_config(4))


def test_a_teacher_of_another_scale_is_refused(teacher):
    with pytest.raises(UsageError, match="the teacher enlarges x4, the run x2; name a teacher of this scale"):
        load_teacher(Origin("/pictures", teacher=str(teacher)), make_config(2, options={"distill": 0.5}))


def test_a_taught_run_resumes_bit_for_bit(train, tmp_path, teacher, monkeypatch):
    whole = train("whole", teacher=teacher, distill=0.5)
    assert (whole.card["teacher"], whole.card["train"]["distill"]) == ("teacher.npz", 0.5)
    train("alone")
    assert not same(arrays(tmp_path / "whole/checkpoint.npz"), arrays(tmp_path / "alone/checkpoint.npz"))
    with monkeypatch.context() as patch:
        interrupt_at(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            train("stopped", teacher=teacher, distill=0.5)
    go_on = {"output": tmp_path / "stopped", "resume": True, "progress": False, "cache": tmp_path / "cache"}
    teacher.rename(tmp_path / "moved.npz")
    with pytest.raises(WeightsError, match=r"there is no weight file .*teacher\.npz"):
        npbsrn.train(**go_on)
    with pytest.raises(WeightsError, match="is not the teacher that this run began with"):
        npbsrn.train(**go_on, teacher=tmp_path / "alone")
    npbsrn.train(**go_on, teacher=tmp_path / "moved.npz")
    assert same(arrays(tmp_path / "whole/checkpoint.npz"), arrays(tmp_path / "stopped/checkpoint.npz"))


def test_a_time_budget_counts_the_teacher(train, teacher, monkeypatch):
    taught = []
    apply = type(make_network({"scale": 4})).apply

    def counted(self, params, x, train=False):
        if self.config["width"] == 6:
            taught.append(x.shape)
        return apply(self, params, x, train)

    monkeypatch.setattr("npbsrn.networks.base.Network.apply", counted)
    model = train(teacher=teacher, distill=0.5, minutes=1e-6)
    assert len(taught) > model.card["steps"]
    assert np.unique(taught, axis=0).tolist() == [[2, 3, 6, 6]]
