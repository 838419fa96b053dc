"""The configuration of a training run; presets; learning-rate schedules."""

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from npbsrn.binarizers import OLD_NAMES
from npbsrn.errors import UsageError
from npbsrn.networks.base import NETWORKS, arguments_of, make_network

SCHEDULES = ("cosine", "step", "multistep")


@dataclass(frozen=True)
class TrainConfig:
    """Everything that determines a run's result, apart from the pictures.

    Parameters
    ----------
    network : dict
        See `npbsrn.networks.base.make_network`.
    steps : int
        Length of the run.
    batch, patch : int
        Patches per step; their side in LR pixels.
    late_patch : int
        Side of the patches in the last part of the run; 0 for the same throughout.
    late_from : float
        Where that part begins, as a fraction of the steps.
    keep : float
        Share of the places in the pictures that patches are drawn from: those where bicubic enlargement errs most.
    flat_patches : int
        Patches of a batch that are one flat colour each, instead of a piece of a picture.
    degrade : bool
        Whether LR patches are blurred, noisy and compressed, three quarters of them, for networks that enlarge
        photographs as they are found; see `npbsrn.training.degrade.degrade`.
    rate : float
        The highest learning rate.
    binary_rate : float
        Factor on the rate of the latent filters of binary convolutions; everything else keeps `rate`.
    schedule : {"cosine", "step", "multistep"}
        Decay towards zero at the last step; halving every `halve_every` steps; or `gamma` times the rate from each
        of the `milestones` on.
    halve_every : int
        Steps from one halving to the next, of the schedule "step".
    milestones : tuple of float
        Growing fractions of the run, between 0 and 1, so that they hold for a run of any length.
    gamma : float
        Factor on the rate at each of the `milestones`, at most 1.
    warmup : int
        Steps in which the rate grows linearly.
    beta1, beta2 : float
        Adam's decay rates.
    weight_decay : float
        L2 penalty, added to the gradient.
    clip : float
        Largest norm of the whole gradient; a larger one is scaled down to it. 0 for none.
    distill : float
        Weight of the teacher in the loss, at most 1: ``(1 - distill) * L1(out, y) + distill * L1(out, teacher(x))``.
    ema : float
        Decay of the moving average of the weights, which is validated and saved; 0 for none.
    seed : int
        Of the first weights and of the patches.
    validate_every, checkpoint_every : int
        Steps between validations and checkpoints; the last step always has both.
    holdout : int
        How many pictures of the folder are kept for validation where no validation folder is given; at most a tenth.
    shards : int
        Equal parts of a batch that pass through the network apart, in threads or by several processes; see
        `npbsrn.runtime.shards`. Their number decides the order of sums, and with it their rounding.
    synchronize : bool
        Whether batch normalisation takes the statistics of the whole batch, or of each shard.
    """

    network: dict[str, Any] = field(default_factory=lambda: {"name": "bsrn", "scale": 4})
    steps: int = 3500
    batch: int = 8
    patch: int = 16
    late_patch: int = 0
    late_from: float = 0.5
    keep: float = 1.0
    flat_patches: int = 0
    degrade: bool = False
    rate: float = 3e-3
    binary_rate: float = 1.0
    schedule: str = "cosine"
    halve_every: int = 200_000
    milestones: tuple[float, ...] = (0.5, 0.8, 0.9, 0.95)
    gamma: float = 0.5
    warmup: int = 100
    beta1: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 0.0
    clip: float = 0.0
    distill: float = 0.0
    ema: float = 0.999
    seed: int = 0
    validate_every: int = 500
    checkpoint_every: int = 250
    holdout: int = 10
    shards: int = 1
    synchronize: bool = True

    def __post_init__(self) -> None:
        positive: Callable[[Any], bool] = lambda v: v > 0  # noqa: E731
        fraction: Callable[[Any], bool] = lambda v: 0 <= v < 1  # noqa: E731
        for names, allowed, words in (
            ("steps batch patch shards halve_every validate_every checkpoint_every", positive, "above 0"),
            ("rate binary_rate", positive, "above 0"),
            ("beta1 beta2 ema late_from", fraction, "at least 0 and below 1"),
            ("warmup weight_decay clip seed holdout late_patch flat_patches", lambda v: v >= 0, "at least 0"),
            ("distill", lambda v: 0 <= v <= 1, "at least 0 and at most 1"),
            ("gamma keep", lambda v: 0 < v <= 1, "above 0 and at most 1"),
        ):
            for name in names.split():
                value = getattr(self, name)
                if not (_is_number(value) and allowed(value)):
                    raise UsageError(f"{name} must be a number {words}, not {value!r}")
        for name in ("degrade", "synchronize"):
            if not isinstance(getattr(self, name), bool):
                raise UsageError(f"{name} must be True or False, not {getattr(self, name)!r}")
        if self.batch % self.shards:
            raise UsageError(f"a batch of {self.batch} cannot be divided into {self.shards} shards; give another batch")
        if self.flat_patches > self.batch:
            raise UsageError(f"flat_patches must be at most the batch of {self.batch}, not {self.flat_patches}")
        if self.schedule not in SCHEDULES:
            raise UsageError(f"schedule cannot be {self.schedule!r}; choose among {', '.join(SCHEDULES)}")
        object.__setattr__(self, "milestones", _milestones(self.milestones))

    @property
    def scale(self) -> int:
        """Factor of enlargement."""
        return int(self.network["scale"])

    def patch_at(self, step: int) -> int:
        """Side of the patches of a step, counted from 0."""
        return self.late_patch if self.late_patch and step >= self.late_from * self.steps else self.patch

    def rate_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        rate = self.rate * min(1.0, (step + 1) / (self.warmup + 1))
        if self.schedule == "cosine":
            return rate * 0.5 * (1 + math.cos(math.pi * step / self.steps))
        if self.schedule == "multistep":
            return rate * self.gamma ** sum(step >= milestone * self.steps for milestone in self.milestones)
        return rate * 0.5 ** (step // self.halve_every)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _milestones(value: Any) -> tuple[float, ...]:
    """A tuple of `value`: one number, or the list that JSON makes of a tuple."""
    given = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not all(_is_number(m) and low < m < 1 for low, m in zip((0, *given), given, strict=False)):
        raise UsageError(
            f"milestones must be growing fractions of the run between 0 and 1, as in 0.5,0.75, not {value!r}"
        )
    return given


# `best` made the weights of `clean` (docs/log/networks.md), `best-bsrn` those of `bsrn` (docs/log/recipes.md); the
# schemes' options that `best` switches off are those of blocks of several convolutions.
# `paper` is section 4.1 of Xin et al.; an epoch, which they do not define, is taken as 1000 steps.
PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "quick": {"steps": 300, "network": {"blocks": 3}, "validate_every": 100, "warmup": 50, "ema": 0.98},
    "best": {
        "network": {
            "name": "bbcu", "activation": "rprelu", "residual": 0.03, "input_gain": 1.0, "flat": True,
            "binarizer": {
                "name": "bam", "statistic": "none", "activation_ste": "bireal", "alpha": "one", "beta": "one",
                "accumulate_filters": False, "accumulate_activations": False,
            },
        },
        "steps": 100_000, "batch": 16, "patch": 32, "keep": 0.8, "flat_patches": 1, "rate": 1.2e-3, "binary_rate": 12.0,
        "clip": 0.05, "warmup": 500, "validate_every": 2500, "checkpoint_every": 500,
    },
    "best-bsrn": {
        "network": {"activation": "none", "binarizer": {"statistic": "none", "activation_ste": "bireal"}},
        "steps": 150_000, "rate": 1e-3, "binary_rate": 3.0, "clip": 0.05, "warmup": 200, "late_patch": 32,
        "late_from": 0.8, "validate_every": 2500, "checkpoint_every": 500,
    },
    "paper": {
        "network": {"base": "none", "residual": 1.0}, "steps": 600_000, "batch": 16, "patch": 48, "rate": 1e-4,
        "schedule": "step", "halve_every": 200_000, "warmup": 0, "beta1": 0.5, "weight_decay": 2e-4, "ema": 0.0,
        "validate_every": 5000, "checkpoint_every": 1000,
    },
}  # fmt: skip
OTHERWISE = {"best": "best-bsrn"}  # what holds where another network is named than the preset's own


