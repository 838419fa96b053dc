import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from npbsrn.images.tiles import cut


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 50), st.integers(0, 12), st.sampled_from([1, 4]))
def test_tiles_cover_a_picture_once(height, width, side, margin, step):
    count = np.zeros((height, width), int)
    picture = np.arange(height * width).reshape(height, width)
    for tile in cut(height, width, side, margin, step):
        (top, bottom), (left, right) = tile.inner
        part = picture[tile.outer][top:bottom, left:right]
        here = tile.enlarged(1)
        np.testing.assert_array_equal(part, picture[here])
        count[here] += 1
        for (begin, end), (first, last), extent in (
            (tile.rows, tile.outer_rows, height),
            (tile.columns, tile.outer_columns, width),
        ):
            assert first % step == 0
            assert first == 0 or first <= begin - margin < first + step
            assert last == min(end + margin, extent)
    assert np.all(count == 1)


def test_what_is_wanted_is_so_much_larger_in_the_result():
    tile = list(cut(9, 9, 5, 2))[-1]
    assert tile.enlarged(3) == (slice(15, 27), slice(15, 27))
