"""Peers compute the network that npbsrn's own layers compute, with the plain tail and with the composed one."""

import numpy as np
import pytest

from benchmarks.float_runtimes import LAYOUTS, better_layouts, multiplications, onnx_file, runs
from benchmarks.upscale_peers import COMPOSED, RING, FloatNetwork, one_shuffle, operations_of
from npbsrn.models import Model
from npbsrn.networks.base import NETWORKS, make_network
from npbsrn.ops.shuffle import pixel_shuffle
from npbsrn.packed.lower import lower

CONFIGS = {
    **{name: {"name": name, "blocks": 1, "width": 4} for name in NETWORKS},
    "no activation, no base": {"name": "bsrn", "blocks": 2, "width": 4, "activation": "none", "base": "none"},
    "no trunk, small residuals": {"name": "bbcu", "blocks": 2, "width": 4, "trunk": False, "residual": 0.2},
    "relu, norm, every": {"name": "srresnet", "blocks": 2, "width": 4, "activation": "relu", "norm": True}
    | {"skip": "every", "residual": 1.0, "input_gain": 2.0},
}


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS.keys())
def float_network(request, rng):
    scale = 3 if request.param["name"] == "vdsr" else 4
    config = make_network({"scale": scale, "binarizer": "bnn"} | request.param).config
    return FloatNetwork(config, rng.integers(0, 256, (11, 13, 3), np.uint8))


@pytest.mark.peers
def test_pytorch_computes_what_the_layers_compute(float_network):
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install .[peers]")
    expected = float_network.details(float_network.run())
    for name, operations in float_network.variants().items():
        found = runs(operations, float_network.shifted, 1)
        assert {f"torch/{layout}" for layout in LAYOUTS} <= set(found)
        float_network.check_alike({"layers": expected} | {f"{way}{name}": run() for way, run in found.items()})


@pytest.mark.peers
def test_onnx_runtime_and_openvino_do(float_network):
    onnx = pytest.importorskip("onnx", reason="ONNX is not installed: pip install .[peers]")
    reference = pytest.importorskip("onnx.reference")
    expected = float_network.details(float_network.run())
    for name, operations in float_network.variants().items():
        file = onnx.load_from_string(onnx_file(operations, float_network.shifted.shape))
        (output,) = reference.ReferenceEvaluator(file).run(None, {"x": float_network.shifted})
        float_network.check_alike({"layers": expected, f"onnx{name}": output})


def test_a_peer_that_computes_something_else_is_found(float_network):
    right = float_network.details(float_network.run())
    wrong, border = right.copy(), right.copy()
    wrong[..., right.shape[2] // 2, right.shape[3] // 2] *= 1.01
    border[..., : RING * float_network.plan.scale, :] = 0
    float_network.check_alike({"layers": right, "torch_composed": border})
    for name, output in (("torch", wrong), ("torch_composed", wrong), ("torch", border)):
        with pytest.raises(AssertionError, match="something else"):
            float_network.check_alike({"layers": right, name: output})


def test_multiplications_are_those_of_the_network(float_network):
    plain = float_network.multiplications()[""]
    assert plain == float_network.network.trace(11, 13).macs


@pytest.mark.parametrize(
    ("name", "plain", "composed"),
    [("bbcu", 114.2, 74.6), ("bsrn", 84.7, 63.0), ("srresnet", 127.8, 79.7), ("vdsr", 614.7, None)],
)
def test_multiplications_of_the_papers_networks(name, plain, composed):
    network = make_network({"name": name, "scale": 4, "binarizer": "none"})
    plan, scale = lower(Model(network, network.init(0))), 4 if name == "vdsr" else 1
    found = [multiplications(operations_of(plan, c), 180 * scale, 320 * scale) / 1e9 for c in (False, True)]
    assert found[0] == pytest.approx(plain, abs=0.1)
    if composed:
        assert found[1] == pytest.approx(composed, abs=0.1)


@pytest.mark.parametrize("factors", [(2,), (3,), (2, 2), (2, 3)])
def test_one_shuffle_stands_for_several(rng, factors):
    product = int(np.prod(factors))
    x = rng.standard_normal((2, 3 * product**2, 4, 5))
    y = x
    for factor in factors:
        y, _ = pixel_shuffle(y, factor)
    np.testing.assert_array_equal(pixel_shuffle(x[:, one_shuffle(3, factors)], product)[0], y)


def test_the_better_layout_is_taken():
    seconds = {"a": 1.0, "torch/x": 3.0, "torch/y": 2.0, "torch_composed/x": 1.0, "torch_composed/y": 4.0}
    better, layouts = better_layouts(seconds)
    assert better == {"a": 1.0, "torch": 2.0, "torch_composed": 1.0}
    assert layouts == {"torch": "y", "torch_composed": "x"}


def test_a_network_without_shuffles_has_one_variant(rng):
    picture = rng.integers(0, 256, (4, 5, 3), np.uint8)
    config = make_network({"name": "vdsr", "scale": 2, "blocks": 1, "width": 4}).config
    assert list(FloatNetwork(config, picture).variants()) == [""]
    assert COMPOSED in FloatNetwork(make_network({"scale": 2, "blocks": 1, "width": 4}).config, picture).variants()
