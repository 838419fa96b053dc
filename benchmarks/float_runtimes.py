"""Convolutional networks of float32 in PyTorch, ONNX Runtime and OpenVINO, as lists of operations.

Operations are a kind and its values: ("conv", filters, bias or None), ("prelu", slopes), ("relu",), ("shuffle",
factor), ("keep", name) remembers what there is, ("add", name) adds it. All runtimes take and give float32 planes.
"""

import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Operation = tuple[Any, ...]
Run = Callable[[], Any]

# names in the JSON line, and what is printed
RUNTIMES = {
    "torch": "PyTorch, float32",
    "onnxruntime": "ONNX Runtime, float32",
    "openvino": "OpenVINO, float32",
    "openvino_bf16": "OpenVINO, bfloat16",
}
OPSET, IR_VERSION = 17, 10  # of the ONNX file: old enough for every reader


def runs(operations: Sequence[Operation], x: Array, threads: int) -> dict[str, Run]:
    """A function without arguments for each runtime that is installed; each gives the network's output.

    PyTorch is there by each of its layouts, as "torch/channels_last" and the like; see `better_layouts`.
    """
    found = {f"torch/{layout}": run for layout, run in torch_layouts(operations, x, threads).items()}
    if not find_spec("onnx"):
        return found
    file = onnx_file(operations, x.shape)
    if find_spec("onnxruntime"):
        found["onnxruntime"] = _onnxruntime_run(file, x, threads)
    if find_spec("openvino"):
        found["openvino"] = _openvino_run(file, x, threads, "f32")
        if openvino_has_bf16():
            found["openvino_bf16"] = _openvino_run(file, x, threads, "bf16")
    return found


def multiplications(operations: Sequence[Operation], height: int, width: int) -> int:
    """Multiply-accumulates of the convolutions, for a picture of these extents."""
    total, factor = 0, 1
    for kind, *values in operations:
        if kind == "conv":
            total += values[0].size * height * width * factor**2
        elif kind == "shuffle":
            factor *= values[0]
    return total


# --- PyTorch ---

LAYOUTS = ("channels_last", "contiguous_format")


def better_layouts(seconds: dict[str, float]) -> tuple[dict[str, float], dict[str, str]]:
    """Of names with layouts the faster one: seconds by name without it, and the layout by name."""
    better: dict[str, float] = {}
    layouts: dict[str, str] = {}
    for whole, value in seconds.items():
        name, _, layout = whole.partition("/")
        if value < better.get(name, np.inf):
            better[name] = value
            layouts |= {name: layout} if layout else {}
    return better, layouts


def torch_layouts(operations: Sequence[Operation], x: Array, threads: int) -> dict[str, Run]:
    """By layout; nothing if PyTorch is not installed."""
    if not find_spec("torch"):
        return {}
    import torch

    torch.set_num_threads(threads)
    return {name: _torch_run(torch, operations, x, getattr(torch, name)) for name in LAYOUTS}


def _torch_run(torch: Any, operations: Sequence[Operation], x: Array, layout: Any) -> Run:
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
                elif kind == "relu":
                    y = f.relu(y)
                elif kind == "shuffle":
                    y = f.pixel_shuffle(y, *values)
                elif kind == "add":
                    y = y + kept[values[0]]
                else:
                    kept[values[0]] = y
        return y.numpy()

    return run


# --- ONNX Runtime and OpenVINO: one file for both ---

ONNX_NAMES = {"conv": "Conv", "prelu": "PRelu", "relu": "Relu", "shuffle": "DepthToSpace", "add": "Add"}


def onnx_file(operations: Sequence[Operation], shape: tuple[int, ...]) -> bytes:
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
        attributes, more = _onnx_arguments(kind, values, constant, kept)
        nodes.append(helper.make_node(ONNX_NAMES[kind], [last, *more], [f"y{nth}"], **attributes))
        last = f"y{nth}"
    taken = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    given = helper.make_tensor_value_info(last, TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "network", [taken], [given], constants)
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString()


def _onnx_arguments(
    kind: str, values: list[Any], constant: Callable[[Array], str], kept: dict[str, str]
) -> tuple[dict[str, Any], list[str]]:
    """Attributes of a node, and the names of what it takes in beside the stream."""
    if kind == "conv":
        pads = [values[0].shape[-1] // 2] * 4
        return {"pads": pads}, [constant(value) for value in values if value is not None]
    if kind == "prelu":
        return {}, [constant(values[0][:, None, None])]
    if kind == "shuffle":
        return {"blocksize": values[0], "mode": "CRD"}, []
    return {}, [kept[values[0]]] if kind == "add" else []


def _onnxruntime_run(file: bytes, x: Array, threads: int) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": x})[0]


def _openvino_run(file: bytes, x: Array, threads: int, precision: str) -> Run:
    import openvino

    core = openvino.Core()
    options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    request = core.compile_model(core.read_model(file), "CPU", options).create_infer_request()

    def run() -> Array:
        request.infer({0: x}, share_inputs=True)
        return request.get_output_tensor().data

    return run


def openvino_has_bf16() -> bool:
    """Whether the CPU multiplies bfloat16, and may; elsewhere OpenVINO computes in float32, or refuses."""
    import openvino

    if "ONEDNN_MAX_CPU_ISA" in os.environ:
        return False
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
