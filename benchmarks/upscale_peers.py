"""What users would run instead: the float network of BSRN's shape in PyTorch, ONNX Runtime and OpenVINO.

Convolutions of 3x3, 1x1 and 1x1 with PReLU between them and a skip around them, a head, a trunk, and the plain tail
with its pixel shuffles; no bicubic base. All peers take float32 planes, the picture less its middle, and give float32
planes: what it takes to get there from bytes and back is not theirs. A peer that is not installed is left out.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.timing import in_turn
from npbsrn.networks.base import FACTORS, MIDDLE, Network, make_network
from npbsrn.storage.params import Params

Array = np.ndarray[Any, Any]
Operation = tuple[Any, ...]  # a kind and its arguments
Run = Callable[[], Any]

# names in the JSON line, and what is printed
PEERS = {
    "torch": "PyTorch, float32",
    "onnxruntime": "ONNX Runtime, float32",
    "openvino": "OpenVINO, float32",
    "openvino_bf16": "OpenVINO, bfloat16",
}
SHAPE = {"binarizer": "none", "base": "none", "tail": "plain", "activation": "prelu"}
OPSET, IR_VERSION = 17, 10  # of the ONNX file: old enough for every reader


@contextmanager
def threads_of(count: int) -> Iterator[None]:
    """Let npbsrn use so many threads where nobody tells it how many."""
    with mock.patch.dict(os.environ, {"NPBSRN_NUM_THREADS": str(count)}):
        yield


class FloatNetwork:
    """The float network with random weights, and its peers.

    Parameters
    ----------
    config : dict
        Of the binary network whose shape it has.
    picture : (H, W, 3) uint8
    """

    def __init__(self, config: dict[str, Any], picture: Array) -> None:
        self.network: Network = make_network({**config, **SHAPE})
        self.params = self.network.init(0)
        self.x = np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32) / np.float32(255)
        self.shifted = (self.x - np.float32(MIDDLE)) * np.float32(self.network.config["input_gain"])

    def run(self) -> Array:
        """By npbsrn itself, which is not made for it; comparable with what the peers give."""
        return self.network.apply(self.params, self.x)[0] - np.float32(MIDDLE)

    def peers(self, threads: int) -> dict[str, Run]:
        """A function without arguments for each peer that is there; each gives the network's output."""
        found: dict[str, Run] = {}
        operations = _operations(self.params, self.network.config)
        if find_spec("torch"):
            found["torch"] = _torch_peer(operations, self.shifted, threads)
        if not find_spec("onnx"):
            return found
        file = _onnx_file(operations, self.shifted.shape)
        if find_spec("onnxruntime"):
            found["onnxruntime"] = _onnxruntime_peer(file, self.shifted, threads)
        if find_spec("openvino"):
            found["openvino"] = _openvino_peer(file, self.shifted, threads, "f32")
            if _openvino_has_bf16():
                found["openvino_bf16"] = _openvino_peer(file, self.shifted, threads, "bf16")
        return found


def check_alike(outputs: dict[str, Array]) -> None:
    """See that all have computed the same network."""
    first = next(iter(outputs.values()), None)
    for name, output in outputs.items():
        most = np.abs(first).max() * (0.05 if name == "openvino_bf16" else 1e-4)
        assert np.abs(output - first).max() < most, f"{name} computes something else"


def _operations(params: Params, config: dict[str, Any]) -> list[Operation]:
    """The network; "keep" remembers a value by a name, "add" adds it; the residual factor is in the filters."""
    found: list[Operation] = [_conv(params["head"]), ("keep", "head")]
    for group in params["body"]["hpb"].values():
        for block in group.values():
            found.append(("keep", "x"))
            for n in (1, 2):
                found += [_conv(block[f"conv{n}"]), ("prelu", block[f"act{n}"]["slope"])]
            found += [_conv(block["conv3"], np.float32(config["residual"])), ("add", "x")]
    found += [_conv(params["body"]["trunk"]), ("add", "head")]
    for n, factor in enumerate(FACTORS[config["scale"]], 1):
        found += [_conv(params["tail"][f"conv{n}"]), ("shuffle", factor)]
    return [*found, _conv(params["tail"]["last"])]


