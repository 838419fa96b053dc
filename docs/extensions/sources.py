"""Links between equations and functions, both ways.

On a forge, ``[`Bam.filters`](../npbsrn/binarizers/bam.py)`` is a link to the file. On the site it is one to the
documentation of `npbsrn.binarizers.bam.Bam.filters`, beside which its source stands. If the text is no name of the
module, the link leads to that of the module. In turn, the documentation of a function that the algebra names leads to
the section that has its equation.
"""

import posixpath
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

LINK = re.compile(r"\[(`?)([^\[\]`]+)\1\]\((?:\.\./)+(npbsrn/[\w/]+)\.py\)")
ALGEBRA = "algebra"  # the folder whose sections functions lead back to
Sections = dict[str, list[tuple[str, str]]]  # (page and anchor, title) by the full name of a function


def target_of(name: str, path: str) -> str | None:
    """Full name of what a link means, or None where the module has no such thing.

    Parameters
    ----------
    name : str
        Text of the link.
    path : str
        Of the module, without its suffix.
    """
    module = path.replace("/", ".").removesuffix(".__init__")
    found: Any = import_module(module)
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            return None
    return f"{module}.{name}"


def _rewritten(match: re.Match[str]) -> str:
    quote, name, path = match.groups()
    target = target_of(name, path) if quote else None
    role, target = ("py:obj", target) if target else ("py:mod", path.replace("/", ".").removesuffix(".__init__"))
    return f"{{{role}}}`{name} <{target}>`"


def rewrite(app: "Sphinx", docname: str, source: list[str]) -> None:
    """Replace the links of a page."""
    if posixpath.splitext(app.env.doc2path(docname))[1] != ".rst":
        source[0] = LINK.sub(_rewritten, source[0])


def anchor_of(heading: str) -> str:
    """As a forge and MyST make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def sections(folder: Path) -> Sections:
    """The sections of a folder's pages that name a function."""
    found: Sections = {}
    for page in sorted(folder.glob("*.md")):
        for name, heading in _named(page.read_text()):
            place = f"{folder.name}/{page.stem}.html#{anchor_of(heading)}", heading
            if place not in found.setdefault(name, []):
                found[name].append(place)
    return found


def _named(text: str) -> Iterator[tuple[str, str]]:
    heading = ""
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        for _, name, path in LINK.findall(line):
            target = target_of(name, path)
            if target:
                yield target, heading


def lead_back(app: "Sphinx", what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Add to a docstring where its equation is."""
    module, own = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    places = app.sections.get(name) or app.sections.get(f"{module}.{own}")  # type: ignore[attr-defined]
    if places:
        start = posixpath.dirname(app.env.docname)
        links = [f"`{title} <{posixpath.relpath(place, start)}>`__" for place, title in places]
        lines += ["", f".. seealso:: The algebra: {', '.join(links)}", ""]


def collect(app: "Sphinx") -> None:
    """Find the sections before anything is read."""
    app.sections = sections(Path(app.srcdir, ALGEBRA))  # type: ignore[attr-defined]


def setup(app: "Sphinx") -> dict[str, Any]:
    """Connect it; what is added to docstrings comes last."""
    app.connect("builder-inited", collect)
    app.connect("source-read", rewrite)
    app.connect("autodoc-process-docstring", lead_back, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
