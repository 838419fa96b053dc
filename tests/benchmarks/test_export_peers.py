"""The exported files compute what the authors' networks compute, up to the rounding of float sums."""

import numpy as np
import pytest

from benchmarks import export_peers
from benchmarks.export_peers import COLOURS, NETWORKS, by_phases, onnx_bytes
from benchmarks.peer_files import find_peers
from npbsrn.ops.conv import conv2d
from npbsrn.ops.shuffle import pixel_shuffle

pytestmark = pytest.mark.peers
WIDTH = 5


class State(dict):
    """Random parameters by the authors' names."""

    def __init__(self, rng):
        super().__init__()
        self.rng = rng

    def conv(self, name, outputs, inputs, size=3):
        self[f"{name}.weight"] = (self.rng.standard_normal((outputs, inputs, size, size)) / size**2).astype(np.float32)
        self[f"{name}.bias"] = self.rng.uniform(-0.1, 0.3, outputs).astype(np.float32)

    def prelu(self, name, channels):
        self[f"{name}.weight"] = self.rng.uniform(-0.5, 1, channels).astype(np.float32)


def run(state, name, x):
    weight = state[f"{name}.weight"]
    return conv2d(x, weight, state[f"{name}.bias"])[0]


def prelu(state, name, x):
    return np.where(x > 0, x, x * state[f"{name}.weight"][:, None, None])


def etds_state(state, scale):
    state.conv("conv_first", WIDTH, COLOURS)
    for n in range(2):
        state.conv(f"backbone_convs.{n}", WIDTH, WIDTH)
    state.conv("conv_last", COLOURS * scale**2, WIDTH)


def etds(state, scale, x):
    for name in ("conv_first", "backbone_convs.0", "backbone_convs.1"):
        x = np.maximum(run(state, name, x), 0)
    return pixel_shuffle(1 - run(state, "conv_last", x), scale)[0]


def abpn_state(state, scale):
    for name, outputs, inputs in (("a", WIDTH, 3), ("b.0", WIDTH, WIDTH), ("c", COLOURS * scale**2, WIDTH)):
        state.conv(name, outputs, inputs)
    state.conv("d", COLOURS * scale**2, COLOURS * scale**2)


def abpn(state, scale, x):
    y = x
    for name in ("a", "b.0", "c"):
        y = np.maximum(run(state, name, y), 0)
    return pixel_shuffle(run(state, "d", y) + np.repeat(x, scale**2, axis=1), scale)[0]


def ecbsr_state(state, scale):
    for n in range(3):
        state.conv(f"backbone.{n}.0", WIDTH, WIDTH if n else COLOURS)
        state.prelu(f"backbone.{n}.1", WIDTH)
    state.conv("backbone.3.0", COLOURS * scale**2, WIDTH)


def ecbsr(state, scale, x):
    y = x
    for n in range(3):
        y = prelu(state, f"backbone.{n}.1", run(state, f"backbone.{n}.0", y))
    return pixel_shuffle(run(state, "backbone.3.0", y) + np.repeat(x, scale**2, axis=1), scale)[0]


def fsrcnn_state(state, scale):
    state.conv("first_part.0", WIDTH, COLOURS, 5)
    state.prelu("first_part.1", WIDTH)
    for n in range(0, 4, 2):
        state.conv(f"mid_part.{n}", WIDTH, WIDTH, 1 if n else 3)
        state.prelu(f"mid_part.{n + 1}", WIDTH)
    state.conv("last_part", WIDTH, COLOURS, 9)
    state["last_part.bias"] = state["last_part.bias"][:COLOURS]


def transposed(x, kernel, stride):
    """The definition: each input adds its filter to the result, whose first and last rows and columns are cut off."""
    (_, channels, height, width), size = x.shape, kernel.shape[-1]
    out = np.zeros((kernel.shape[1], (height - 1) * stride + size, (width - 1) * stride + size))
    for c in range(channels):
        for h in range(height):
            for v in range(width):
                out[:, h * stride : h * stride + size, v * stride : v * stride + size] += x[0, c, h, v] * kernel[c]
    padded = np.pad(out, ((0, 0), (0, stride), (0, stride)))  # where no input reaches
    half = size // 2
    return padded[None, :, half : half + height * stride, half : half + width * stride]


def fsrcnn(state, scale, x):
    y = prelu(state, "first_part.1", run(state, "first_part.0", x))
    for n in (0, 2):
        y = prelu(state, f"mid_part.{n + 1}", run(state, f"mid_part.{n}", y))
    return transposed(y, state["last_part.weight"], scale) + state["last_part.bias"][:, None, None]


KINDS = {
    "etds": (etds_state, etds),
    "abpn": (abpn_state, abpn),
    "ecbsr": (ecbsr_state, ecbsr),
    "fsrcnn": (fsrcnn_state, fsrcnn),
}


def test_a_transposed_convolution_is_a_convolution_and_a_shuffle(rng):
    x = rng.integers(-9, 9, (1, 3, 5, 6)).astype(np.float32)
    kernel = rng.integers(-9, 9, (3, 2, 9, 9)).astype(np.float32)
    for scale in (2, 3, 4):
        y = conv2d(x, by_phases(kernel, scale), np.zeros(2 * scale**2, np.float32))[0]
        np.testing.assert_array_equal(pixel_shuffle(y, scale)[0], transposed(x, kernel, scale))


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", KINDS)
def test_a_file_computes_what_its_network_does(rng, name, scale):
    onnx = pytest.importorskip("onnx", reason="ONNX is not installed: pip install .[peers]")
    reference = pytest.importorskip("onnx.reference")
    state, (fill, expected) = State(rng), KINDS[name]
    fill(state, scale)
    file = onnx.load_from_string(onnx_bytes(getattr(export_peers, name)(state, scale), scale))
    onnx.checker.check_model(file)
    for height, width in ((7, 9), (1, 1)):
        picture = rng.integers(0, 256, (1, height, width, COLOURS), np.uint8)
        (result,) = reference.ReferenceEvaluator(file).run(None, {"x": picture})
        x = picture.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
        exact = 255 * np.clip(expected(state, scale, x), 0, 1).transpose(0, 2, 3, 1)
        assert (result.dtype, result.shape) == (np.uint8, (1, height * scale, width * scale, COLOURS))
        assert np.abs(result - exact).max() < 0.501  # half a level, and what rounding of sums may add
        assert len(np.unique(result)) > 2


def test_the_files_of_a_clone_are_written(tmp_path, monkeypatch, rng):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install .[peers]")
    pytest.importorskip("onnx", reason="ONNX is not installed: pip install .[peers]")
    for make, file in NETWORKS.values():
        for scale in (2, 3, 4):
            state = State(rng)
            KINDS[make.__name__][0](state, scale)
            path = tmp_path / "clone/experiments/pretrained_models" / f"{file}_x{scale}.pth"
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save({key: torch.from_numpy(value) for key, value in state.items()}, path)

    monkeypatch.setattr("sys.argv", ["export", str(tmp_path / "clone"), str(tmp_path / "peers")])
    export_peers.main()
    assert all(list(find_peers(tmp_path / "peers", scale)) == sorted(NETWORKS) for scale in (2, 3, 4))
