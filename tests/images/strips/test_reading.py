"""What is read by rows is what is read as a whole."""

import numpy as np
import pytest

from npbsrn.images.picture import Picture
from npbsrn.images.reading import read_picture
from npbsrn.images.strips import png, ppm, tiff
from npbsrn.images.strips.opening import extents_of, pieces_of, rows_of
from tests.images.strips.kinds import HEIGHT, KINDS, WIDTH

pytestmark = pytest.mark.filterwarnings("ignore:.*takes? 65535|.*of no range of their own")


def together(pieces):
    pieces = list(pieces)
    alpha = [piece.alpha for piece in pieces if piece.alpha is not None]
    return Picture(np.concatenate([piece.colour for piece in pieces]), np.concatenate(alpha) if alpha else None)


@pytest.mark.parametrize(
    ("name", "piece"), [(name, 1) for name in KINDS] + [(name, 300) for name in KINDS if "float32" not in name]
)
def test_rows_are_those_of_the_whole(monkeypatch, name, piece):
    for module in (png, ppm, tiff):
        monkeypatch.setattr(module, "PIECE", piece)
    data = KINDS[name]()
    whole, rows = read_picture(data), rows_of(data, "it", None)
    assert rows is not None
    assert (rows.width, rows.height) == extents_of(data, "it") == (WIDTH, HEIGHT)
    read = together(pieces_of(rows, "it"))
    for mine, own in ((read.colour, whole.colour), (read.alpha, whole.alpha)):
        assert (mine is None) == (own is None)
        if own is not None:
            assert mine.dtype == own.dtype
            np.testing.assert_array_equal(mine, own)
    sample = rows.sample
    assert (sample.grey, sample.alpha is None, sample.colour.dtype) == (
        whole.grey, whole.alpha is None, whole.colour.dtype,
    )  # fmt: skip
    assert sample.tags == whole.tags
    if piece == 1 and ("tiff" not in name or any(word in name for word in ("strips", "tiles", "planes"))):
        assert len(list(rows.pieces())) > 1
