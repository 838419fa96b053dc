"""What the pages lead to is there: files, headings, and the functions that stand beside equations."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.ipynb")])
LINK = re.compile(r"!?\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
CODE = re.compile(r"^```.*?^```$|(?<!`)``[^`\n].*?``(?!`)", re.MULTILINE | re.DOTALL)


def text_of(path: Path) -> str:
    """A page without its code."""
    text = path.read_text()
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return CODE.sub("", text)


def anchors_of(path: Path) -> set[str]:
    """As a forge and MyST make them of headings."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,4} (.*)$", text_of(path), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        found.add(re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-"))
    return found


def missing(path: Path) -> list[str]:
    """Links of a page that lead nowhere."""
    lost = []
    for _, target in LINK.findall(text_of(path)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        there = file.exists() and file.is_relative_to(ROOT)
        if not there or (anchor and file.suffix in (".md", ".ipynb") and anchor not in anchors_of(file)):
            lost.append(target)
    return lost


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links(path):
    assert missing(path) == []


def test_what_is_missing_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.docs.test_links.ROOT", tmp_path)
    other, page = tmp_path / "other.md", tmp_path / "page.md"
    other.write_text("# A heading: `code`, and [a link](page.md)\n\n```\n# none\n```\n")
    page.write_text(
        "[a](other.md) [b](other.md#a-heading-code-and-a-link) [c](https://example.org) [`d`](lost.py)\n"
        "[e](other.md#none) ![f](lost.png) [g](#here)\n# Here\n[h](#here)\n\n```\n[i](lost.md)\n```\n"
    )
    assert missing(page) == ["lost.py", "other.md#none", "lost.png"]


@pytest.fixture
def sources(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs/extensions"))
    import sources

    return sources


def test_functions_beside_equations(sources):
    links = [link for path in (ROOT / "docs").rglob("*.md") for link in sources.LINK.findall(text_of(path))]
    lost = [name for quoted, name, path in links if quoted and "/" not in name and not sources.target_of(name, path)]
    assert len(links) > 50
    assert lost == []
    assert sources.target_of("Bam.filters", "npbsrn/binarizers/bam") == "npbsrn.binarizers.bam.Bam.filters"
    assert sources.target_of("Bam.filter", "npbsrn/binarizers/bam") is None
