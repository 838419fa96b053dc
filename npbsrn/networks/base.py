"""The class of all networks, and the table of their names."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np

from npbsrn.binarizers import describe, make_binarizer
from npbsrn.binarizers.base import Binarizer
from npbsrn.errors import UsageError
from npbsrn.images.flat import flat_pixels, keep_flat
from npbsrn.layers.base import Back, Chain, Trace, taped
from npbsrn.ops.enlarge import enlarge
from npbsrn.storage.params import Params, leaves

Array = np.ndarray[Any, Any]
Config = dict[str, Any]

SCALES = (2, 3, 4)
FACTORS = {2: (2,), 3: (3,), 4: (2, 2)}  # of a tail's shuffles, by scale
BICUBIC_REACH = 2  # small pixels: what bicubic enlargement looks at is nearer than that
MIDDLE = 0.5  # subtracted from the pictures' range 0..1, so that zero padding is mid-grey


@dataclass(frozen=True)
class Network:
    """A super-resolution network: low resolution in, high resolution out, both in [0, 1].

    Parameters
    ----------
    scale : int
        Factor of enlargement.
    chain : Chain
        From (N, 3, H, W), the picture minus 0.5, to details (N, 3, H * scale, W * scale): a head, a body, a tail.
    base : bool
        Whether details are added to the bicubically enlarged picture, or else to mid-grey.
    enlarged : bool
        Whether the chain works on the bicubically enlarged picture.
    gain : float
        Factor on the chain's input.
    output : float
        Factor on the details.
    flat : bool
        Whether pixels amid 5x5 of one colour keep that colour outside of training, whatever the details there.
    config : dict
        The configuration from which `make_network` can rebuild the network.
    """

    scale: int
    chain: Chain
    base: bool = True
    enlarged: bool = False
    gain: float = 1.0
    output: float = 1.0
    flat: bool = False
    config: Config = field(default_factory=dict, hash=False)

    def init(self, seed: int, dtype: Any = np.float32) -> Params:
        """Initial parameters, drawn from `seed`."""
        return self.chain.init(np.random.default_rng(seed), dtype)

    def apply(self, params: Params, x: Array, train: bool = False) -> tuple[Array, Back]:
        """Enlarge a batch.

        Parameters
        ----------
        params : dict
        x : (N, 3, H, W) floating, in [0, 1]
        train : bool
            Record the backward pass and use batch statistics; otherwise use running averages and record nothing.

        Returns
        -------
        y : (N, 3, H * scale, W * scale), not clipped
        back : (dy, inner=True) -> (dx, grads)
            dx is empty where it is not asked for, `inner` being False: training needs none.
        """
        middle, gain = x.dtype.type(MIDDLE), x.dtype.type(self.gain)
        large, pull_large = enlarge(x, self.scale) if self.base or self.enlarged else (middle, None)
        taken = large if self.enlarged else x
        details, back_chain = self.chain.apply(params, (taken - middle) * gain, train)
        details = self._scaled(details)

        def back(dy: Array, inner: bool = True) -> tuple[Array, Params]:
            dtaken, grads = back_chain(self._scaled(dy), inner)
            if not inner:
                return np.empty(0, dy.dtype), grads
            dtaken = dtaken * gain
            if pull_large is None:
                return dtaken, grads
            if self.enlarged:
                return pull_large(dtaken + dy if self.base else dtaken), grads
            return dtaken + pull_large(dy), grads

        y = details + (large if self.base else middle)
        if self.flat and not train:
            for own, enlarged in zip(x, y, strict=True):
                picture = own.transpose(1, 2, 0)
                keep_flat(picture, flat_pixels(picture), enlarged.transpose(1, 2, 0))
        return y, taped(back, train)

    def _scaled(self, details: Array) -> Array:
        return details if self.output == 1 else details * details.dtype.type(self.output)

    def trace(self, height: int, width: int) -> Trace:
        """Extents, multiply-accumulates and reach for a picture of `height` x `width` pixels.

        Bicubic enlargement uses small pixels whose centres are less than 2 away from that of a large pixel, which is at
        most ``(1 - step) / 2`` off the centre of its own small pixel. Convolutions with a further reach of d thus use
        ``ceil(2 - 1 + (1 - step) / 2 + d)`` small pixels to each side. If the picture is not enlarged first, the reach
        of a tail is larger than that.
        """
        if not self.enlarged:
            return self.chain.trace(Trace(height, width))
        step = Fraction(1, self.scale)
        large = Trace(height * self.scale, width * self.scale, reach=BICUBIC_REACH - 1 + (1 - step) / 2, step=step)
        return self.chain.trace(large)

    def latent(self) -> dict[str, Binarizer]:
        """Schemes of the latent filters that are binarized, by dotted name."""
        return dict(self.chain.latent())

    def count_parameters(self, params: Params) -> dict[str, int]:
        """Learned parameters by kind; a binary weight counts as one, as in the paper's tables.

        Returns
        -------
        counts : dict
            ``total``; ``binary``, the filters that schemes declare to be signs; ``float``, the rest. Running averages
            are measured, not learned, and are not counted.
        """
        sizes = {name: array.size for name, array in leaves(params) if ".running_" not in name}
        binary = sum(sizes[name] for name in self.latent())
        return {"total": sum(sizes.values()), "binary": binary, "float": sum(sizes.values()) - binary}


NETWORKS: dict[str, Callable[..., Network]] = {}


def network(build: Callable[..., Network]) -> Callable[..., Network]:
    """Register a function that builds a network, under its own name.

    Its first arguments are ``scale`` and ``binarizer``, a `Binarizer`; the others, with defaults, are its options. It
    refuses values that it cannot use with a `UsageError`.
    """
    NETWORKS[build.__name__] = build
    return build


def make_network(config: Mapping[str, Any]) -> Network:
    """Build the network that ``config["name"]`` names; the other entries are its arguments.

    Raises
    ------
    UsageError
        If a name, an argument or its value is unknown.
    """
    arguments = _of_today(config)
    name = arguments.pop("name", "bsrn")
    if not isinstance(name, str) or name not in NETWORKS:
        raise UsageError(f"there is no network {name!r}; choose among {', '.join(sorted(NETWORKS))}")
    scheme = make_binarizer(arguments.pop("binarizer", None) or {})
    signature = inspect.signature(NETWORKS[name])
    accepted = list(signature.parameters)
    unknown = [argument for argument in arguments if argument not in accepted]
    if unknown:
        raise UsageError(f"{name} has no argument {', '.join(unknown)}; it has {', '.join(accepted)}")
    if "scale" not in arguments:
        raise UsageError(f"{name} needs a scale: {', '.join(map(str, SCALES))}")
    one_of("scale", arguments["scale"], SCALES)
    whole = signature.bind(**arguments, binarizer=scheme)
    whole.apply_defaults()
    built = NETWORKS[name](**whole.arguments)
    return replace(built, config={"name": name, **whole.arguments, **built.config, "binarizer": describe(scheme)})


def arguments_of(name: Any, config: Mapping[str, Any]) -> Config:
    """The entries of a configuration that are arguments of its network; all of them for an unknown network."""
    if not isinstance(name, str) or name not in NETWORKS:
        return dict(config)
    accepted = inspect.signature(NETWORKS[name]).parameters
    return {argument: value for argument, value in config.items() if argument in accepted}


def _of_today(config: Mapping[str, Any]) -> Config:
    """Convert a configuration of an earlier version, in which the network had the padding of activations as an option.

    Newer schemes never had that option, and a network refuses it with them.
    """
    arguments = dict(config)
    scheme = arguments.get("binarizer") or {}
    scheme = {"name": scheme} if isinstance(scheme, str) else scheme
    if "padding" in arguments and isinstance(scheme, Mapping) and scheme.get("name", "bam") in ("bam", "float", "none"):
        one_of("padding", padding := arguments.pop("padding"), ("one", "zero"))
        arguments["binarizer"] = {**scheme, "padding": padding}
    return arguments


# --- what networks say of their options ---


def one_of(argument: str, value: Any, choices: tuple[Any, ...]) -> None:
    """Refuse a value that is not among the known ones."""
    if value not in choices or isinstance(value, bool | float):  # 2.0 is in (2, 3), too
        raise UsageError(f"{argument} cannot be {value!r}; choose among {', '.join(map(str, choices))}")


def positive_whole(**values: Any) -> None:
    """Refuse anything but a whole number above 0."""
    for argument, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError(f"{argument} must be a positive whole number, not {value!r}")


def yes_or_no(**values: Any) -> None:
    """Refuse anything but True or False."""
    for argument, value in values.items():
        if not isinstance(value, bool):
            raise UsageError(f"{argument} must be True or False, not {value!r}")


def positive(**values: Any) -> None:
    """Refuse anything but a finite number above 0."""
    for argument, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise UsageError(f"{argument} must be a number above 0, not {value!r}")
