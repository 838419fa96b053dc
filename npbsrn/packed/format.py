"""Packed weight files: one bit for each binary weight."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from npbsrn import __version__
from npbsrn.errors import WeightsError
from npbsrn.models import KIND, network_of
from npbsrn.packed import legacy
from npbsrn.packed.plan import Block, Convolution, Plan, Step
from npbsrn.packed.program import STATISTICS
from npbsrn.packed.tail import composed_size
from npbsrn.storage.params import load_arrays, save_arrays

Array = np.ndarray[Any, Any]

VERSION = 2  # of packed files; 1 has no number
FLOATS = ("factor", "offset", "weight", "shift", "slope")  # of a step; those of all steps follow each other
MOST = 9  # extent of a head's filters


def save_packed(path: Path | str, plan: Plan) -> None:
    """Write a packed weight file, completely or not at all.

    A sign takes one bit. Floats that half precision represents exactly, such as those of the shipped weights (see
    docs/models.md), take two bytes, others four: nothing is rounded.
    """
    steps = plan.steps
    signs = [w.ravel() for step in steps for w in step.signs if w.dtype == np.int8]
    filters = [w.ravel() for step in steps for w in step.signs if w.dtype != np.int8]
    arrays = {"signs": np.packbits(np.concatenate([*signs, np.zeros(0, np.int8)]) < 0)}
    floats = {"filters": filters}
    floats |= {name: [v.ravel() for s in steps if (v := getattr(s, name)) is not None] for name in FLOATS}
    arrays |= {name: _narrow(np.concatenate(values)) for name, values in floats.items() if values}
    for name, (w, bias) in _ends(plan).items():
        arrays |= {f"{name}.weight": _narrow(w), f"{name}.bias": _narrow(bias)}
    card = {**plan.card, "kind": KIND, "packed": VERSION, "config": plan.config, "npbsrn": __version__}
    save_arrays(path, arrays, card | {"plan": _described(plan)}, compress=True)


def load_packed(path: str | PathLike[str]) -> Plan:
    """Read a packed weight file.

    Raises
    ------
    WeightsError
        If the file is missing, damaged, foreign, of a newer version or not packed, or does not fit its network.
    """
    arrays, card = load_arrays(path)
    network = network_of(path, card.get("config"), sum(8 * array.nbytes for array in arrays.values()))
    if card.get("kind") != KIND:
        raise WeightsError(f"{path} is no packed weight file; `npbsrn pack` makes one of it")
    version = card.get("packed", 1)
    if version not in (1, VERSION):
        raise WeightsError(f"{path} is packed in version {version}, this npbsrn reads up to {VERSION}; upgrade npbsrn")
    try:
        if version == 1:
            return legacy.plan_of(arrays, network.config, card)
        plan = _Reader(arrays).plan(card["plan"], network.config, card)
        if plan.scale != network.scale:
            raise ValueError("scale")
        return plan
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        name = error.args[0] if isinstance(error, KeyError | ValueError) else "plan"
        raise WeightsError(f"{path} does not fit its network: {name} is missing or of another shape") from None


def _narrow(value: Array) -> Array:
    with np.errstate(over="ignore"):
        half = value.astype(np.float16)
    return half if np.array_equal(half.astype(np.float32), value) else value


def _ends(plan: Plan) -> dict[str, Convolution]:
    trunk = {} if plan.trunk is None else {"trunk": plan.trunk}
    return {"head": plan.head} | trunk | {f"tail.{n}": own for n, own in enumerate(plan.tail, 1)}


def _described(plan: Plan) -> dict[str, Any]:
    """All of a plan but its arrays."""
    return {
        "scale": plan.scale,
        "enlarged": plan.enlarged,
        "base": plan.base,
        "gain": plan.gain,
        "trunk": plan.trunk is not None,
        "shuffles": list(plan.shuffles),
        "blocks": [
            {
                "statistic": block.statistic,
                "residual": block.residual,
                "steps": [_described_step(step) for step in block.steps],
            }
            for block in plan.blocks
        ],
    } | ({"flat": True} if plan.flat else {})


def _described_step(step: Step) -> dict[str, Any]:
    there = [name for name in FLOATS if getattr(step, name) is not None]
    return {
        "size": step.size,
        "bases": list(step.factor.shape[:2]),
        "signs": step.signs[0].dtype == np.int8,
        "floats": there,
        "terms": list(step.terms),
        "pad": step.pad,
        "skip": step.skip,
    } | ({"amount": step.amount} if step.amount != 1 else {})


class _Reader:
    """Takes arrays apart. Kernels access memory without bounds checks, so everything is checked here.

    Whatever does not fit raises a ValueError or KeyError with its name.
    """

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self.arrays = arrays
        self.taken: dict[str, int] = {}

    def plan(self, own: Mapping[str, Any], config: dict[str, Any], card: dict[str, Any]) -> Plan:
        """The whole."""
        scale, enlarged, shuffles = _whole(own, "scale"), _flag(own, "enlarged"), own["shuffles"]
        _ask(all(isinstance(r, int) and 2 <= r <= scale for r in shuffles), "shuffles")
        _ask(int(np.prod(shuffles)) == (1 if enlarged else scale), "shuffles")
        head = self.convolution("head", 3)
        channels = len(head[1])
        blocks = tuple(self.block(block, channels) for block in own["blocks"])
        _ask(len(blocks) > 0, "blocks")
        trunk = self.convolution("trunk", channels, channels) if _flag(own, "trunk") else None
        if trunk is not None:  # which takes in what the head does
            _ask(trunk[0].shape[-1] == 3, "trunk.weight")
            _ask(head[0].shape[-1] in (3, 9), "head.weight")
        tail, inputs = [], channels
        for n, factor in enumerate([*shuffles, None], 1):
            tail.append(self.convolution(f"tail.{n}", inputs, None if factor else 3))
            inputs = len(tail[-1][1]) // (factor or 1) ** 2
            _ask(factor is None or inputs * factor**2 == len(tail[-1][1]), f"tail.{n}.bias")
        size = composed_size([w.shape[-1] for w, _ in tail], shuffles)
        _ask(size in (3, 5, 7), "tail")
        self.signs((0,))
        for name in ("filters", *FLOATS):
            _ask(self.taken.get(name, 0) == (self.arrays[name].size if name in self.arrays else 0), name)
        card = {name: value for name, value in card.items() if name != "plan"}
        return Plan(
            config, scale, enlarged, _flag(own, "base"), _real(own, "gain"), head, blocks, trunk, tuple(tail),
            tuple(shuffles), _flag(own, "flat") if "flat" in own else False, card,
        )  # fmt: skip

    def block(self, own: Mapping[str, Any], channels: int) -> Block:
        """The next block."""
        residual = None if own["residual"] is None else _real(own, "residual")
        _ask(own["statistic"] in STATISTICS and len(own["steps"]) > 0, "statistic")
        steps = tuple(self.step(step, n, channels) for n, step in enumerate(own["steps"]))
        _ask(residual is None or not steps[-1].skip, "skip")
        return Block(steps, own["statistic"], residual)

    def step(self, own: Mapping[str, Any], nth: int, channels: int) -> Step:
        """The next step, the `nth` of its block."""
        size, (m, n), terms, there = _whole(own, "size"), own["bases"], own["terms"], own["floats"]
        binary, pad = "weight" in there, _real(own, "pad")
        _ask(all(isinstance(x, int) and 1 <= x <= MOST for x in (m, n)), "bases")
        _ask(size in (1, 3), "size")
        _ask(len(terms) > 0 and all(isinstance(k, int) and 0 <= k <= nth for k in terms), "terms")
        _ask(("shift" in there) == binary and (binary or n == 1), "shift")
        _ask(abs(pad) == 1 if binary else pad in (0, 1), "pad")
        take = self.signs if _flag(own, "signs") else self.filters
        _ask(not binary or own["signs"] is True, "signs")
        signs = tuple(take((channels, channels, size, size)) for _ in range(m))
        shapes = {
            "factor": (m, n, channels),
            "offset": (channels,),
            "weight": (n, len(terms), channels),
            "shift": (n, channels),
            "slope": (channels,),
        }
        floats: dict[str, Any] = {name: self.part(name, shapes[name]) if name in there else None for name in FLOATS}
        _ask(floats["factor"] is not None, "factor")
        skip, amount = _flag(own, "skip"), _real(own, "amount") if "amount" in own else 1.0
        _ask(skip or amount == 1, "amount")
        return Step(signs, terms=tuple(terms), pad=pad, skip=skip, amount=amount, **floats)

    def convolution(self, name: str, inputs: int, outputs: int | None = None) -> Convolution:
        """A float convolution."""
        w, bias = (self.real(f"{name}.{part}") for part in ("weight", "bias"))
        size = w.shape[-1] if w.ndim else 0
        _ask(size % 2 == 1 and size <= MOST and bias.ndim == 1 and len(bias) > 0, f"{name}.bias")
        _ask(outputs in (None, len(bias)) and w.shape == (len(bias), inputs, size, size), f"{name}.weight")
        return w, bias

    def real(self, name: str) -> Array:
        """A whole array of finite floats."""
        value = np.ascontiguousarray(self.arrays[name], np.float32)  # kernels read memory in this order
        _ask(bool(np.all(np.isfinite(value))), name)
        return value

    def part(self, name: str, shape: tuple[int, ...]) -> Array:
        """What follows in an array."""
        begin, size = self.taken.get(name, 0), int(np.prod(shape))
        part = np.ascontiguousarray(self.arrays[name][begin : begin + size], np.float32)
        _ask(self.arrays[name].ndim == 1 and len(part) == size and bool(np.all(np.isfinite(part))), name)
        self.taken[name] = begin + size
        return part.reshape(shape)

    def filters(self, shape: tuple[int, ...]) -> Array:
        """Float filters that follow."""
        return self.part("filters", shape)

    def signs(self, shape: tuple[int, ...]) -> Array:
        """Signs that follow; none at the end, where nothing may be left."""
        packed, begin, size = self.arrays["signs"], self.taken.get("signs", 0), int(np.prod(shape))
        left = packed.size * 8 - begin
        _ask(packed.dtype == np.uint8 and packed.ndim == 1 and (left >= size if size else left < 8), "signs")
        bits = np.unpackbits(packed[begin // 8 : -(-(begin + size) // 8)])[begin % 8 : begin % 8 + size]
        self.taken["signs"] = begin + size
        return (1 - 2 * bits.astype(np.int8)).reshape(shape)


def _ask(fits: bool, name: str) -> None:
    if not fits:
        raise ValueError(name)


def _whole(own: Mapping[str, Any], name: str) -> int:
    value = own[name]
    _ask(isinstance(value, int) and not isinstance(value, bool) and value > 0, name)
    return int(value)


def _flag(own: Mapping[str, Any], name: str) -> bool:
    _ask(isinstance(own[name], bool), name)
    return bool(own[name])


def _real(own: Mapping[str, Any], name: str) -> float:
    value = own[name]
    _ask(isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value)), name)
    return float(value)
