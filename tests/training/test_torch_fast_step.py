"""A whole training step in float32, by the fast kernels, against the same step in PyTorch float64."""

import numpy as np
import pytest

from npbsrn.binarizers.bam import ABLATIONS
from npbsrn.fused import block_chain
from npbsrn.networks.base import make_network
from npbsrn.storage.params import nest
from npbsrn.training.checkpoint import State
from npbsrn.training.config import PRESETS, TrainConfig
from npbsrn.training.optimizer import Vector
from npbsrn.training.step import first_state, loss_and_grads, train_step

pytestmark = pytest.mark.peers
CASES = {
    "x2": {"scale": 2},
    "x3 paper": {"scale": 3, "base": "none", "residual": 1.0},
    "x4 best-bsrn": {"scale": 4} | PRESETS["best-bsrn"]["network"],
    "x4 plain tail": {"scale": 4, "tail": "plain"},
    "x2 signed mean": {"scale": 2, "binarizer": {"statistic": "mean", "activation_ste": "identity"}},
    **{row: {"scale": 2, "binarizer": options} for row, options in ABLATIONS.items()},
}


def norm(arrays):
    return np.sqrt(sum(float(np.vdot(a, a)) for a in arrays))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_fast_step_equals_pytorch(rng, monkeypatch, case):
    """To the rounding of float32: 3e-7 of the gradient's norm. The seed is one where rounding flips no sign."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install .[peers]")
    from benchmarks.torch_networks import TorchNetwork

    config = TrainConfig(network=make_network({"blocks": 2} | case).config, steps=10, warmup=0, weight_decay=1e-3)
    network = make_network(config.network)
    state = first_state(network, seed=0)
    params = {
        name: (a + (0 if ".running_" in name else 0.05 * rng.standard_normal(a.shape))).astype(np.float32)
        for name, a in state.params.items()
    }
    state = State(Vector(params), state.m, state.v, state.average)
    x = rng.random((3, 3, 6, 16), dtype=np.float32)
    y = rng.random((3, 3, 6 * network.scale, 16 * network.scale), dtype=np.float32)

    double = lambda a: torch.from_numpy(a.astype(np.float64))  # noqa: E731
    everything = {name: double(a) for name, a in params.items()}
    tensors = {name: t.requires_grad_() for name, t in everything.items() if ".running_" not in name}
    optimizer = torch.optim.Adam(tensors.values(), lr=config.rate_at(0), betas=(0.9, 0.999), weight_decay=1e-3)
    peer = TorchNetwork(config.network, everything, composed=config.network["tail"] == "composed")
    peer_loss = (peer(double(x)) - double(y)).abs().mean()
    peer_loss.backward()
    optimizer.step()
    expected = {name: tensor.grad.numpy() for name, tensor in tensors.items()}
    moved = {name: tensor.detach().numpy() - params[name] for name, tensor in tensors.items()}

    calls, inner = [], block_chain.lb_blocks
    monkeypatch.setattr(block_chain, "lb_blocks", lambda *args: (calls.append(1), inner(*args))[1])
    loss, grads = loss_and_grads(network, nest({name: a.copy() for name, a in params.items()}), x, y)
    assert calls == [1]  # the fast operation did it
    assert {a.dtype for a in grads.values()} == {np.dtype(np.float32)}
    assert loss == pytest.approx(peer_loss.item(), rel=1e-6)
    assert set(grads) == set(expected)
    whole = norm(expected.values())
    assert norm(grads[name] - g for name, g in expected.items()) < 1e-6 * whole
    for name, g in expected.items():
        # An alpha alone, or a beta under BN, changes almost nothing: its gradient is rounding.
        assert norm([grads[name] - g]) < 1e-3 * max(norm([g]), 1e-5 * whole), name

    after, _ = train_step(state, network, config, x, y)
    assert calls == [1, 1]
    apart = {name: after.params[name] - params[name] - step for name, step in moved.items()}
    assert norm(apart.values()) < 1e-4 * norm(moved.values())
    for name, step in moved.items():
        assert norm([apart[name]]) < 1e-3 * norm([step]), name