def _conv(own: Params, factor: Any = np.float32(1)) -> Operation:  # noqa: B008
    return "conv", own["weight"] * factor, own.get("bias")


# --- PyTorch ---


def _torch_peer(operations: list[Operation], x: Array, threads: int) -> Run:
    """Whichever is faster, channels-last or plain."""
    import torch

    torch.set_num_threads(threads)
    layouts = {name: _torch_run(torch, operations, x, getattr(torch, name)) for name in LAYOUTS}
    seconds = in_turn(layouts, 1, 1, 1)  # the first run of each takes longer
    return layouts[min(seconds, key=lambda name: seconds[name])]


LAYOUTS = ("channels_last", "contiguous_format")


def _torch_run(torch: Any, operations: list[Operation], x: Array, layout: Any) -> Run:
    f = torch.nn.functional

    def tensor(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        whole = torch.from_numpy(value)
        return whole.to(memory_format=layout) if value.ndim == 4 else whole

    prepared = [tuple(tensor(value) for value in operation) for operation in operations]
    first = tensor(x)

    def run() -> Array:
        y, kept = first, {}
        with torch.inference_mode():
            for kind, *values in prepared:
                if kind == "conv":
                    y = f.conv2d(y, *values, padding="same")
                elif kind == "prelu":
                    y = f.prelu(y, *values)
                elif kind == "shuffle":
                    y = f.pixel_shuffle(y, *values)
                elif kind == "add":
                    y = y + kept[values[0]]
                else:
                    kept[values[0]] = y
        return y.numpy()

    return run


def torch_convolutions(x: Array, w: Array, threads: int) -> dict[str, Run]:
    """One float convolution in PyTorch by layout; nothing if PyTorch is not installed."""
    if not find_spec("torch"):
        return {}
    import torch

    torch.set_num_threads(threads)
    return {name: _torch_run(torch, [("conv", w, None)], x, getattr(torch, name)) for name in LAYOUTS}


# --- ONNX Runtime and OpenVINO: one file for both ---


def _onnx_file(operations: list[Operation], shape: tuple[int, ...]) -> bytes:
    """The network in ONNX's format."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants, kept = [], [], {}
    last = "x"

    def constant(value: Array) -> str:
        name = f"constant{len(constants)}"
        constants.append(numpy_helper.from_array(value, name))
        return name

    for nth, (kind, *values) in enumerate(operations):
        if kind == "keep":
            kept[values[0]] = last
            continue
        attributes: dict[str, Any] = {}
        if kind == "conv":
            attributes["pads"] = [values[0].shape[-1] // 2] * 4
            more = [constant(value) for value in values if value is not None]
        elif kind == "prelu":
            more = [constant(values[0][:, None, None])]
        elif kind == "shuffle":
            attributes, more = {"blocksize": values[0], "mode": "CRD"}, []
        else:
            more = [kept[values[0]]]
        nodes.append(helper.make_node(ONNX_NAMES[kind], [last, *more], [f"y{nth}"], **attributes))
        last = f"y{nth}"
    taken = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    given = helper.make_tensor_value_info(last, TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "network", [taken], [given], constants)
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString()


ONNX_NAMES = {"conv": "Conv", "prelu": "PRelu", "shuffle": "DepthToSpace", "add": "Add"}


def _onnxruntime_peer(file: bytes, x: Array, threads: int) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": x})[0]


def _openvino_peer(file: bytes, x: Array, threads: int, precision: str) -> Run:
    import openvino

    core = openvino.Core()
    options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    request = core.compile_model(core.read_model(file), "CPU", options).create_infer_request()

    def run() -> Array:
        request.infer({0: x}, share_inputs=True)
        return request.get_output_tensor().data

    return run


def _openvino_has_bf16() -> bool:
    """Whether the CPU multiplies bfloat16, and may; elsewhere OpenVINO computes in float32, or refuses."""
    import openvino

    if "ONEDNN_MAX_CPU_ISA" in os.environ:
        return False
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
