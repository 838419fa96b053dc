import numpy as np
import pytest

from npbsrn.ops.sign import STES, binarize, sign

X = np.array([-2.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 2.0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sign_of_zero_is_plus_one(dtype):
    bits = sign(X.astype(dtype))
    np.testing.assert_array_equal(bits, [-1, -1, -1, 1, 1, 1, 1, 1])
    assert bits.dtype == dtype


@pytest.mark.parametrize(
    ("ste", "factor"),
    [
        ("identity", [1, 1, 1, 1, 1, 1, 1, 1]),
        ("clip", [0, 1, 1, 1, 1, 1, 1, 0]),
        ("bireal", [0, 0, 1, 2, 2, 1, 0, 0]),
        ("window", [0, 0, 1, 1, 1, 1, 0, 0]),
        ("steep", [0, 0, 2, 2, 2, 2, 0, 0]),
    ],
)
def test_stand_in_gradients_element_by_element(ste, factor):
    dy = np.arange(1.0, 9.0)
    bits, pull = binarize(X, ste)
    np.testing.assert_array_equal(bits, sign(X))
    np.testing.assert_array_equal(pull(dy), dy * factor)


def test_every_stand_in_has_its_element_wise_reference():
    assert set(STES) == {"identity", "clip", "bireal", "window", "steep"}
