"""Docstrings as they are written here: a bar, as in |A|, is a magnitude, and no name to be replaced."""

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

LITERAL = re.compile(r"(``.*?``)")


def keep_bars(app: "Sphinx", what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Escape the bars that stand outside of literals."""
    for n, line in enumerate(lines):
        parts = LITERAL.split(line)
        lines[n] = "".join(part if part.startswith("``") else part.replace("|", r"\|") for part in parts)


def setup(app: "Sphinx") -> dict[str, Any]:
    """Connect it."""
    app.connect("autodoc-process-docstring", keep_bars)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