def choose_network(preset: str, name: Any = None) -> tuple[str, Any]:
    """The preset that holds for a network, and the network's name: without one, the preset's own.

    Raises
    ------
    UsageError
        If the preset is unknown.
    """
    if preset not in PRESETS:
        raise UsageError(f"there is no preset {preset!r}; choose among {', '.join(PRESETS)}")
    own = PRESETS[preset].get("network", {}).get("name", "bsrn")
    if name not in (None, own):
        return OTHERWISE.get(preset, preset), name
    return preset, own


def with_option(network: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    """A network's configuration with one option changed; a binarizer's options are merged unless its name changes."""
    if name == "network":  # whose name it is
        return {**network, "name": value}
    own = network.get(name)
    if name == "binarizer" and isinstance(value, str):
        value = {"name": value}
    if isinstance(own, Mapping) and isinstance(value, Mapping):
        first = own.get("name", "bam")
        named = value.get("name", first)
        value = {**own, **value, "name": first} if OLD_NAMES.get(named, named) == first else value
    return {**network, name: value}


def _refuse_unknown(options: Mapping[str, Any], fields: Mapping[str, Any], kind: Any) -> None:
    """Refuse an option that neither a run nor its network has."""
    if not isinstance(kind, str) or kind not in NETWORKS:
        return  # of which `make_network` says that there is none
    of_run = [name for name in fields if name != "network"]
    of_network = [name for name in inspect.signature(NETWORKS[kind]).parameters if name != "scale"]
    for name in options:
        if name not in {*of_run, *of_network, "network", "name", "scale", "padding"}:  # padding: of an earlier version
            raise UsageError(
                f"there is no option {name}; a run has {', '.join(of_run)}, and {kind} has {', '.join(of_network)}"
            )


def make_config(scale: int, preset: str = "default", options: Mapping[str, Any] | None = None) -> TrainConfig:
    """Build a configuration from a preset and the options that differ from it.

    Parameters
    ----------
    scale : int
    preset : str
        A key of `PRESETS`. With "best", where another network is named than its own, "best-bsrn" holds instead.
    options : dict
        Fields of `TrainConfig`, the name of the ``network``, its ``binarizer`` (a name, or a dict with options), and
        its arguments (``blocks``, ``width``, ``base``, ...). Arguments in a preset that this network does not have are
        ignored.

    Raises
    ------
    UsageError
        If the preset, an option or a value is unknown.
    """
    preset, kind = choose_network(preset, (options or {}).get("network"))
    fields = {f.name: type(f.default) for f in dataclasses.fields(TrainConfig)}
    _refuse_unknown(options or {}, fields, kind)
    values: dict[str, Any] = dict(PRESETS[preset])
    network = {**arguments_of(kind, values.pop("network", {})), "name": kind, "scale": scale}
    for name, value in (options or {}).items():
        if name in fields and name != "network":
            whole = fields[name] is int
            if fields[name] is not bool and (isinstance(value, bool) or (whole and not isinstance(value, int))):
                raise UsageError(f"{name} must be a {'whole ' if whole else ''}number, not {value!r}")
            values[name] = value
        else:
            network = with_option(network, name, value)
    return TrainConfig(network=make_network(network).config, **values)
