"""The backward pass by points writes what it is given to fill, and nothing beside it."""

import numpy as np
import pytest

from npbsrn.kernels import tile_backward
from npbsrn.ops.binary_conv import binary_conv
from tests.ops.test_binary_conv import draw, packed

GUARD, MARK = 4096, np.float32(7.25)  # numbers around each array, and what they are


def guarded(array):
    whole = np.full(array.size + 2 * GUARD, MARK, np.float32)
    inside = whole[GUARD:-GUARD]
    inside[:] = array.reshape(-1)
    return whole, inside


@pytest.mark.parametrize("width", [1, 5, 6, 7, 15, 16, 17, 33])
@pytest.mark.parametrize("height", [1, 2, 6, 7, 13])
def test_nothing_is_written_beside_the_arrays(height, width, monkeypatch):
    backward, seen = tile_backward.backward_samples, []

    def watched(dy, bits, filters, coefs, sizes, *arrays):
        dx, dw, sums, y, slope, dslope, behind, term, workspace, low, high = arrays
        given = dx, dw, sums, dslope, workspace
        pairs = [guarded(array) for array in given]
        own = [inside for _, inside in pairs]
        backward(dy, bits, filters, coefs, sizes, *own[:3], y, slope, own[3], behind, term, own[4], low, high)
        seen.extend(np.all(whole[:GUARD] == MARK) and np.all(whole[-GUARD:] == MARK) for whole, _ in pairs)
        for array, inside in zip(given, own, strict=True):
            array.reshape(-1)[:] = inside

    monkeypatch.setattr(tile_backward, "backward_samples", watched)
    args, dy = draw(2, 16, 32, height, width, 3, 2, 1, 0.0, 1.0, 4)
    for slope in (None, np.full(32, 0.25, np.float32)):
        _, pull = binary_conv(*packed(args), slope)
        pull(dy)
    assert seen
    assert all(seen)
