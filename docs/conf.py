"""How Sphinx builds the site: ``python -m sphinx -W --keep-going -b html docs build/site``.

Pages are Markdown that reads on a forge as well. Two habits make that possible, and `extensions` turns them into the
site's own means: equations stand between dollar signs and become MathML, so that no script is needed; and a link such
as ``[`Bam.filters`](../npbsrn/binarizers/bam.py)``, whose text is a name within the file, leads to the API reference.
"""

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent), str(DOCS / "extensions")]

import npbsrn  # noqa: E402

project = "npbsrn"
author = copyright = "npbsrn's authors"
release = version = npbsrn.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "docstrings",
    "mathml",
    "modules",
    "notebooks",
    "sources",
]
exclude_patterns = ["extensions", "static", "figures", "images"]
nitpicky = False  # single backticks of docstrings also stand around parameters and file names
default_role = "py:obj"
highlight_language = "text"  # of blocks that name none

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

autosummary_generate = False  # tables alone: `modules` writes the pages
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say types, shapes and dtypes
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_param = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"npbsrn {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
