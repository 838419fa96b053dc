"""A panel as in the paper's figures: the picture with a box, and what the box holds, by each model."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from npbsrn.comparison.results import Crop, Result

Array = np.ndarray[Any, Any]

TILE = 220  # pixels that a crop's longer side has at least
GAP, TEXT = 12, 15
COLUMNS = 4
BOX = (214, 39, 40)
INK, PAPER = (0, 0, 0), (255, 255, 255)


def draw_panel(results: Sequence[Result], crop: Crop) -> Array:
    """Draw the panel.

    Parameters
    ----------
    results : sequence of Result
        The last one is the original, which is drawn whole as well.
    crop : Crop

    Returns
    -------
    panel : (H, W, 3) uint8
    """
    zoom = -(-TILE // max(crop.width, crop.height))  # whole pixels stay whole
    width, height = crop.width * zoom, crop.height * zoom
    columns = min(COLUMNS, -(-len(results) // 2) if len(results) > 2 else len(results))
    lines = -(-len(results) // columns)
    step = height + 2 * (TEXT + 6) + GAP
    whole = _boxed(results[-1].picture, crop, lines * step - GAP)
    left = whole.width + 2 * GAP
    panel = Image.new("RGB", (left + columns * (width + GAP), lines * step + GAP), PAPER)
    panel.paste(whole, (GAP, GAP))
    pen = ImageDraw.Draw(panel)
    for number, result in enumerate(results):
        x, y = left + number % columns * (width + GAP), GAP + number // columns * step
        panel.paste(Image.fromarray(np.ascontiguousarray(crop.of(result.picture))).resize((width, height), 0), (x, y))
        for line, words in enumerate((result.label, result.figures)):
            font = ImageFont.load_default(TEXT)
            while font.getlength(words) > width and len(words) > 1:
                words = words[:-2] + "~"
            pen.text((x + width / 2, y + height + 4 + line * (TEXT + 4)), words, INK, font, "ma")
    return np.asarray(panel)


def _boxed(picture: Array, crop: Crop, height: int) -> Image.Image:
    """The whole picture in a given height, with a box around the crop."""
    factor = height / len(picture)
    image = Image.fromarray(picture).resize(
        (max(1, round(picture.shape[1] * factor)), height), Image.Resampling.LANCZOS
    )
    corners = [crop.x * factor, crop.y * factor, (crop.x + crop.width) * factor, (crop.y + crop.height) * factor]
    ImageDraw.Draw(image).rectangle(corners, outline=BOX, width=3)
    return image
