"""Binary convolutions by themselves."""

import numpy as np
import pytest

from npbsrn.binarizers import bbcu, make_binarizer, normalized
from npbsrn.layers.binary import BinaryConv, Memory
from npbsrn.networks.base import make_network
from npbsrn.ops.norm_sign import norm_signs_ref
from npbsrn.ops.shift_sign import shifted_signs_ref
from npbsrn.storage.params import leaves


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


SCHEMES = [
    *({"name": name} for name in ("bnn", "dorefa", "abc", "bam", "bbcu")),
    {"name": "abc", "activation_bases": 3},
    {"name": "bbcu", "window": 20.0},
]


def one_step(network, binarizer):
    """Result of a training step's forward pass, gradients and moved averages, all by dotted name."""
    built = make_network({"name": network, "scale": 2, "blocks": 1, "width": 16, "binarizer": binarizer})
    params, rng = built.init(3), np.random.default_rng(4)
    out, back = built.apply(params, rng.random((3, 3, 5, 7), np.float32), train=True)
    _, grads = back(rng.standard_normal(out.shape).astype(np.float32))
    return out, dict(leaves(grads)), {name: a for name, a in leaves(params) if ".running_" in name}


@pytest.mark.parametrize("network", ["bbcu", "srresnet", "vdsr"])
@pytest.mark.parametrize("binarizer", SCHEMES, ids=str)
def test_a_compiled_step_is_the_readable_one(network, binarizer, monkeypatch):
    """Forward to the bit, since signs hang on it; gradients but for the order of sums.

    The head's bias has no gradient in front of a BN, but rounding errors of numbers near 1.
    """
    out, grads, averages = one_step(network, binarizer)
    for module, name, readable in (
        (normalized, "norm_signs", norm_signs_ref),
        (bbcu, "shifted_signs", shifted_signs_ref),
    ):
        monkeypatch.setattr(module, name, readable)  # gives arrays, which go the readable way
    expected, grads_expected, averages_expected = one_step(network, binarizer)
    np.testing.assert_array_equal(out, expected)
    for name, average in averages.items():
        np.testing.assert_array_equal(average, averages_expected[name])
    for name, grad in grads.items():
        other = grads_expected[name]
        np.testing.assert_allclose(grad, other, rtol=1e-2, atol=1e-3 * np.abs(other).max() + 1e-4, err_msg=name)
