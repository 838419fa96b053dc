"""Shuffle, enlargement and loss."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npbsrn.images.resize import resize
from npbsrn.ops.enlarge import enlarge
from npbsrn.ops.loss import l1_loss
from npbsrn.ops.shuffle import pixel_shuffle
from tests.gradient import check_gradient
from tests.strategies import sides


@given(st.integers(1, 3), sides, sides)
def test_shuffle_puts_every_value_in_its_place(r, height, width):
    x = np.arange(4.0 * r * r * height * width).reshape(2, 2 * r * r, height, width)
    y, pull = pixel_shuffle(x, r)
    n, c, h, w = np.indices(y.shape)
    np.testing.assert_array_equal(y, x[n, c * r * r + (h % r) * r + w % r, h // r, w // r])
    np.testing.assert_array_equal(pull(y), x)  # a permutation: its transpose is its inverse


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_enlarge(rng, factor):
    x = rng.random((2, 3, 5, 4))
    y, _ = enlarge(x, factor)
    for n in range(2):
        np.testing.assert_allclose(y[n].transpose(1, 2, 0), resize(x[n].transpose(1, 2, 0), factor))
    check_gradient(lambda x: enlarge(x, factor), x)


def test_l1(rng):
    x, target = rng.random((2, 3)), rng.random((2, 3))
    loss, _ = l1_loss(x, target)
    assert loss == pytest.approx(np.abs(x - target).mean())
    check_gradient(lambda x: l1_loss(x, target), x)
