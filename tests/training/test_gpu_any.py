"""Every network and scheme of the PyTorch program for a GPU against npbsrn: whole steps, in float64."""

import json

import numpy as np
import pytest

from npbsrn.cli.parser import main
from npbsrn.networks.base import make_network
from npbsrn.storage.params import nest
from npbsrn.training.config import TrainConfig
from npbsrn.training.step import loss_and_grads, train_step
from tests.training.test_torch_step import batch, drawn

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install .[peers]")
pytest.importorskip("training.gpu.any_network")
from benchmarks import torch_schemes  # noqa: E402
from tests.training.test_gpu_train import load  # noqa: E402
from training.gpu import train as gpu_train  # noqa: E402
from training.gpu.step import Training  # noqa: E402
from training.gpu.to_row import write_row  # noqa: E402

pytestmark = pytest.mark.peers
RTOL = 1e-6  # by norm; rates are rounded to the weights' type
CASES = {
    "srresnet bnn": {"name": "srresnet", "scale": 4, "binarizer": "bnn"},
    "srresnet dorefa": {"name": "srresnet", "scale": 3, "binarizer": "dorefa"},
    "srresnet abc": {"name": "srresnet", "scale": 2, "binarizer": "abc"},
    "srresnet gains": {"name": "srresnet", "scale": 4, "binarizer": {"name": "bw", "method": "gain"}},
    "vdsr bam": {"name": "vdsr", "scale": 4, "binarizer": "bam"},
    "vdsr bnn": {"name": "vdsr", "scale": 2, "binarizer": "bnn"},
    "bsrn bam": {"name": "bsrn", "scale": 4, "binarizer": "bam"},
    "bsrn float": {"name": "bsrn", "scale": 2, "binarizer": "none"},
}


def doubled(network, config, state):
    """The program with a state in float64."""
    training = Training(network, config, {}, "cpu")
    for name in ("p", "r", "m", "v", "ap", "ar", "loss", "bound"):
        setattr(training, name, getattr(training, name).detach().double())
    training.p.requires_grad_()
    load(training, state)
    return training


def differences(case, rate=0.3, spoil=lambda training: None):
    """What differs after two steps, by group and name."""
    small = {"blocks": 2} | ({"width": 8} if case["name"] != "vdsr" else {"width": 8, "blocks": 1})
    network = make_network(small | case)
    config = TrainConfig(network=network.config, steps=10, warmup=3, clip=0.05, rate=rate, ema=0.9)
    rng = np.random.default_rng(0)
    state = drawn(rng, network, 0, np.float64)
    training = doubled(network, config, state)
    spoil(training)
    for _ in range(2):
        x, y = batch(rng, network, 2, 6, 7)
        loss, _, _ = training.gradient(torch.from_numpy(x), torch.from_numpy(y))
        expected, _ = loss_and_grads(network, nest({n: a.copy() for n, a in state.params.items()}), x, y)
        assert float(loss) == pytest.approx(expected, rel=1e-9)
        training.one(torch.from_numpy(x), torch.from_numpy(y))
        state, _ = train_step(state, network, config, x, y)
    wrong = {}
    for key, found in training.arrays().items():
        group, _, name = key.partition(".")
        now = getattr(state, group)[name]
        apart = np.linalg.norm(found - now) / max(np.linalg.norm(now), 1e-9)
        if not apart < RTOL:
            wrong[key] = apart
    return wrong


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_steps_equal_npbsrns(case):
    assert not differences(case)


def test_running_averages_that_stand_still_are_caught(monkeypatch):
    monkeypatch.setattr(torch_schemes, "MOMENTUM", 0.2)
    assert any(".running_" in name for name in differences(CASES["srresnet bnn"]))


def test_latent_filters_without_their_bound_are_caught():
    case = CASES["srresnet bnn"]
    assert not differences(case, rate=4.0)
    wrong = differences(case, rate=4.0, spoil=lambda training: training.bound.fill_(np.inf))
    assert any(name.endswith("weight") for name in wrong)


def test_least_squares_is_numpys(rng):
    rows, target = np.sign(rng.standard_normal((3, 500))), rng.standard_normal(500)
    found = torch_schemes.least_squares(torch.from_numpy(rows), torch.from_numpy(target))
    np.testing.assert_allclose(found, np.linalg.lstsq(rows.T, target, rcond=None)[0], rtol=1e-10)


def test_a_row_of_a_table_is_what_reproduce_goes_on_with(photographs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gpu_train, "READERS", 1)
    jobs = [
        {
            "name": name, "row": row, "scale": 2, "folders": ["photographs"], "held": ["photographs"],
            "options": {"steps": steps, "batch": 1, "patch": 8, "blocks": 1, "width": 16},
        }
        for name, row, steps in (("one", "srresnet-bnn", 3), ("two", "srresnet-bw", 5))
    ]  # fmt: skip
    gpu_train.run_jobs(jobs, photographs.parent, tmp_path)
    for name in ("one", "two"):
        card, weights = (
            json.loads((tmp_path / f"{name}.card.json").read_text()),
            dict(np.load(tmp_path / f"{name}.npz")),
        )
        run = write_row(card, weights, tmp_path / "rows")
        assert (run / "packed.npz").exists()
    table = "table2", "--scales", "2", "--only", "srresnet-bnn", "--steps", "3", "-o", str(tmp_path / "rows")
    sets = tmp_path / "Set5"
    photographs.rename(sets)
    assert main(["reproduce", *table, "--sets", str(sets)]) == 0
    result = json.loads((tmp_path / "rows" / "srresnet-bnn-x2" / "result.json").read_text())
    assert result["sets"]["Set5"]["psnr"] > 10
    assert "SRResNet_BNN" in capsys.readouterr().out
