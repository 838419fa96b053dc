"""What the site's own extensions make of notebooks, docstrings, modules and the algebra's links."""

import importlib
import json
from pathlib import Path

import pytest

from tests.docs.test_links import anchors_of

ROOT = Path(__file__).parents[2]


@pytest.fixture
def extension(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs/extensions"))
    return importlib.import_module


def test_notebook(extension):
    markdown_of = extension("notebooks").markdown_of
    cells = [
        {"cell_type": "markdown", "source": ["# A title\n", "words"]},
        {
            "cell_type": "code",
            "source": ["print(1)\n", "draw()"],
            "outputs": [
                {"output_type": "stream", "text": ["1\n"]},
                {"data": {"image/png": "QUJD\n", "text/plain": ["<Figure>"]}},
                {"data": {"text/plain": ["'a result'"]}},
            ],
        },
    ]
    assert markdown_of({"cells": cells}) == (
        "# A title\nwords\n\n```python\nprint(1)\ndraw()\n```\n\n```text\n1\n```\n\n"
        "![<Figure>](data:image/png;base64,QUJD)\n\n```text\n'a result'\n```"
    )


def test_the_notebook_was_executed_in_order(extension):
    for path in (ROOT / "docs/notebooks").glob("*.ipynb"):
        code = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
        assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
        assert all(output["output_type"] != "error" for cell in code for output in cell["outputs"])
        assert path.stat().st_size < 400_000
        assert "data:image/png" in extension("notebooks").markdown_of(json.loads(path.read_text()))


def test_every_module_has_a_page(extension):
    pages = extension("modules").pages(ROOT / "npbsrn", "npbsrn")
    files = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "npbsrn").rglob("*.py")]
    names = {".".join(path.parts).removesuffix(".__init__") for path in files}
    assert pages.keys() == names - {"npbsrn.__main__"}
    assert ":py:mod:`bam <npbsrn.binarizers.bam>`" in pages["npbsrn.binarizers"]
    assert "BAM, the bit accumulation mechanism" in pages["npbsrn.binarizers"]


def test_bars_are_no_substitutions(extension):
    lines = ["E(|W|) of ``|a| b`` and |c|"]
    extension("docstrings").keep_bars(None, "", "", None, None, lines)
    assert lines == [r"E(\|W\|) of ``|a| b`` and \|c\|"]


def test_functions_lead_back_to_sections_that_exist(extension):
    found = extension("sources").sections(ROOT / "docs/algebra")
    assert ("algebra/engine.html#the-tail-as-one-convolution", "The tail as one convolution") in found[
        "npbsrn.ops.compose.compose"
    ]
    for places in found.values():
        for place, _ in places:
            page, _, anchor = place.partition(".html#")
            assert anchor in anchors_of(ROOT / f"docs/{page}.md")
