"""Imports run downwards only, and the import of the package is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import npbsrn

ROOT = Path(npbsrn.__file__).parent
# From the ground up: packages, and modules that stand on another floor than their package. What stands on one
# floor does not import each other, but within one package it may.
FLOORS = [
    ["errors"],
    ["shipped"],
    ["runtime"],
    ["storage"],
    ["images", "kernels"],
    ["images.strips"],
    ["images.writing"],
    ["images.animation"],
    ["datasets", "ops"],
    ["binarizers"],
    ["layers"],
    ["fused"],
    ["networks"],
    ["models"],
    ["packed"],
    ["inference"],
    ["training", "comparison", "serving", "cluster"],
    ["reproduction"],
    ["cli"],
    ["__main__"],
]
FLOOR = {name: level for level, names in enumerate(FLOORS) for name in names}
MODULES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def workspace(parts):
    """The longest prefix of a module's name that has a floor."""
    names = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next(name for name in names if name in FLOOR)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_run_downwards(path):
    here = workspace(path.relative_to(ROOT).with_suffix("").parts)
    for node in ast.walk(ast.parse(path.read_text())):
        modules = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for module in modules:
            parts = module.split(".")
            if parts[0] == "npbsrn" and len(parts) > 1 and (there := workspace(parts[1:])) != here:
                assert FLOOR[there] < FLOOR[here], f"{path.name} imports {module}"


def test_every_public_name_is_there():
    for name in npbsrn.__all__:
        assert getattr(npbsrn, name).__doc__
    assert dir(npbsrn) == npbsrn.__all__
    with pytest.raises(AttributeError, match="no attribute 'upscal'"):
        npbsrn.upscal  # noqa: B018


def test_the_import_loads_no_library():
    code = "import sys, npbsrn; sys.exit(any(m in sys.modules for m in ('numpy', 'numba', 'scipy', 'PIL', 'tqdm')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
