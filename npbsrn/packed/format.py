"""Packed weight files: one bit for each binary weight."""

from pathlib import Path
from typing import Any

import numpy as np

from npbsrn.errors import UsageError, WeightsError
from npbsrn.networks.base import FACTORS, make_network
from npbsrn.packed.lower import STATISTICS, Coefficients, Convolution, Folded
from npbsrn.storage.models import KIND, package_version
from npbsrn.storage.params import load_arrays, save_arrays

Array = np.ndarray[Any, Any]

COEFFICIENTS = ("weight", "shift", "scale", "slope")


def save_packed(path: Path | str, folded: Folded) -> None:
    """Write a packed weight file, whole or not at all.

    Signs take a bit each. Floats that half precision holds exactly, as those of the weights that come with the package
    (see docs/models.md), take two bytes, others four: nothing is rounded.
    """
    arrays = {f"signs.{n}": np.packbits(signs < 0) for n, signs in enumerate(folded.signs, 1)}
    floats = {name: value for name in COEFFICIENTS if (value := getattr(folded.coefficients, name)) is not None}
    ends = {"head": folded.head, "trunk": folded.trunk} | {f"tail.{n}": c for n, c in enumerate(folded.tail, 1)}
    for name, (w, bias) in ends.items():
        floats |= {f"{name}.weight": w, f"{name}.bias": bias}
    arrays |= {name: _narrow(value) for name, value in floats.items()}
    card = {**folded.card, "kind": KIND, "config": folded.config, "npbsrn": package_version()}
    save_arrays(path, arrays, card, compress=True)


def _narrow(value: Array) -> Array:
    with np.errstate(over="ignore"):
        half = value.astype(np.float16)
    return half if np.array_equal(half.astype(np.float32), value) else value


def load_packed(path: Path | str) -> Folded:
    """Read a packed weight file.

    Raises
    ------
    WeightsError
        If the file is missing, damaged, foreign, not a packed one, or does not fit the network that it names.
    """
    arrays, card = load_arrays(path)
    try:
        config = make_network(card["config"]).config
    except (KeyError, TypeError, UsageError) as error:
        raise WeightsError(f"{path} does not say which network it is for ({error}); get weights of npbsrn") from None
    if card.get("kind") != KIND:
        raise WeightsError(f"{path} is no packed weight file; `npbsrn pack` makes one of it")
    blocks, width, stages = 2 * config["blocks"], config["width"], len(FACTORS[config["scale"]]) + 1

    def real(name: str) -> Array:
        value = np.ascontiguousarray(arrays[name], np.float32)  # kernels read memory in this order
        if not np.all(np.isfinite(value)):
            raise ValueError(name)
        return value

    def convolution(name: str) -> Convolution:
        return real(f"{name}.weight"), real(f"{name}.bias")

    def signs(n: int, size: int) -> Array:
        shape = blocks, width, width, size, size
        packed, count = arrays[f"signs.{n}"], int(np.prod(shape))
        if packed.dtype != np.uint8 or packed.shape != (-(-count // 8),):  # what is missing would count as +1
            raise ValueError(f"signs.{n}")
        bits = np.unpackbits(packed, count=count)
        return (1 - 2 * bits.astype(np.int8)).reshape(shape)

    try:
        statistic = STATISTICS[config["binarizer"]["statistic"]]
        slope = real("slope") if config["activation"] == "prelu" else None
        residual = np.float32(config["residual"])
        folded = Folded(
            config,
            convolution("head"),
            convolution("trunk"),
            [convolution(f"tail.{n}") for n in range(1, stages + 1)],
            [signs(1, 3), signs(2, 1), signs(3, 1)],
            Coefficients(real("weight"), real("shift"), real("scale"), slope, residual, statistic),
            card,
        )
    except (KeyError, ValueError) as error:
        raise WeightsError(f"{path} does not fit its network: {error.args[0]} is missing or of another shape") from None
    _check_shapes(path, folded, blocks, width)
    return folded


def _check_shapes(path: Path | str, folded: Folded, blocks: int, width: int) -> None:
    """Kernels look at memory without asking whether it is there."""
    c = folded.coefficients
    wanted = {
        "weight": (c.weight, (blocks, 3, 3, width)),
        "shift": (c.shift, (blocks, 3, width)),
        "scale": (c.scale, (blocks, 3, width)),
    }
    if c.slope is not None:
        wanted["slope"] = c.slope, (blocks, 2, width)
    shuffles = FACTORS[folded.scale]
    outputs = [width, width, *(width * r * r for r in shuffles), 3]
    inputs = [3, width, *[width] * len(shuffles), width]
    for n, ((w, bias), o, i) in enumerate(zip([folded.head, folded.trunk, *folded.tail], outputs, inputs, strict=True)):
        wanted |= {f"convolution {n}": (w, (o, i, 3, 3)), f"bias {n}": (bias, (o,))}
    for name, (array, shape) in wanted.items():
        if array.shape != shape:
            raise WeightsError(f"{path} does not fit its network: {name} is missing or of another shape")
