"""The tables of the pages are those that docs/make_performance.py makes of docs/figures and of the models' cards."""

import json
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def command(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    import make_performance

    return make_performance


def test_pages_are_current(command):
    for name in command.PAGES:
        page = (DOCS / name).read_text()
        assert len(command.TABLE.findall(page)) >= 2
        assert command.filled(page) == page


def test_every_table_is_on_a_page(command):
    shown = [found[1] for name in command.PAGES for found in command.TABLE.findall((DOCS / name).read_text())]
    assert sorted(shown) == sorted(command.TABLES)


def test_a_table_names_its_command_and_cpu(command, monkeypatch, tmp_path):
    monkeypatch.setattr(command, "FIGURES", tmp_path)
    run = {"command": "python -m benchmarks.upscale_memory", "cpu": "a CPU", "kernel": "avx2", "figures": {"1 MP": 7}}
    (tmp_path / "memory.json").write_text(json.dumps(run))
    page = command.filled("before\n<!-- table: memory -->\nold\n<!-- end -->\nbehind")
    assert "| 1 MP | 7 |" in page
    assert "a CPU, kernel `avx2`; `python -m benchmarks.upscale_memory`" in page
    assert "old" not in page
    assert page.startswith("before\n")
    assert page.endswith("\nbehind")
    assert command.filled(page) == page
