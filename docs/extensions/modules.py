"""A page for each module of the package, from its docstrings, and one for each package, with a table of its modules.

They are written to ``docs/api/modules`` before the site is built, and are no part of the repository. Packages are in
the site's navigation, modules are not: a tree of some two hundred on each page would help nobody.
"""

import ast
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

MODULE = """:orphan:

{title}

.. automodule:: {name}
   :members:
"""
PACKAGE = """:orphan:

{title}

.. automodule:: {name}

.. list-table::
   :widths: auto

{rows}
"""
ROW = """   * - :py:mod:`{short} <{name}>`
     - {words}"""


def pages(folder: Path, name: str) -> dict[str, str]:
    """reST by module, of a package and all that it holds.

    Parameters
    ----------
    folder : Path
        Of the package.
    name : str
        Its full name.
    """
    found, rows = {}, []
    for module in sorted(iter_modules([str(folder)]), key=lambda module: module.name):
        own = f"{name}.{module.name}"
        if module.name == "__main__":
            continue
        path = folder / module.name
        source = path / "__init__.py" if module.ispkg else path.with_suffix(".py")
        rows.append(ROW.format(short=module.name, name=own, words=_first_line(source)))
        found |= pages(path, own) if module.ispkg else {own: _page(MODULE, own)}
    return {name: _page(PACKAGE, name, rows="\n".join(rows))} | found


def _first_line(source: Path) -> str:
    """Of a module's docstring."""
    return (ast.get_docstring(ast.parse(source.read_text())) or "").partition("\n")[0].replace("|", "\\|")


def _page(template: str, name: str, **rest: str) -> str:
    return template.format(name=name, title=f"{name}\n{'=' * len(name)}", **rest)


def write(app: "Sphinx") -> None:
    """Write the pages that have changed, and remove those of modules that are gone."""
    target = Path(app.srcdir, "api/modules")
    target.mkdir(parents=True, exist_ok=True)
    whole = pages(Path(app.srcdir).parent / "npbsrn", "npbsrn")
    for name, text in whole.items():
        path = target / f"{name}.rst"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    for path in target.glob("*.rst"):
        if path.stem not in whole:
            path.unlink()


def setup(app: "Sphinx") -> dict[str, Any]:
    """Write them first."""
    app.connect("builder-inited", write, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
