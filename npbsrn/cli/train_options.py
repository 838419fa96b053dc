"""``npbsrn train --help-options``: what ``--set`` takes, from the tables of the run, the networks and the schemes."""

import argparse
import dataclasses
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from npbsrn.binarizers.base import SCHEMES
from npbsrn.cli.say import tell_lines
from npbsrn.networks.base import NETWORKS
from npbsrn.training.config import TrainConfig

WIDTH, INDENT = 100, 34


class ListOptions(argparse.Action):
    """Print all options and exit, as ``--help`` does."""

    def __init__(self, option_strings: list[str], dest: str, **kwargs: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, **kwargs)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Of argparse."""
        tell_lines("\n".join(lines()))
        parser.exit()


def lines() -> Iterator[str]:
    """All options with their defaults: those of the run, then of each network and of each scheme."""
    yield "Each is set by --set NAME=VALUE. Defaults are those of the preset default; null leaves it to the scheme."
    yield "\nThe run, whatever the network:"
    run = {field.name: _default(field) for field in dataclasses.fields(TrainConfig) if field.name != "network"}
    yield from _table(run, described(TrainConfig.__doc__))
    for name, build in sorted(NETWORKS.items()):
        yield f"\nThe network {name} (--network {name}):"
        parameters = inspect.signature(build).parameters.values()
        own = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
        yield from _table(own, described(build.__doc__))
    for name, scheme in sorted(SCHEMES.items()):
        own = {f"binarizer.{field.name}": _default(field) for field in dataclasses.fields(scheme)}
        yield f"\nThe binarizer {name} (--binarizer {name}){':' if own else ' has no options.'}"
        yield from _table(own, described(scheme.__doc__))


def _default(field: "dataclasses.Field[Any]") -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _table(options: dict[str, Any], words: dict[str, str]) -> Iterator[str]:
    for name, default in options.items():
        left = f"  {name}={_written(default)}"
        text = textwrap.wrap(words.get(name.removeprefix("binarizer."), ""), WIDTH - INDENT) or [""]
        first = f"{left:{INDENT}}" if len(left) < INDENT else f"{left}\n{'':{INDENT}}"
        yield (first + f"\n{'':{INDENT}}".join(text)).rstrip()


def _written(value: Any) -> str:
    """A value as ``--set`` takes it."""
    if isinstance(value, tuple):
        return ",".join(map(_written, value))
    return value if isinstance(value, str) else json.dumps(value)


def described(doc: str | None) -> dict[str, str]:
    """By parameter of a numpydoc docstring: its type or choices, and the first sentence about it."""
    found: dict[str, str] = {}
    section = re.search(r"Parameters\n-+\n(.*?)(?:\n\n|\Z)", inspect.cleandoc(doc or ""), re.DOTALL)
    for entry in re.split(r"\n(?=\S)", section[1]) if section else []:
        head, *text = entry.split("\n")
        names, _, kind = head.partition(" : ")
        # "eq. 9" goes on
        sentence = re.split(r"(?<!eq\.)(?<=\.)\s", " ".join(line.strip() for line in text))[0].rstrip(".")
        choices = kind.replace(", optional", "").strip("{}").replace('"', "") if kind.startswith("{") else ""
        for name in names.split(", "):
            found[name] = "; ".join(part for part in (sentence, choices) if part)
    return found
