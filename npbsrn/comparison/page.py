"""A page that shows any two of the pictures, one before the other, with a slider between them. It needs no network."""

import base64
import io
import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np
from PIL import Image

from npbsrn.comparison.results import Result

Array = np.ndarray[Any, Any]

WEBP = 16383  # pixels that a side of a WebP picture has at most


def make_page(results: Sequence[Result], title: str, scale: int) -> str:
    """Write the page.

    Parameters
    ----------
    results : sequence of Result
        The first lies left of the slider at first, the last but one right of it; of two, the last.
    title : str
        The picture's name.
    scale : int

    Returns
    -------
    html : str
        A whole document with the pictures in it, losslessly.
    """
    page = files("npbsrn.comparison").joinpath("page.html").read_text(encoding="utf-8")
    height, width = results[-1].picture.shape[:2]
    rows = "".join(f"<tr><th scope=row>{escape(r.label)}<td>{_cells(r)}" for r in results)
    names = [{"label": r.label, "url": _as_url(r.picture)} for r in results]
    pictures = json.dumps(names).replace("<", "\\u003c")  # what would end the script
    values = {
        "TITLE": escape(title), "SCALE": str(scale), "WIDTH": str(width), "HEIGHT": str(height), "ROWS": rows,
        "PICTURES": pictures, "RIGHT": str(max(1, len(results) - 2)),
    }  # fmt: skip
    head, *pieces = page.split("{{")
    return head + "".join(values[name] + rest for name, rest in (piece.split("}}", 1) for piece in pieces))


def _cells(result: Result) -> str:
    return "<td>" if result.psnr is None else f"{result.psnr:.2f}<td>{result.ssim:.4f}"


def _as_url(picture: Array) -> str:
    file, form = io.BytesIO(), "webp" if max(picture.shape) <= WEBP else "png"
    Image.fromarray(picture).save(file, form, **({"lossless": True, "quality": 100} if form == "webp" else {}))
    return f"data:image/{form};base64," + base64.b64encode(file.getvalue()).decode()
