"""Links from pages to source files lead to the API reference.

On a forge, ``[`Bam.filters`](../npbsrn/binarizers/bam.py)`` is a link to the file. On the site it is one to the
documentation of `npbsrn.binarizers.bam.Bam.filters`, beside which its source stands. If the text is no name of the
module, the link leads to that of the module.
"""

import posixpath
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

LINK = re.compile(r"\[(`?)([^\[\]`]+)\1\]\((?:\.\./)+(npbsrn/[\w/]+)\.py\)")


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


def setup(app: "Sphinx") -> dict[str, Any]:
    """Connect it."""
    app.connect("source-read", rewrite)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
