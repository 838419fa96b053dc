"""Networks in files that take and give bytes: (1, h, w, 3) uint8 to (1, h * s, w * s, 3), for any h and w."""

import re
from collections.abc import Callable
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.float_runtimes import openvino_has_bf16
from npbsrn.inference.runners import WholeOnly
from npbsrn.runtime.progress import Progress

Array = np.ndarray[Any, Any]
Enlarge = Callable[[Array], Array]  # (h, w, 3) uint8

NAME = re.compile(r"(?P<name>.+)-x(?P<scale>\d)(\.onnx|(?P<int8>-int8)\.xml)")


def find_peers(folder: str | PathLike[str], scale: int) -> dict[str, dict[str, Path]]:
    """The files of a folder for a scale: by the network's name "float32" and, where there is one, "int8".

    They are NAME-xSCALE.onnx, and NAME-xSCALE-int8.xml of OpenVINO's own form (`benchmarks.quantize_peers`).
    """
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(Path(folder).glob("*")):
        match = NAME.fullmatch(path.name)
        if match and int(match["scale"]) == scale:
            found.setdefault(match["name"], {})["int8" if match["int8"] else "float32"] = path
    return dict(sorted(found.items()))


def precisions_of(files: dict[str, Path]) -> dict[str, Path]:
    """A network's file by each precision that can be had: bfloat16 where the CPU multiplies it."""
    found = {"float32": files["float32"]} if "float32" in files else {}
    if "int8" in files and find_spec("openvino"):
        found["int8"] = files["int8"]
    if "float32" in files and find_spec("openvino") and openvino_has_bf16():
        found["bfloat16"] = files["float32"]
    return found


def runtimes(
    path: Path, precision: str, threads: int | None = None, size: tuple[int, int] | None = None
) -> dict[str, Enlarge]:
    """How to run a file, by the name of the runtime; nothing of what is not installed.

    Parameters
    ----------
    path : path
    precision : str
        float32, bfloat16, or int8: what a file of int8 leaves in float is bfloat16 where the CPU multiplies that.
    threads : int, optional
        By default the runtime's.
    size : (height, width), optional
        Of all pictures, for which OpenVINO then compiles; by default any.
    """
    found: dict[str, Enlarge] = {}
    if find_spec("openvino"):
        short = precision == "bfloat16" or (precision == "int8" and openvino_has_bf16())
        found["OpenVINO"] = _openvino(path, "bf16" if short else "f32", threads, size)
    if find_spec("onnxruntime") and path.suffix == ".onnx" and precision != "bfloat16":
        found["ONNX Runtime"] = _onnxruntime(path, threads)
    return found


def _openvino(path: Path, hint: str, threads: int | None, size: tuple[int, int] | None) -> Enlarge:
    import openvino

    core = openvino.Core()
    options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"}
    if threads:
        options["INFERENCE_NUM_THREADS"] = threads
    network = core.read_model(path)
    if size:
        network.reshape({0: (1, *size, 3)})
    request = core.compile_model(network, "CPU", options).create_infer_request()

    def enlarge(picture: Array) -> Array:
        request.infer({0: picture[None]}, share_inputs=True)
        return request.get_output_tensor().data[0]

    return enlarge


def _onnxruntime(path: Path, threads: int | None) -> Enlarge:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads or 0, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda picture: session.run(None, {name: picture[None]})[0][0]


class FileRunner(WholeOnly):
    """A file as a `npbsrn.inference.runners.Runner`, to be judged by `npbsrn.evaluate`; it has its own threads.

    Parameters
    ----------
    name : str
    scale : int
    enlarge : callable
    """

    def __init__(self, name: str, scale: int, enlarge: Enlarge) -> None:
        self.name, self.scale, self.enlarge = name, scale, enlarge

    def run(
        self, picture: Array, threads: int | None = None, tile: int | None = None, progress: Progress | None = None
    ) -> Array:
        """See `npbsrn.inference.runners.Runner.run`; 8 bits only."""
        result = np.array(self.enlarge(picture))
        if progress:
            progress(result.shape[0] * result.shape[1], result.shape[0] * result.shape[1])
        return result

    def needed_bytes(self, height: int, width: int, threads: int | None = None, tile: int | None = None) -> int:
        """Not known."""
        return 0
