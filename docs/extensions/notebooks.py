"""Notebooks as pages, as they were executed: text, code and what it gave, pictures included."""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def markdown_of(notebook: dict[str, Any]) -> str:
    """A notebook of format 4 as Markdown."""
    blocks: list[str] = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] != "code":
            blocks.append(text)
            continue
        blocks.append(f"```python\n{text}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {"text/plain": output.get("text", "")})
            if "image/png" in data:
                words = "".join(data["text/plain"]).splitlines()[0]
                blocks.append(f"![{words}](data:image/png;base64,{''.join(data['image/png']).strip()})")
            else:
                blocks.append(f"```text\n{''.join(data['text/plain']).rstrip()}\n```")
    return "\n\n".join(blocks)


def convert(app: "Sphinx", docname: str, source: list[str]) -> None:
    """Replace a notebook's JSON."""
    if str(app.env.doc2path(docname)).endswith(".ipynb"):
        source[0] = markdown_of(json.loads(source[0]))


def setup(app: "Sphinx") -> dict[str, Any]:
    """Connect it in front of what looks at Markdown."""
    app.add_source_suffix(".ipynb", "markdown")
    app.connect("source-read", convert, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
