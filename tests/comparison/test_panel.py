import numpy as np
import pytest

from npbsrn.comparison.panel import draw_panel
from npbsrn.comparison.results import Crop, Result
from tests.comparison.places import holds


def results_of(count, height=40, width=60):
    pictures = np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)
    figures = [(f"model {n}", pictures[n], 30.0 + n, 0.9) for n in range(count - 1)]
    return [*(Result(*own) for own in figures), Result("original", pictures[-1])]


@pytest.mark.parametrize("count", [2, 5, 10])
@pytest.mark.parametrize("crop", [Crop(3, 4, 12, 9), Crop(0, 0, 60, 40), Crop(59, 39, 1, 1)])
def test_every_crop_is_there_in_whole_pixels(count, crop):
    results = results_of(count)
    panel = draw_panel(results, crop)
    zoom = -(-220 // max(crop.width, crop.height))
    for result in results:
        assert holds(panel, crop.of(result.picture).repeat(zoom, axis=0).repeat(zoom, axis=1))


def test_long_labels_stay_below_their_crop():
    short, long = results_of(3), results_of(3)
    long[0] = Result("m" * 500, long[0].picture, 30.0, 0.9)
    assert draw_panel(short, Crop(0, 0, 9, 9)).shape == draw_panel(long, Crop(0, 0, 9, 9)).shape
