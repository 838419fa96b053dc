"""``npbsrn info``."""

import argparse
import contextlib
import json
from importlib.resources import as_file
from pathlib import Path
from typing import Any

from npbsrn.cli.options import add_scale
from npbsrn.cli.say import tell
from npbsrn.errors import UsageError
from npbsrn.models import check_scale, is_packed, load
from npbsrn.networks.base import NETWORKS, Network, make_network
from npbsrn.shipped import named, packed_weights
from npbsrn.storage.params import Params


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which network."""
    add_scale(parser)
    names = f"a model's name; {', '.join(sorted(NETWORKS))}; or a file"
    parser.add_argument("positional", nargs="?", metavar="MODEL", help=names)
    parser.add_argument("-m", "--model", help="the same, as of other commands")


def run(arguments: argparse.Namespace) -> None:
    """``npbsrn info``."""
    if arguments.positional and arguments.model:
        raise UsageError(f"two models are named, {arguments.positional} and {arguments.model}; name one")
    network, params, card = _of_info(arguments.positional or arguments.model, arguments.scale)
    counts = network.count_parameters(params)
    scale = network.scale
    trace = network.trace(720 // scale, 1280 // scale)
    tell(f"network     {json.dumps(network.config)}")
    tell(f"parameters  {counts['total'] / 1e3:.1f} K ({counts['binary'] / 1e3:.1f} K of 1 bit)")
    tell(f"MACs        {trace.macs / 1e9:.1f} G for {trace.width}x{trace.height} pixels out")
    for key, value in card.items():
        if key != "config":
            tell(f"{key:11} {json.dumps(value) if isinstance(value, dict) else value}")


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
