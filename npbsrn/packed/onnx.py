"""A plan as a network of floats in the format ONNX, which other tools run.

It is written from the `Plan`, as the engine runs it, so it knows no scheme and no network. What decides a sign is
written so that a runtime which follows ONNX computes the same bits as the engine ("What decides a sign" in
docs/architecture.md):

- sums of products of signs are whole numbers in any order; `Round` behind their convolution keeps what follows from
  being folded into its filters, and removes what a convolution by transforms adds;
- a product and a sum that are rounded once are computed in float64 and rounded to float32;
- the head is one such product after another instead of a `Conv`, and the mean over channels the last of `CumSum`.

Trunk and tail decide no sign. Their sums have whatever order the runtime gives them.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from npbsrn import __version__
from npbsrn.errors import UsageError
from npbsrn.images.flat import REACH
from npbsrn.networks.base import MIDDLE
from npbsrn.packed.plan import Block, Convolution, Plan, Step
from npbsrn.packed.tail import base_filters
from npbsrn.storage.files import whole_weights

Array = np.ndarray[Any, Any]
Constant = Array | np.generic

SUFFIX = ".onnx"
CURE = "pip install 'npbsrn[onnx]'"
OPSET, IR = 17, 8  # which runtimes have known since 2022
BASE = 5  # extent of bicubic enlargement's filters
NOTE = (
    "Super-resolution x{scale} by npbsrn. Input: RGB in [0, 1], float32, (N, 3, H, W). Output: (N, 3, {scale} H, "
    "{scale} W), neither clipped nor rounded: for 8 bits, multiply by 255, add 0.5, clip to 0..255, and round down. "
    "Signs of values decide what follows: run it in float32, and in float64 where it says so."
)


def save_onnx(path: Path | str, plan: Plan) -> None:
    """Write a plan as an ONNX file, completely or not at all; equal plans give equal bytes.

    Parameters
    ----------
    path : path
    plan : Plan

    Raises
    ------
    UsageError
        If the package onnx is missing.
    WeightsError
        If the file cannot be written.
    """
    data = onnx_model(plan).SerializeToString(deterministic=True)
    with whole_weights(path) as file:
        file.write(data)


def onnx_model(plan: Plan) -> Any:
    """A plan as ``onnx.ModelProto``, from "image" (N, 3, H, W) to "enlarged", both float32, for any N, H and W."""
    helper, graph = _package().helper, _Graph()
    name = _network(graph, plan)
    graph.nodes[-1].output[0] = "enlarged"
    assert name == graph.names[-1]  # nothing else takes it in
    real, scale = _package().TensorProto.FLOAT, plan.scale
    ends = [
        helper.make_tensor_value_info(end, real, ["N", 3, *sides])
        for end, sides in (("image", ("H", "W")), ("enlarged", (f"{scale} H", f"{scale} W")))
    ]
    whole = helper.make_graph(graph.nodes, plan.name, ends[:1], ends[1:], graph.constants)
    model = helper.make_model(
        whole, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="npbsrn",
        producer_version=__version__, doc_string=NOTE.format(scale=scale),
    )  # fmt: skip
    card = {**plan.card, "config": plan.config}
    helper.set_model_props(model, {"card": json.dumps(card, sort_keys=True)})
    return model


class _Graph:
    """Nodes and constants so far; every method adds some, and returns the name of their result."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.names: list[str] = []

    def node(self, kind: str, *inputs: str | Constant, **attributes: Any) -> str:
        """One operation; arrays among the inputs become constants."""
        names = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        self.names.append(f"{kind.lower()}_{len(self.nodes)}")
        self.nodes.append(_package().helper.make_node(kind, names, self.names[-1:], **attributes))
        return self.names[-1]

    def constant(self, value: Constant) -> str:
        """An array as it is."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(_package().numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def real(self, value: Any) -> Array:
        """Numbers for channels, if any, as a float32 constant beside (N, C, H, W)."""
        array = np.asarray(value, np.float32)
        return array[:, None, None] if array.ndim else array

    def conv(self, x: str, w: Array, bias: Array | None = None, pad: bool = True) -> str:
        """A convolution, padded with zeros or not at all."""
        more = [] if bias is None else [bias]
        return self.node("Conv", x, np.asarray(w, np.float32), *more, pads=[w.shape[-1] // 2 * pad] * 4)

    def padded(self, x: str, margin: int, value: float) -> str:
        """A margin of one value around the picture."""
        sides = np.array([0, 0, margin, margin] * 2)
        return x if margin == 0 else self.node("Pad", x, sides, np.float32(value), mode="constant")

    def fused(self, x: str, factor: Any, y: str | Array) -> str:
        """``x * factor + y``, rounded once: see `npbsrn.ops.pointwise.multiply_add`."""
        factor = self.real(factor)
        if np.all(np.isin(np.abs(np.frexp(factor)[0]), (0, 0.5))):  # a product by a power of two is exact
            return self.node("Add", x if np.all(factor == 1) else self.node("Mul", x, factor), y)
        wide = _package().TensorProto.DOUBLE
        term = y.astype(np.float64) if not isinstance(y, str) else self.node("Cast", y, to=wide)
        product = self.node("Mul", self.node("Cast", x, to=wide), factor.astype(np.float64))
        return self.node("Cast", self.node("Add", product, term), to=_package().TensorProto.FLOAT)


def _network(g: _Graph, plan: Plan) -> str:
    """As `npbsrn.packed.reference.plan_ref`."""
    middle = np.float32(MIDDLE)
    large = _bicubic(g, plan.scale) if plan.base or plan.enlarged else ""
    x = g.node("Sub", large if plan.enlarged else "image", middle)
    head = _head(g, x if plan.gain == 1 else g.node("Mul", x, np.float32(plan.gain)), plan.head)
    y = head
    for block in plan.blocks:
        y = _block(g, y, block)
    if plan.trunk is not None:
        y = g.node("Add", g.conv(y, *plan.trunk), head)
    for convolution, factor in zip(plan.tail, (*plan.shuffles, 1), strict=True):
        y = g.conv(y, *convolution)
        y = y if factor == 1 else g.node("DepthToSpace", y, blocksize=factor, mode="CRD")
    y = g.node("Add", y, large if plan.base else middle)
    return _keep_flat(g, y, plan.scale) if plan.flat else y


def _head(g: _Graph, x: str, head: Convolution) -> str:
    """One product after another: channels, then rows, then taps."""
    w, bias = head
    size, last = w.shape[-1], np.iinfo(np.int64).max
    x, y = g.padded(x, size // 2, 0), ""
    for c, i, j in np.ndindex(w.shape[1:]):
        ends = [c + 1, *(at - size + 1 or last for at in (i, j))]
        tap = g.node("Slice", x, np.array([c, i, j]), np.array(ends), np.array([1, 2, 3]))
        y = g.fused(tap, w[:, c, i, j], y) if y else g.node("Mul", tap, g.real(w[:, c, i, j]))
    return g.node("Add", y, g.real(bias))


def _block(g: _Graph, x: str, block: Block) -> str:
    """As `npbsrn.packed.reference.blocks_ref`."""
    a, terms = x, list[str]()
    for step in block.steps:
        terms.append(_weighted(g, a, block.statistic, step.factor.shape[-1]))
        y = _sum_products(g, _products(g, step, terms), step)
        if step.slope is not None:
            y = g.node("PRelu", y, g.real(step.slope))
        a = g.fused(y, step.amount, a) if step.skip else y
    return a if block.residual is None else g.fused(a, block.residual, x)


def _weighted(g: _Graph, a: str, statistic: str, channels: int) -> str:
    """``E(A) A``, the mean's sum channel by channel."""
    if statistic == "none":
        return a
    sums = g.node("CumSum", g.node("Abs", a) if statistic == "abs" else a, np.array(1))
    total = g.node("Slice", sums, np.array([channels - 1]), np.array([channels]), np.array([1]))
    return g.node("Mul", g.node("Div", total, np.float32(channels)), a)


