"""Whole training steps against PyTorch: of every network with every scheme in float64, and of the fast kernels."""

import numpy as np
import pytest

from npbsrn.binarizers.bam import ABLATIONS
from npbsrn.networks.base import make_network
from npbsrn.storage.params import leaves, nest
from npbsrn.training.checkpoint import State
from npbsrn.training.config import PRESETS, TrainConfig
from npbsrn.training.optimizer import Vector
from npbsrn.training.step import first_state, loss_and_grads, train_step

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install .[peers]")
torch_networks = pytest.importorskip("benchmarks.torch_networks")
torch_schemes = pytest.importorskip("benchmarks.torch_schemes")

pytestmark = pytest.mark.peers
RTOL, FLOAT_RTOL = 1e-9, 5e-5  # in float64, in float32
MARGIN = 1e-6  # in float64, of what is binarized in float32

NETWORKS = ("bbcu", "bsrn", "srresnet", "vdsr")
SCHEMES = ("bam", "bbcu", "bnn", "dorefa", "abc", "bw", "none")
CLIP = {"activation_ste": "clip", "window": 0.5}
CASES = {
    **{f"{name} {scheme}": {"scale": 2, "name": name, "binarizer": scheme} for name in NETWORKS for scheme in SCHEMES},
    "x3 paper": {"scale": 3, "base": "none", "residual": 1.0},
    "x4 bireal": {"scale": 4, "binarizer": {"activation_ste": "bireal", "filter_ste": "clip"}},
    "x4 best-bsrn": {"scale": 4} | PRESETS["best-bsrn"]["network"],
    "x4 best": {"scale": 4} | PRESETS["best"]["network"],
    "x2 signed mean": {"scale": 2, "input_gain": 2.0, "binarizer": {"statistic": "mean", "padding": "zero"}},
    **{row: {"scale": 2, "binarizer": options} for row, options in ABLATIONS.items()},
    "abc, several bases of both": {"scale": 2, "binarizer": {"name": "abc", "bases": 2, "activation_bases": 3}},
    "abc, five and one": {"scale": 3, "name": "srresnet", "binarizer": {"name": "abc", "bases": 5}},
    "abc, one and five": {"scale": 2, "binarizer": {"name": "abc", "bases": 1, "activation_bases": 5}},
    "bw, gains": {"scale": 3, "name": "srresnet", "binarizer": {"name": "bw", "method": "gain", "filter_ste": "clip"}},
    "a skip around every convolution": {"scale": 2, "skip": "every", "norm": True, "binarizer": "dorefa"},
    "srresnet x4, norm": {"scale": 4, "name": "srresnet", "norm": True, "skip": "every"},
    "vdsr x4, norm, gain": {"scale": 4, "name": "vdsr", "norm": True, "input_gain": 2.0, "binarizer": "bnn"},
    "vdsr, nothing between": {"scale": 3, "name": "vdsr", "activation": "none"},
    "bbcu, a wide window": {"scale": 3, "name": "bbcu", "binarizer": {"name": "bbcu", "window": 20.0}, "residual": 0.3},
    "bbcu, a clip": {"scale": 2, "name": "bbcu", "input_gain": 2.0, "binarizer": {"name": "bbcu"} | CLIP},
    "bbcu without a trunk": {"scale": 4, "name": "bbcu", "trunk": False, "last": 9, "binarizer": "bbcu"},
    "bbcu, a direct tail": {"scale": 4, "name": "bbcu", "trunk": False, "tail": "direct", "input_gain": 1.0},
    "bbcu, norm, no base": {"scale": 2, "name": "bbcu", "norm": True, "base": "none", "output_gain": 0.5},
    "rprelu between convolutions": {"scale": 2, "activation": "rprelu", "binarizer": "bbcu", "skip": "every"},
    **{f"{name}, composed": {"scale": 4, "name": name, "tail": "composed"} for name in ("bbcu", "bsrn", "srresnet")},
}


def drawn(rng, network, seed, dtype):
    """A state whose weights of 0 and 1 have moved."""
    state = first_state(network, seed)
    groups = ({n: a.astype(dtype) for n, a in group.items()} for group in (state.m, state.v, state.average))
    params = {
        name: (array + (0 if ".running_" in name else 0.05 * rng.standard_normal(array.shape))).astype(dtype)
        for name, array in state.params.items()
    }
    return State(Vector(params), *(Vector(group) for group in groups))


def small(case, **options):
    """The network of a case at its smallest."""
    case = {"name": "bsrn", "blocks": 2, "width": 8} | case | options
    return make_network(case if case["name"] == "vdsr" else {"tail": "plain"} | case)


