"""The commands: each takes the parsed arguments and prints its results."""

import argparse
import contextlib
import json
import os
from importlib.resources import as_file
from pathlib import Path
from typing import Any

from npbsrn.errors import ExistsError, UsageError
from npbsrn.images.formats import FORMATS
from npbsrn.models import check_scale, is_packed, load
from npbsrn.networks.base import NETWORKS, Network, make_network
from npbsrn.shipped import MODELS, named, packed_weights
from npbsrn.storage.files import atomic_write, check_folder_of
from npbsrn.storage.params import Params, peek_card

TRAIN_OPTIONS = ("network", "binarizer", "steps", "batch", "patch", "rate", "seed")
OWN_OPTIONS = {
    "folder",
    "scale",
    "output",
    "preset",
    "resume",
    "validation",
    "init",
    "teacher",
    "minutes",
    "cache",
    "progress",
}  # of `train`


def run_train(arguments: argparse.Namespace) -> None:
    """``npbsrn train``."""
    from npbsrn.training.train import train

    options = {name: getattr(arguments, name) for name in TRAIN_OPTIONS}
    options = {name: value for name, value in options.items() if value is not None}
    if arguments.binarizer is not None:
        options["binarizer"] = {"name": arguments.binarizer}  # to which --set binarizer.OPTION=VALUE may add
    for setting in arguments.settings:
        _set(options, setting)
    model = train(
        arguments.folder, arguments.scale, arguments.output, preset=arguments.preset, resume=arguments.resume,
        validation=arguments.validation, init=arguments.init, teacher=arguments.teacher, minutes=arguments.minutes,
        progress=not arguments.quiet,
        **options,
    )  # fmt: skip
    psnr = model.card["validation_psnr"]
    judged = "" if psnr is None else f", validation PSNR {psnr} dB"
    print(f"{model.card['steps']} steps in {model.card['minutes']} minutes{judged}")


def _set(options: dict[str, Any], setting: str) -> None:
    """Put ``a.b=value`` into nested options; the value is JSON where it can be, else a word."""
    name, equals, text = setting.partition("=")
    if not equals or not name:
        raise UsageError(f"--set takes NAME=VALUE, not {setting!r}")
    value: Any = text
    for form in [f"[{text}]", text] if "," in text else [text]:  # a list needs no brackets
        with contextlib.suppress(json.JSONDecodeError):
            value = json.loads(form)
    *path, last = name.split(".")
    if name.split(".")[0] in OWN_OPTIONS:
        raise UsageError(f"--set {setting}: {name} is no option of the run or the network; see npbsrn train --help")
    for key in path:
        options = options.setdefault(key, {})
        if not isinstance(options, dict):
            raise UsageError(f"--set {setting}: {key} has no parts")
    options[last] = value


