"""A whole training step against the same step in PyTorch float64."""

import numpy as np
import pytest

from benchmarks.torch_bsrn import TorchBsrn
from npbsrn.binarizers.bam import ABLATIONS
from npbsrn.networks.base import make_network
from npbsrn.storage.params import leaves, nest
from npbsrn.training.checkpoint import State
from npbsrn.training.config import PRESETS, TrainConfig
from npbsrn.training.optimizer import Vector
from npbsrn.training.step import first_state, loss_and_grads, train_step

pytestmark = pytest.mark.peers
RTOL = 1e-5


def relative(a, b):
    return np.linalg.norm(a - b) / max(np.linalg.norm(a), np.linalg.norm(b), 1e-300)


CASES = {
    "x2": {"scale": 2},
    "x3 paper": {"scale": 3, "base": "none", "residual": 1.0},
    "x4 bireal": {"scale": 4, "binarizer": {"activation_ste": "bireal", "filter_ste": "clip"}},
    "x4 best": {"scale": 4} | PRESETS["best"]["network"],
    "x2 signed mean": {"scale": 2, "input_gain": 2.0, "binarizer": {"statistic": "mean", "padding": "zero"}},
    **{row: {"scale": 2, "binarizer": options} for row, options in ABLATIONS.items()},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_training_step_equals_pytorch(rng, case):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install .[peers]")
    config = TrainConfig(
        network=make_network({"blocks": 2, "width": 8, "tail": "plain"} | case).config,
        steps=10,
        warmup=3,
        weight_decay=1e-3,
    )
    network = make_network(config.network)
    state = first_state(network, seed=0)
    doubles = ({n: a.astype(np.float64) for n, a in group.items()} for group in (state.m, state.v, state.average))
    params = {
        name: array + (0 if ".running_" in name else 0.05 * rng.standard_normal(array.shape))
        for name, array in state.params.items()
    }
    state = State(Vector(params), *(Vector(group) for group in doubles))
    x = rng.random((3, 3, 6, 7))
    y = rng.random((3, 3, 6 * network.scale, 7 * network.scale))

    tensors = {name: torch.tensor(a, requires_grad=True) for name, a in state.params.items() if ".running_" not in name}
    optimizer = torch.optim.Adam(tensors.values(), lr=config.rate_at(0), betas=(0.9, 0.999), weight_decay=1e-3)
    peer_loss = (TorchBsrn(torch, config.network, tensors)(torch.from_numpy(x)) - torch.from_numpy(y)).abs().mean()
    peer_loss.backward()
    optimizer.step()

    copies = {name: a.copy() for name, a in state.params.items()}
    loss, grads = loss_and_grads(network, nest(copies), x, y)
    assert loss == pytest.approx(peer_loss.item(), rel=RTOL)
    assert set(grads) == set(tensors)
    # An alpha alone, or a beta under BN, changes almost nothing: its gradient is rounding, judged on the whole's scale.
    whole = max(np.abs(t.grad.numpy()).max() for t in tensors.values())
    for name, tensor in tensors.items():
        difference = np.linalg.norm(grads[name] - tensor.grad.numpy())
        assert difference <= RTOL * max(np.linalg.norm(grads[name]), 1e-6 * whole), name

    after, _ = train_step(state, network, config, x, y)
    for name, tensor in tensors.items():
        assert relative(after.params[name], tensor.detach().numpy()) < RTOL, name
    assert dict(leaves(network.init(0))).keys() == after.params.keys()
