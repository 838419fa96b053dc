import dataclasses
import inspect

import pytest

from npbsrn.binarizers.base import SCHEMES
from npbsrn.cli.parser import main
from npbsrn.cli.train_options import described, lines
from npbsrn.networks.base import NETWORKS
from npbsrn.training.config import TrainConfig


def entries():
    """By heading: names with their defaults, and all words below each."""
    tables, heading = {}, None
    for line in "\n".join(lines()).splitlines():
        if line and not line.startswith(" "):
            heading = tables.setdefault(line, {})
        elif line.startswith("  ") and line[2] != " ":
            name, _, rest = line[2:].partition("=")
            heading[name] = [*rest.split(None, 1), ""]
        elif line:
            heading[name][1] += line
    return tables


def test_every_option_is_there_with_a_default_and_words():
    tables = entries()
    wanted = {field.name for field in dataclasses.fields(TrainConfig)} - {"network"}
    assert set(tables["The run, whatever the network:"]) == wanted
    for name, build in NETWORKS.items():
        own = tables[f"The network {name} (--network {name}):"]
        assert set(own) == set(inspect.signature(build).parameters) - {"scale", "binarizer"}
    for name, scheme in SCHEMES.items():
        (own,) = (table for heading, table in tables.items() if heading.startswith(f"The binarizer {name} ("))
        assert set(own) == {f"binarizer.{field.name}" for field in dataclasses.fields(scheme)}
    for table in tables.values():
        for name, (default, words, *_) in table.items():
            assert default, name
            assert words, name


def test_defaults_are_those_that_hold():
    run = entries()["The run, whatever the network:"]
    assert run["steps"][0] == str(TrainConfig().steps)
    assert run["milestones"][0] == ",".join(map(str, TrainConfig().milestones))


def test_it_needs_no_folder(capsys):
    with pytest.raises(SystemExit) as end:
        main(["train", "--help-options"])
    assert end.value.code == 0
    assert capsys.readouterr().out.splitlines() == "\n".join(lines()).splitlines()


def test_sentences_of_a_docstring():
    doc = """What it is.

    Parameters
    ----------
    a, b : int
        Two of
        eq. 9. More of them.
    c : {"x", "y"}, optional

    Returns
    -------
    d : int
    """
    assert described(doc) == {"a": "Two of eq. 9", "b": "Two of eq. 9", "c": "x, y"}