def run_compact(arguments: argparse.Namespace) -> None:
    """``npbsrn compact``."""
    from npbsrn.training.compact import compact_run

    path, state = compact_run(arguments.run, arguments.output)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, step {state.step}")
    print(f"npbsrn train DIR -o {arguments.output} --resume goes on with it")


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Refuse a file that exists and is not to be replaced."""
    if os.path.lexists(path) and not overwrite:
        raise ExistsError(path)


def refuse_name(path: Path) -> None:
    """Refuse the name of a model where a file is asked for, and say where the file is."""
    name = str(path)
    if name in MODELS and not path.exists():
        raise UsageError(
            f"the package holds {name} packed already (-m {name}); its latent weights are training/{name}-xSCALE/"
            "weights.npz in npbsrn's repository, so name that file's path"
        )


def run_eval(arguments: argparse.Namespace) -> None:
    """``npbsrn eval``."""
    from tqdm import tqdm

    from npbsrn.inference.evaluation import evaluate

    if arguments.json and str(arguments.json) != "-":
        if arguments.json.suffix.lower() in FORMATS:
            raise UsageError(f"--json {arguments.json} is the name of a picture; name a .json file")
        check_folder_of(arguments.json, UsageError)
        refuse_existing(arguments.json, arguments.overwrite)
    with tqdm(unit="picture", leave=False, disable=None) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update()

        report = evaluate(
            arguments.model, arguments.folder, arguments.scale, progress,
            engine=arguments.engine, ensemble=arguments.ensemble,
        )  # fmt: skip
    if str(arguments.json) == "-":
        print(report.to_json())
        return
    print(report)
    if arguments.json:
        try:
            with atomic_write(arguments.json) as file:
                file.write(report.to_json().encode() + b"\n")
        except OSError as error:
            raise UsageError(f"cannot write {arguments.json}: {error.strerror}; choose another place") from None


def run_pack(arguments: argparse.Namespace) -> None:
    """``npbsrn pack``."""
    from npbsrn.packed.format import save_packed
    from npbsrn.packed.lower import lower

    if arguments.output.suffix != ".npz":
        raise UsageError(f"a packed weight file ends in .npz, not {arguments.output.suffix!r}")
    refuse_name(arguments.model)
    read = [arguments.model, *(arguments.model / name for name in ("weights.npz", "best.npz"))]
    if arguments.output.exists() and any(path.exists() and arguments.output.samefile(path) for path in read):
        raise UsageError(f"{arguments.output} is what is to be packed; write to another file, so that it stays")
    refuse_existing(arguments.output, arguments.overwrite)
    save_packed(arguments.output, lower(load(arguments.model)))
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.2f} MB")


def run_warmup(arguments: argparse.Namespace) -> None:
    """``npbsrn warmup``."""
    from npbsrn.cli.warmup import warmup

    for words in warmup():
        print(words, flush=True)


def run_bench(arguments: argparse.Namespace) -> None:
    """``npbsrn bench``."""
    from npbsrn.cli.bench import bench

    for words in bench(arguments.model, arguments.scale):
        print(words, flush=True)


def run_models(arguments: argparse.Namespace) -> None:
    """``npbsrn models``."""
    print("name   scale       MB   PSNR   for")
    for name, model in MODELS.items():
        for scale in model.scales:
            with as_file(packed_weights(name, scale)) as path:
                size, card = path.stat().st_size, peek_card(path)
            print(f"{name:6} x{scale}      {size / 1e6:5.2f}  {card['validation_psnr']:5.2f}   {model.words}")
    print("PSNR is on the pictures that each model's training held out: bsrn's are others.")


def run_info(arguments: argparse.Namespace) -> None:
    """``npbsrn info``."""
    network, params, card = _of_info(arguments.model, arguments.scale)
    counts = network.count_parameters(params)
    scale = network.scale
    trace = network.trace(720 // scale, 1280 // scale)
    print(f"network     {json.dumps(network.config)}")
    print(f"parameters  {counts['total'] / 1e3:.1f} K ({counts['binary'] / 1e3:.1f} K of 1 bit)")
    print(f"MACs        {trace.macs / 1e9:.1f} G for {trace.width}x{trace.height} pixels out")
    for key, value in card.items():
        if key != "config":
            print(f"{key:11} {json.dumps(value) if isinstance(value, dict) else value}")


def _of_info(model: str | None, scale: int) -> tuple[Network, Params, dict[str, Any]]:
    """A network, parameters to count, and the card: of a shipped model, of a network's name, or of a file."""
    check_scale(scale)
    name = named(model, scale)
    if name is None and model in NETWORKS:
        network = make_network({"name": model, "scale": scale})
        return network, network.init(0), {}
    if name is None and not is_packed(str(model)):
        loaded = load(model, scale)
        return loaded.network, loaded.params, loaded.card
    from npbsrn.packed.format import load_packed

    with as_file(packed_weights(name, scale)) if name else contextlib.nullcontext(Path(str(model))) as path:
        plan = load_packed(path)
    network = make_network(plan.config)
    return network, network.init(0), plan.card  # with as many numbers as the network had before it was packed
