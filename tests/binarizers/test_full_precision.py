"""The scheme that does not binarize; its gradients are also checked through a whole network."""

import numpy as np
import pytest

from npbsrn.binarizers import describe, make_binarizer
from npbsrn.layers.binary import BinaryConv
from tests.gradient import check_gradient, directional_error

SCHEME = make_binarizer("none")


def activations(x):
    (values, coefs, base), pull = SCHEME.activations({}, [x])
    assert (len(values), coefs, base) == (1, 1, 0)
    return values[0], lambda dy: pull([dy], np.zeros(1))[0][0]


def filters(w):
    (values, _), pull = SCHEME.filters({}, [w])
    return values[0], lambda dy: pull([dy], np.zeros((1, len(w))))[0][0]


@pytest.mark.parametrize(("function", "shape"), [(activations, (2, 3, 4, 5)), (filters, (3, 3, 1, 1))])
def test_values_and_gradients_pass(rng, function, shape):
    x = rng.standard_normal(shape)
    np.testing.assert_array_equal(function(x)[0], x)
    check_gradient(function, x)
    assert directional_error(lambda x: (function(x)[0], lambda dy: function(x)[1](dy) * (abs(x) <= 1)), x) > 1e-2


def test_the_scale_is_one_and_nothing_accumulates(rng):
    first, w = rng.standard_normal((2, 3, 3, 1, 1))
    conv = BinaryConv(3, 1, SCHEME, filters=2)
    (values, scales), kept, pull = conv.binarized_filters({"weight": w}, (first,))
    np.testing.assert_array_equal(values, [w])
    np.testing.assert_array_equal(scales, np.ones((1, 3)))
    assert len(kept) == 1
    assert kept[0] is first  # what others remember passes by
    assert pull([w], scales, (None,)) == (w, (None,), {})
    assert SCHEME.remembers == (False, False)
    assert SCHEME.init(3, 1, 2, np.float32) == {}


def test_nothing_of_it_is_a_bit():
    assert not SCHEME.binary
    assert SCHEME.float_activations
    assert SCHEME.bound is None


@pytest.mark.parametrize(("padding", "pad"), [("zero", 0), ("one", 1)])
def test_it_pads_as_told(padding, pad):
    assert make_binarizer({"name": "none", "padding": padding}).pad == pad


def test_it_describes_itself_and_has_an_old_name():
    assert describe(SCHEME) == {"name": "none", "padding": "zero"}
    assert make_binarizer({"name": "float", "padding": "one"}) == make_binarizer({"name": "none", "padding": "one"})
