"""Packed files of the first version, which supported one network: LB-blocks of a 3x3 and two 1x1 convolutions each."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from npbsrn.networks.base import FACTORS
from npbsrn.packed.plan import Block, Plan, Step

Array = np.ndarray[Any, Any]

SIZES = (3, 1, 1)


def plan_of(arrays: Mapping[str, Array], config: dict[str, Any], card: dict[str, Any]) -> Plan:
    """The plan of a file's arrays.

    Parameters
    ----------
    arrays : dict
        ``signs.1`` to ``signs.3``, (B, C, C, k, k) as bits; ``weight`` (B, 3, 3, C), of E(A_k) A_k in what convolution
        n binarizes; ``shift`` and ``scale`` (B, 3, C); ``slope`` (B, 2, C) with PReLU; ``head``, ``trunk``, ``tail.1``,
        ... with ``.weight`` and ``.bias``.
    config : dict
        The network's.
    card : dict

    Raises
    ------
    KeyError, ValueError
        By the name of what is missing or does not fit.
    """
    count, width, stages = 2 * config["blocks"], config["width"], len(FACTORS[config["scale"]]) + 1

    def real(name: str, *shape: int) -> Array:
        value = np.ascontiguousarray(arrays[name], np.float32)  # kernels read memory in this order
        if value.shape != shape or not np.all(np.isfinite(value)):
            raise ValueError(name)
        return value

    def convolution(name: str, outputs: int) -> tuple[Array, Array]:
        inputs = 3 if name == "head" else width
        return real(f"{name}.weight", outputs, inputs, 3, 3), real(f"{name}.bias", outputs)

    signs = [_signs(arrays, n, (count, width, width, k, k)) for n, k in enumerate(SIZES, 1)]
    weight, shift = real("weight", count, 3, 3, width), real("shift", count, 3, width)
    scale = real("scale", count, 3, width)
    slope = real("slope", count, 2, width) if config["activation"] == "prelu" else None

    def step(b: int, n: int) -> Step:
        terms = tuple(range(n + 1)) if accumulated else (n,)
        own = None if slope is None or n == 2 else slope[b, n]
        factor, weights = scale[b, n][None, None], weight[b, n, list(terms)][None]
        return Step((signs[n][b],), factor, None, weights, shift[b, n][None], terms, 1.0, own)

    statistic, residual = config["binarizer"]["statistic"], config["residual"]
    accumulated = config["binarizer"]["accumulate_activations"]
    blocks = [Block(tuple(step(b, n) for n in range(3)), statistic, residual) for b in range(count)]
    factors = FACTORS[config["scale"]]
    outputs = [*(width * r * r for r in factors), 3]
    tail = [convolution(f"tail.{n}", o) for n, o in zip(range(1, stages + 1), outputs, strict=True)]
    return Plan(
        config, config["scale"], False, config["base"] == "bicubic", config["input_gain"], convolution("head", width),
        tuple(blocks), convolution("trunk", width), tuple(tail), factors, card=card,
    )  # fmt: skip


def _signs(arrays: Mapping[str, Array], n: int, shape: tuple[int, ...]) -> Array:
    packed, count = arrays[f"signs.{n}"], int(np.prod(shape))
    if packed.dtype != np.uint8 or packed.shape != (-(-count // 8),):  # what is missing would count as +1
        raise ValueError(f"signs.{n}")
    return (1 - 2 * np.unpackbits(packed, count=count).astype(np.int8)).reshape(shape)
