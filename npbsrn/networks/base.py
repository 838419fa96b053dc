"""The networks: short declarations made of layers, and the table of their names."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from npbsrn.binarizers import describe, make_binarizer
from npbsrn.binarizers.base import Binarizer
from npbsrn.errors import UsageError
from npbsrn.fused.block_chain import BlockChain
from npbsrn.layers.base import Back, Chain, Identity, Layer, Residual, Trace
from npbsrn.layers.binary import BinaryBlock, BinaryConv, BlockGroup
from npbsrn.layers.conv import Conv, PReLU
from npbsrn.layers.tail import Tail
from npbsrn.ops.enlarge import enlarge
from npbsrn.storage.params import Params, leaves

Array = np.ndarray[Any, Any]
Config = dict[str, Any]

SCALES = (2, 3, 4)
MIDDLE = 0.5  # subtracted from the pictures' range 0..1, so that zero padding is mid-grey


@dataclass(frozen=True)
class Network:
    """A super-resolution network: low resolution in, high resolution out, both in [0, 1].

    Parameters
    ----------
    config : dict
        What `make_network` builds it from again.
    chain : Chain
        From (N, 3, H, W) to (N, 3, H * scale, W * scale).
    """

    config: Config = field(hash=False)
    chain: Chain

    @property
    def scale(self) -> int:
        """Factor of enlargement."""
        return int(self.config["scale"])

    def init(self, seed: int, dtype: Any = np.float32) -> Params:
        """First parameters, drawn from `seed`."""
        return self.chain.init(np.random.default_rng(seed), dtype)

    def apply(self, params: Params, x: Array, train: bool = False) -> tuple[Array, Back]:
        """Enlarge a batch.

        Parameters
        ----------
        params : dict
        x : (N, 3, H, W) floating, in [0, 1]
        train : bool
            Record the backward pass and use batch statistics; else use running averages and record nothing.

        Returns
        -------
        y : (N, 3, H * scale, W * scale), not clipped
        back : dy -> (dx, grads)
        """
        gain = x.dtype.type(self.config["input_gain"])
        details, back_chain = self.chain.apply(params, (x - x.dtype.type(MIDDLE)) * gain, train)

        def back_details(dy: Array) -> tuple[Array, Params]:
            dx, grads = back_chain(dy)
            return dx * gain, grads

        if self.config["base"] == "none":
            return details + x.dtype.type(MIDDLE), back_details
        base, pull_base = enlarge(x, self.scale)

        def back(dy: Array) -> tuple[Array, Params]:
            dx, grads = back_details(dy)
            return dx + pull_base(dy), grads

        return base + details, back

    def trace(self, height: int, width: int) -> Trace:
        """Extents, multiply-accumulates and reach for a picture of `height` x `width` pixels."""
        return self.chain.trace(Trace(height, width))


def bsrn(
    scale: int,
    blocks: int = 20,
    width: int = 48,
    base: str = "bicubic",
    activation: str = "prelu",
    skip: str = "block",
    residual: float = 0.03,
    tail: str = "composed",
    padding: str = "one",
    input_gain: float = 1.0,
    binarizer: Mapping[str, Any] | None = None,
) -> Network:
    """BSRN (Xin et al., ECCV 2020, section 3.3).

    Parameters
    ----------
    scale : {2, 3, 4}
    blocks : int
        Number of HPBs; each holds two LB-blocks of a 3x3 and two 1x1 binary convolutions.
    width : int
        Channels throughout.
    base : {"bicubic", "none"}
        What the network's details are added to: the bicubically enlarged picture, or nothing (the paper).
    activation : {"prelu", "none"}
        Between the binary convolutions of an LB-block.
    skip : {"block", "every"}
        Shortcuts around each LB-block (the paper), or instead around every binary convolution.
    residual : float
        Factor of what an LB-block adds to its input with the skip "block"; the paper has none (1). With 1, forty
        blocks drown the picture in sums of signs, and the network hardly learns (docs/paper.md). Small factors are
        due to Lim et al., EDSR, CVPRW 2017, section 3.
    tail : {"composed", "plain"}
        How the tail is computed in training; see `npbsrn.layers.tail.Tail`.
    padding : {"one", "zero"}
        What stands around the activations of a binary convolution: +1, as the packed bits have it, or a third value,
        0. Only for comparison, and for the binarizer "float".
    input_gain : float
        Factor of what the head sees, the picture less its middle. The base is added as it is.
    binarizer : dict
        ``name`` and options of the scheme.
    """
    scheme = make_binarizer(binarizer or {})
    act: Layer = PReLU(width) if activation == "prelu" else Identity()
    first, second = (_lb_block(nth, width, scheme, act, skip, residual, PADDINGS[padding]) for nth in (1, 2))
    hpb = BlockGroup((first, second))
    body = Chain((("hpb", BlockChain((hpb,) * blocks)), ("trunk", Conv(width, width))))
    config = {
        "name": "bsrn", "scale": scale, "blocks": blocks, "width": width, "base": base, "activation": activation,
        "skip": skip, "residual": residual, "tail": tail, "padding": padding, "input_gain": input_gain,
        "binarizer": describe(scheme),
    }  # fmt: skip
    last = Tail(FACTORS[scale], width, tail == "composed")
    return Network(config, Chain((("head", Conv(3, width)), ("body", Residual(body)), ("tail", last))))


def _lb_block(
    nth: int, width: int, scheme: Binarizer, act: Layer, skip: str, residual: float, pad_value: float
) -> BinaryBlock:
    """The `nth` LB-block of an HPB: its 3x3 filters accumulate with those of the blocks before it."""
    convs = (
        BinaryConv(width, 3, scheme, inputs=1, filters=nth, pad_value=pad_value),
        BinaryConv(width, 1, scheme, inputs=2, filters=1),
        BinaryConv(width, 1, scheme, inputs=3, filters=2),
    )
    return BinaryBlock(convs, act, skip, residual)


PADDINGS = {"one": 1.0, "zero": 0.0}
FACTORS = {2: (2,), 3: (3,), 4: (2, 2)}  # of the tail's shuffles, by scale
NETWORKS: dict[str, Callable[..., Network]] = {"bsrn": bsrn}
CHOICES: dict[str, tuple[Any, ...]] = {
    "scale": SCALES,
    "base": ("bicubic", "none"),
    "activation": ("prelu", "none"),
    "skip": ("block", "every"),
    "tail": ("composed", "plain"),
    "padding": tuple(PADDINGS),
}


def make_network(config: Mapping[str, Any]) -> Network:
    """Build the network that ``config["name"]`` names; the other entries are its arguments.

    Raises
    ------
    UsageError
        If a name, an argument or its value is unknown.
    """
    arguments = dict(config)
    name = arguments.pop("name", "bsrn")
    if not isinstance(name, str) or name not in NETWORKS:
        raise UsageError(f"there is no network {name!r}; choose among {', '.join(NETWORKS)}")
    for argument, choices in CHOICES.items():
        if argument in arguments and arguments[argument] not in choices:
            known = ", ".join(map(str, choices))
            raise UsageError(f"{argument} cannot be {arguments[argument]!r}; choose among {known}")
    for argument in ("blocks", "width"):
        value = arguments.get(argument, 1)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError(f"{argument} must be a positive whole number, not {value!r}")
    binarizer = arguments.get("binarizer") or {}
    if isinstance(binarizer, str):
        arguments["binarizer"] = {"name": binarizer}
    elif not isinstance(binarizer, Mapping):
        raise UsageError(f"binarizer must be a name or options, not {binarizer!r}")
    for argument in ("residual", "input_gain"):
        value = arguments.get(argument, 1.0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise UsageError(f"{argument} must be a number above 0, not {value!r}")
    accepted = list(inspect.signature(NETWORKS[name]).parameters)
    unknown = [argument for argument in arguments if argument not in accepted]
    if unknown:
        raise UsageError(f"{name} has no argument {', '.join(unknown)}; it has {', '.join(accepted)}")
    if "scale" not in arguments:
        raise UsageError(f"{name} needs a scale: {', '.join(map(str, SCALES))}")
    return NETWORKS[name](**arguments)


def count_parameters(params: Params) -> dict[str, int]:
    """Learned parameters by kind; a binary weight counts as one, as in the paper's tables.

    Returns
    -------
    counts : dict
        ``total``; ``binary``, the filters of binary convolutions; ``float``, all the rest. Running averages are
        measured, not learned, and do not count.
    """
    total = sum(array.size for name, array in leaves(params) if ".running_" not in name)
    binary = _binary_weights(params)
    return {"total": total, "binary": binary, "float": total - binary}


def _binary_weights(params: Params) -> int:
    own = params["weight"].size if params.get("binarizer") else 0  # of the binarizer "float" it is empty or missing
    return own + sum(_binary_weights(inner) for inner in params.values() if isinstance(inner, dict))