def _products(g: _Graph, step: Step, terms: Sequence[str]) -> list[list[str]]:
    """Each base of the filters by each base of the activations."""
    margin = step.size // 2
    if step.weight is None or step.shift is None:
        x = g.padded(terms[step.terms[-1]], margin, step.pad)
        return [[g.conv(x, w, pad=False)] for w in step.signs]
    bits = []
    for own, shift in zip(step.weight, step.shift, strict=True):
        z: str | Array = g.real(shift)
        for k, factor in zip(step.terms, own, strict=True):
            z = g.fused(terms[k], factor, z)
        positive = g.node("GreaterOrEqual", z, np.float32(0))
        bits.append(g.padded(g.node("Where", positive, np.float32(1), np.float32(-1)), margin, step.pad))
    return [[g.node("Round", g.conv(b, w, pad=False)) for b in bits] for w in step.signs]


def _sum_products(g: _Graph, products: list[list[str]], step: Step) -> str:
    """As `npbsrn.ops.normal_form.sum_products`."""
    y = ""
    for row, factors in zip(products, step.factor, strict=True):
        for product, own in zip(row, factors, strict=True):
            if y:
                y = g.fused(product, own, y)
                continue
            y = g.node("Mul", product, g.real(own))
            y = y if step.offset is None else g.node("Add", y, g.real(step.offset))
    return y


def _bicubic(g: _Graph, scale: int) -> str:
    """Bicubic enlargement of the image, which is mirrored at its borders."""
    x, reach, shape = "image", BASE // 2, g.node("Shape", "image")
    for axis in (2, 3):
        extent = g.node("Gather", shape, np.array(axis))
        stop = g.node("Add", extent, np.array(reach))
        twice = g.node("Add", extent, extent)
        at = g.node("Mod", g.node("Range", np.array(-reach), stop, np.array(1)), twice)
        back = g.node("Sub", g.node("Sub", twice, np.array(1)), at)
        x = g.node("Gather", x, g.node("Min", at, back), axis=axis)
    phases = g.conv(x, base_filters(scale, BASE), pad=False)
    return g.node("DepthToSpace", phases, blocksize=scale, mode="CRD")


def _keep_flat(g: _Graph, y: str, scale: int) -> str:
    """Where 5x5 pixels are of one colour, that colour: see `npbsrn.images.flat.keep_flat`."""
    around = {"kernel_shape": [2 * REACH + 1] * 2, "pads": [REACH] * 4}
    most = g.node("MaxPool", "image", **around)
    least = g.node("Neg", g.node("MaxPool", g.node("Neg", "image"), **around))
    spread = g.node("ReduceMax", g.node("Sub", most, least), axes=[1], keepdims=1)
    both = g.node("Concat", "image", spread, axis=1)
    near = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    both = g.node("Resize", both, "", np.array([1, 1, scale, scale], np.float32), **near)
    colour, spread = (g.node("Slice", both, np.array([a]), np.array([b]), np.array([1])) for a, b in ((0, 3), (3, 4)))
    return g.node("Where", g.node("Equal", spread, np.float32(0)), colour, y)


def _package() -> Any:
    try:
        import onnx.helper
        import onnx.numpy_helper
    except ImportError:
        raise UsageError(f"files that end in {SUFFIX} need one more package: {CURE}") from None
    return onnx