class Peer:
    """A step's loss and gradients in PyTorch, float64."""

    def __init__(self, network, params, x, y, **options):
        self.tensors = {n: torch.tensor(a.astype(np.float64)) for n, a in params.items()}
        self.learned = {n: t.requires_grad_() for n, t in self.tensors.items() if ".running_" not in n}
        run = torch_networks.TorchNetwork(
            network.config, self.tensors, network.config.get("tail") == "composed", **options
        )
        loss = (run(torch.from_numpy(x.astype(np.float64))) - torch.from_numpy(y.astype(np.float64))).abs().mean()
        loss.backward()
        self.loss = loss.item()
        self.grads = {name: t.grad.numpy() for name, t in self.learned.items()}


def batch(rng, network, samples, height, width, dtype=np.float64):
    scale = network.scale
    x, y = (rng.random((samples, 3, r * height, r * width)).astype(dtype) for r in (1, scale))
    return x, y


def differences(grads, peers, share=1e-6):
    """Relative, by name.

    An alpha alone, or a beta or a bias under BN, changes almost nothing: its gradient is rounding, judged on a share of
    the largest gradient.
    """
    assert set(grads) == set(peers)
    least = share * max(np.linalg.norm(g) for g in peers.values())
    return {name: np.linalg.norm(grads[name] - g) / max(np.linalg.norm(g), least) for name, g in peers.items()}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_training_step_equals_pytorch(rng, case):
    network = small(case)
    config = TrainConfig(network=network.config, steps=10, warmup=3, weight_decay=1e-3)
    state = drawn(rng, network, 0, np.float64)
    x, y = batch(rng, network, 3, 6, 7)
    peer = Peer(network, state.params, x, y)
    loss, grads = loss_and_grads(network, nest({n: a.copy() for n, a in state.params.items()}), x, y)
    assert loss == pytest.approx(peer.loss, rel=RTOL)
    apart = differences(grads, peer.grads)
    assert max(apart.values()) < RTOL, {name: value for name, value in apart.items() if value > RTOL}

    optimizer = torch.optim.Adam(
        peer.learned.values(), lr=config.rate_at(0), betas=(0.9, 0.999), weight_decay=config.weight_decay
    )
    optimizer.step()
    after, _ = train_step(state, network, config, x, y)
    for name, tensor in peer.tensors.items():
        expected = tensor.detach().numpy()
        if name in network.latent() and network.latent()[name].bound is not None:
            expected = np.clip(expected, -network.latent()[name].bound, network.latent()[name].bound)
        np.testing.assert_allclose(after.params[name], expected, rtol=1e-6, atol=1e-9, err_msg=name)
    assert dict(leaves(network.init(0))).keys() == after.params.keys()

    tensors = {name: torch.from_numpy(array) for name, array in after.params.items()}
    with torch.no_grad():
        expected = torch_networks.TorchNetwork(network.config, tensors)(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(network.apply(after.params.nested, x)[0], expected, rtol=0, atol=1e-9)


class Margin:
    """The smallest distance of what is binarized from a place where a sign or a gradient's window ends."""

    def __init__(self, monkeypatch):
        self.least = np.inf
        for name in ("sign", "batch_norm"):
            monkeypatch.setattr(torch_schemes, name, self.recorded(getattr(torch_schemes, name), name))

    def recorded(self, function, name):
        def call(*args):
            result = function(*args)
            if name == "sign":
                x = args[0].detach()
                apart = x.abs() / x.std()
            else:  # windows end at multiples of a half
                x = 2 * result.detach()
                apart = (x - x.round()).abs() / 2
            self.least = min(self.least, apart.min().item())
            return result

        return call


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_float32_step_has_autograds_gradients(monkeypatch, name, scheme):
    """At the paper's widths, at which the fast kernels are at work, and where rounding can flip no sign."""
    network = make_network({"name": name, "scale": 2, "blocks": 1 if name == "bsrn" else 2, "binarizer": scheme})
    for seed in range(20):
        rng = np.random.default_rng(seed)
        state = drawn(rng, network, seed, np.float32)
        side = 8 if network.enlarged else 16
        x, y = batch(rng, network, 3, side, side, np.float32)
        with monkeypatch.context() as patch:
            margin = Margin(patch)
            peer = Peer(network, state.params, x, y)
        if margin.least > MARGIN:
            break
    else:
        pytest.fail("no seed keeps away from all thresholds")
    loss, grads = loss_and_grads(network, state.params.nested, x, y)
    assert loss == pytest.approx(peer.loss, rel=1e-5)
    apart = differences(grads, peer.grads, 1e-2)
    assert max(apart.values()) < FLOAT_RTOL, {name: value for name, value in apart.items() if value > FLOAT_RTOL}
