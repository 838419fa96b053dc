"""Equations as MathML, made while the site is built: browsers draw it, without a script.

A font comes along, STIX Two Math (SIL Open Font License), since not every computer has one with mathematical tables. It
is that of the package ziamath, less the characters that no equation needs.
"""

import re
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from docutils import nodes
from fontTools import subset
from latex2mathml.converter import convert
from sphinx.application import Sphinx

FONT = "STIXTwoMath-Regular.ttf"
NAME = re.compile(r"<mo>([A-Za-z]+)</mo>")
CHARACTERS = "U+20-17F,U+2C0-3FF,U+2000-2BFF,U+1D400-1D7FF"


def mathml(equation: str, display: str) -> str:
    """Of an equation in LaTeX: names of functions close to what follows them, bars close to what they enclose."""
    text = NAME.sub(r'<mo lspace="0.17em" rspace="0">\1</mo>', convert(equation, display=display))
    for bar in ("&#x0007C;", "&#x02016;"):
        left, *others = text.split(f"<mo>{bar}</mo>")
        text = left
        for n, part in enumerate(others):
            text += f'<mo form="{("prefix", "postfix")[n % 2]}" stretchy="false">{bar}</mo>{part}'
    return text


def visit_inline(self: Any, node: Any) -> None:
    """An equation within a line."""
    self.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def visit_block(self: Any, node: Any) -> None:
    """An equation on a line of its own."""
    self.body.append(f'<div class="equation">{mathml(node.astext(), "block")}</div>')
    raise nodes.SkipNode


def write_font(app: Sphinx, error: Exception | None) -> None:
    """Put the font beside the style sheet."""
    target = Path(app.outdir, "_static/math.woff")
    if error is None and app.builder.format == "html" and not target.exists():
        with as_file(files("ziamath") / "fonts" / FONT) as source:
            subset.main([str(source), f"--unicodes={CHARACTERS}", "--flavor=woff", f"--output-file={target}"])


def setup(app: Sphinx) -> dict[str, Any]:
    """Make it a renderer of equations, and choose it."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    app.config.html_math_renderer = "mathml"
    app.connect("build-finished", write_font)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
