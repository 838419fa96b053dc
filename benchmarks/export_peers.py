"""Write small float networks with public weights as ONNX files that take and give bytes, for bench_frontier.py.

``git clone https://github.com/ECNUSR/ETDS`` (Apache-2.0), then ``python -m benchmarks.export_peers ETDS DIR``, after
``pip install '.[peers]'``.

Files are in the form that is quickest on a CPU. 1/255 is folded into the first convolution; 255, half a level for
rounding, and the order of channels into the last one. What the authors did for the processors of phones is left out
where the result is the same: ETDS clips by a convolution that gives 1 - y; ABPN and ECBSR repeat the picture, which
here comes as three inputs more of the last convolution; FSRCNN's transposed convolution is a convolution and a shuffle.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.float_runtimes import IR_VERSION, ONNX_NAMES, OPSET, Operation

Array = np.ndarray[Any, Any]
State = dict[str, Array]  # parameters by the authors' names

SCALES = (2, 3, 4)
COLOURS = 3


@dataclass(frozen=True)
class PeerNetwork:
    """A network from (1, 3, h, w) of 0..1 to (1, 3 * s * s, h, w) by colour, row and column, whose shuffle is left.

    Parameters
    ----------
    layers : list of Operation
        Convolutions and activations, each behind the one before it.
    last : (filters, bias)
    picture : bool
        Whether the picture is added to each of the outputs of its colour.
    """

    layers: list[Operation]
    last: tuple[Array, Array]
    picture: bool = False


def etds(state: State, scale: int) -> PeerNetwork:
    """J. Chao et al., "Equivalent Transformation and Dual Stream Network Construction for Mobile ...", CVPR 2023."""
    names = ["conv_first", *(f"backbone_convs.{n}" for n in range(_count(state, "backbone_convs")))]
    layers = [part for name in names for part in (_conv(state, name), ("relu",))]
    weight, bias = _pair(state, "conv_last")
    return PeerNetwork(layers, (-weight, 1 - bias))


def abpn(state: State, scale: int) -> PeerNetwork:
    """Z. Du et al., "Anchor-based Plain Net for Mobile Image Super-Resolution", CVPRW 2021."""
    *names, last = [name.removesuffix(".weight") for name in state if name.endswith(".weight")]
    return PeerNetwork([part for name in names for part in (_conv(state, name), ("relu",))], _pair(state, last), True)


def ecbsr(state: State, scale: int) -> PeerNetwork:
    """X. Zhang et al., "Edge-oriented Convolution Block for Real-time Super Resolution on Mobile Devices", MM 2021."""
    last = _count(state, "backbone") - 1
    names = [f"backbone.{n}" for n in range(last)]
    layers = [part for name in names for part in (_conv(state, f"{name}.0"), _prelu(state, f"{name}.1"))]
    return PeerNetwork(layers, _pair(state, f"backbone.{last}.0"), True)


def fsrcnn(state: State, scale: int) -> PeerNetwork:
    """C. Dong et al., "Accelerating the Super-Resolution Convolutional Neural Network", ECCV 2016."""
    layers = [_conv(state, "first_part.0"), _prelu(state, "first_part.1")]
    for n in range(0, _count(state, "mid_part"), 2):
        layers += [_conv(state, f"mid_part.{n}"), _prelu(state, f"mid_part.{n + 1}")]
    weight, bias = _pair(state, "last_part")
    return PeerNetwork(layers, (by_phases(weight, scale), bias.repeat(scale**2)))


def by_phases(kernel: Array, scale: int) -> Array:
    """A transposed convolution as one at the low resolution, whose outputs are shuffled.

    Parameters
    ----------
    kernel : (C, O, K, K)
        Of stride `scale`, with a padding of K // 2 that is cut off.
    scale : int

    Returns
    -------
    filters : (O * scale * scale, C, N, N)
    """
    channels, outputs, size, _ = kernel.shape
    half = size // 2
    reach = -(-half // scale)
    filters = np.zeros((outputs, scale, scale, channels, 2 * reach + 1, 2 * reach + 1), np.float32)
    # row s * i + d of the result has row i + r of the input by tap d + K // 2 - s * r
    taps = [(d, r + reach, d + half - scale * r) for d in range(scale) for r in range(-reach, reach + 1)]
    taps = [tap for tap in taps if 0 <= tap[2] < size]
    for row, down, k in taps:
        for column, across, j in taps:
            filters[:, row, column, :, down, across] = kernel[:, :, k, j].T
    return filters.reshape(-1, *filters.shape[3:])


NETWORKS: dict[str, tuple[Callable[[State, int], PeerNetwork], str]] = {  # and the file of the weights
    "fsrcnn": (fsrcnn, "FSRCNN/FSRCNN"),
    "ecbsr-m4c16": (ecbsr, "ECBSR/ECBSR_M4C16"),
    "ecbsr-m4c32": (ecbsr, "ECBSR/ECBSR_M4C32"),
    "ecbsr-m6c40": (ecbsr, "ECBSR/ECBSR_M6C40"),
    "abpn-m4c28": (abpn, "ABPN/ABPN_M4C28"),
    "abpn-m6c40": (abpn, "ABPN/ABPN_M6C40"),
    "etds-t": (etds, "ETDS/ETDS_M5C16"),
    "etds-s": (etds, "ETDS/ETDS_M4C32"),
    "etds-m": (etds, "ETDS/ETDS_M6C32"),
    "etds-l": (etds, "ETDS/ETDS_M7C48"),
}
WEIGHTS = "experiments/pretrained_models"  # in the authors' repository


def _count(state: State, name: str) -> int:
    """How many numbers there are behind a name."""
    return 1 + max(int(key.split(".")[1]) for key in state if key.startswith(f"{name}."))


def _pair(state: State, name: str) -> tuple[Array, Array]:
    return state[f"{name}.weight"], state[f"{name}.bias"]


def _conv(state: State, name: str) -> Operation:
    return ("conv", *_pair(state, name))


def _prelu(state: State, name: str) -> Operation:
    return ("prelu", state[f"{name}.weight"])


def last_for_bytes(network: PeerNetwork, scale: int) -> tuple[Array, Array]:
    """The last convolution for results of 0.5..255.5, by row, column and colour; with the picture as further inputs."""
    weight, bias = (np.float32(255) * part for part in network.last)
    order = np.arange(len(bias)).reshape(COLOURS, -1).T.ravel()
    weight, bias = weight[order], bias[order] + np.float32(0.5)
    if network.picture:
        size = weight.shape[-1]
        own = np.zeros((len(bias), COLOURS, size, size), np.float32)
        own[np.arange(len(bias)), np.arange(len(bias)) % COLOURS, size // 2, size // 2] = 1
        weight = np.concatenate([weight, own], axis=1)
    return weight, bias


def onnx_bytes(network: PeerNetwork, scale: int) -> bytes:
    """The file: (1, h, w, 3) uint8 to (1, h * scale, w * scale, 3), for any h and w."""
    from onnx import TensorProto, helper, numpy_helper

    nodes: list[Any] = []
    constants: list[Any] = []

    def constant(value: Array) -> str:
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value), f"c{len(constants)}"))
        return constants[-1].name

    def node(kind: str, *inputs: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [f"y{len(nodes)}"], **attributes))
        return nodes[-1].output[0]

    def conv(y: str, weight: Array, bias: Array) -> str:
        return node("Conv", y, constant(weight), constant(bias), pads=[weight.shape[-1] // 2] * 4)

    picture = y = node("Cast", node("Transpose", "x", perm=[0, 3, 1, 2]), to=TensorProto.FLOAT)
    for nth, (kind, *values) in enumerate(network.layers):
        if kind == "conv":
            y = conv(y, values[0] / np.float32(255) if nth == 0 else values[0], values[1])
        else:
            y = node(ONNX_NAMES[kind], y, *(constant(value[:, None, None]) for value in values))
    if network.picture:
        y = node("Concat", y, picture, axis=1)
    y = conv(y, *last_for_bytes(network, scale))
    y = node("Clip", y, constant(np.float32(0)), constant(np.float32(255)))
    y = node("Transpose", node("Cast", y, to=TensorProto.UINT8), perm=[0, 2, 3, 1])
    y = node("Reshape", y, constant(np.array([0, 0, 0, scale, scale * COLOURS])))  # 0: as it is
    y = node("Transpose", y, perm=[0, 1, 3, 2, 4])
    node("Reshape", y, node("Mul", node("Shape", "x"), constant(np.array([1, scale, scale, 1]))))
    ends = [
        helper.make_tensor_value_info(name, TensorProto.UINT8, [1, *extents, COLOURS])
        for name, extents in (("x", ["h", "w"]), (nodes[-1].output[0], ["H", "W"]))
    ]
    graph = helper.make_graph(nodes, "network", ends[:1], ends[1:], constants)
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString()


def main() -> None:
    """Write a file for each network and scale."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", type=Path, metavar="ETDS", help="a clone of the authors' repository")
    parser.add_argument("folder", type=Path, metavar="DIR", help="where to write NAME-xSCALE.onnx")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    for name, (make, file) in NETWORKS.items():
        for scale in SCALES:
            loaded = torch.load(args.repository / WEIGHTS / f"{file}_x{scale}.pth", "cpu", weights_only=True)
            state = {key: value.numpy() for key, value in loaded.items()}
            (args.folder / f"{name}-x{scale}.onnx").write_bytes(onnx_bytes(make(state, scale), scale))
            print(args.folder / f"{name}-x{scale}.onnx")


if __name__ == "__main__":
    main()
