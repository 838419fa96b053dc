"""Draw the picture of models.md: crops of the sample photograph, reduced and enlarged again.

Run it from the repository's root: ``python docs/make_figures.py``. `photo.png` shows, of a small picture that was saved
as JPEG, bicubic, `clean`, `photo` and the original.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from make_model_cards import as_jpeg
from PIL import Image

from npbsrn.images.metrics import compare
from npbsrn.images.reading import read_rgb
from npbsrn.images.resize import resize
from npbsrn.inference.choose import choose_runner
from npbsrn.inference.runners import Bicubic, Runner

Array = np.ndarray[Any, Any]

IMAGES = Path(__file__).parent / "images"
SCALE = 4
ROWS, COLUMNS = slice(60, 200), slice(170, 380)  # the cup's rim and the spoon
ZOOM = 2


def draw(runners: dict[str, Runner], small: Array, truth: Array, target: Path) -> None:
    """Write crops of the results, and of the original behind them, side by side; print PSNR of the whole pictures."""
    results = {name: runner.run(small) for name, runner in runners.items()}
    print(target)
    for name, result in results.items():
        print(f"    {name}: {compare(result, truth, SCALE)[0]:.2f} dB")
    Image.fromarray(_side_by_side([*results.values(), truth])).save(target, optimize=True)


def _side_by_side(pictures: Sequence[Array]) -> Array:
    crops = [picture[ROWS, COLUMNS].repeat(ZOOM, axis=0).repeat(ZOOM, axis=1) for picture in pictures]
    gap = np.full((crops[0].shape[0], 8, 3), 255, np.uint8)
    return np.concatenate([piece for crop in crops for piece in (crop, gap)][:-1], axis=1)


def main() -> None:
    """Write it and print PSNR of the whole pictures."""
    truth = read_rgb(IMAGES / "coffee.png")
    reduced = resize(truth, 1 / SCALE)
    bicubic = Bicubic(SCALE, by_axis=True)
    named = {name: choose_runner(name, SCALE) for name in ("clean", "photo")}
    draw({"bicubic": bicubic, **named}, as_jpeg(reduced), truth, IMAGES / "photo.png")


if __name__ == "__main__":
    main()
