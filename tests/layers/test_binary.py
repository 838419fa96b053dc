"""Binary convolutions by themselves."""

import numpy as np
import pytest

from npbsrn.binarizers import make_binarizer
from npbsrn.layers.binary import BinaryConv, Memory


@pytest.mark.parametrize("scheme", ["bam", "none"])
@pytest.mark.parametrize(("padding", "corner", "edge"), [("one", 18, 18), ("zero", 8, 12)])
def test_padding_is_what_stands_around_the_binarized_activations(scheme, padding, corner, edge):
    """Of ones and filters of ones: each tap in the picture counts 1 a channel, and outside it the padding."""
    conv = BinaryConv(2, 3, make_binarizer({"name": scheme, "padding": padding}))
    params = conv.init(np.random.default_rng(0), np.float64)
    params["weight"] = np.ones((2, 2, 3, 3))
    for train in (True, False):
        y, _, _ = conv.apply(params, np.ones((1, 2, 3, 3)), Memory(), train)
        np.testing.assert_array_equal(y[0, 0], [[corner, edge, corner], [edge, 18, edge], [corner, edge, corner]])
