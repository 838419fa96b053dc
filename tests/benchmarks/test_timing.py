"""What benchmarks write of their figures, and how a preset's hours come about."""

import argparse
import json
import sys

import pytest

from benchmarks.bench_presets import parts_of
from benchmarks.timing import add_json, record
from npbsrn.training.config import PRESETS, make_config


def test_record(monkeypatch, tmp_path):
    target = tmp_path / "new/figures.json"
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    add_json(parser)
    monkeypatch.setattr(sys, "argv", ["/somewhere/bench_x.py", "--quick", "--json", str(target)])
    record({"s": 1.5}, parser.parse_args().json)
    run = json.loads(target.read_text())
    assert run["figures"] == {"s": 1.5}
    assert run["command"].endswith(" --quick")
    assert "somewhere" not in target.read_text()
    assert str(tmp_path) not in target.read_text()
    assert run["cpu"]
    assert run["kernel"]


def test_nothing_is_written_unasked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record({"s": 1.5}, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("preset", PRESETS)
def test_parts_of_a_run(preset):
    config = make_config(4, preset)
    parts = parts_of(config)
    assert sum(parts.values()) == config.steps
    assert all(config.patch_at(step) in parts for step in (0, config.steps - 1))
    assert len(parts) == 1 + bool(config.late_patch)
