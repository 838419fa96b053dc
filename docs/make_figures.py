"""Draw the README's picture: a crop of the sample photograph, bicubic, by npbsrn, and as it was.

Run it from the repository's root: ``python docs/make_figures.py``.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from npbsrn.images.metrics import compare
from npbsrn.images.reading import read_rgb
from npbsrn.images.resize import resize
from npbsrn.inference.choose import choose_runner
from npbsrn.inference.runners import Bicubic

IMAGES = Path(__file__).parent / "images"
SCALE = 4
ROWS, COLUMNS = slice(60, 200), slice(170, 380)  # the cup's rim and the spoon
ZOOM = 2


def main() -> None:
    """Write docs/images/before-after.png and print the PSNR of the whole pictures."""
    truth = read_rgb(IMAGES / "coffee.png")
    reduced = resize(truth, 1 / SCALE)
    results = [runner.run(reduced) for runner in (Bicubic(SCALE, by_axis=True), choose_runner(None, SCALE))]
    for name, result in zip(("bicubic", "npbsrn"), results, strict=True):
        print(f"{name}: {compare(result, truth, SCALE)[0]:.2f} dB")
    crops = [picture[ROWS, COLUMNS].repeat(ZOOM, axis=0).repeat(ZOOM, axis=1) for picture in (*results, truth)]
    gap = np.full((crops[0].shape[0], 8, 3), 255, np.uint8)
    row = [piece for crop in crops for piece in (crop, gap)][:-1]
    Image.fromarray(np.concatenate(row, axis=1)).save(IMAGES / "before-after.png", optimize=True)


if __name__ == "__main__":
    main()
