"""The scheme that does not binarize; its gradients are also checked through a whole network."""

import numpy as np
import pytest

from npbsrn.binarizers import describe, make_binarizer
from tests.gradient import check_gradient, directional_error

SCHEME = make_binarizer({"name": "float"})


def activations(x):
    y, _, pull = SCHEME.activations({}, x, (), train=True)
    return y, lambda dy: pull(dy, (None,))[0]


def filters(w):
    y, _, _, pull = SCHEME.filters({}, w, ())
    return y, lambda dy: pull(dy, np.zeros(len(w)), (None,))[0]


@pytest.mark.parametrize(("function", "shape"), [(activations, (2, 3, 4, 5)), (filters, (3, 3, 1, 1))])
def test_values_and_gradients_pass(rng, function, shape):
    x = rng.standard_normal(shape)
    np.testing.assert_array_equal(function(x)[0], x)
    check_gradient(function, x)
    assert directional_error(lambda x: (function(x)[0], lambda dy: function(x)[1](dy) * (abs(x) <= 1)), x) > 1e-2


def test_the_scale_is_one_and_nothing_accumulates(rng):
    first, w = rng.standard_normal((2, 3, 3, 1, 1))
    bits, scale, memory, pull = SCHEME.filters({}, w, (first,))
    np.testing.assert_array_equal(bits, w)
    np.testing.assert_array_equal(scale, np.ones(3))
    assert memory == (first, w)
    assert pull(w, scale, (None, None))[1] == (None,)
    assert SCHEME.init(3, 1, 2, np.float32) == {}


def test_it_describes_itself():
    assert describe(SCHEME) == {"name": "float"}
