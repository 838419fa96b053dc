"""What all layers have in common."""

import numpy as np
import pytest

from npbsrn.layers.base import Chain, Identity, Residual
from npbsrn.layers.conv import Conv, PixelShuffle, PReLU
from npbsrn.layers.tail import Tail
from npbsrn.networks.base import make_network

TINY = make_network({"scale": 2, "blocks": 1, "width": 4})
LAYERS = {
    "Identity": Identity(),
    "Conv": Conv(4, 4),
    "PReLU": PReLU(4),
    "PixelShuffle": PixelShuffle(2),
    "Residual": Residual(Conv(4, 4)),
    "Residual of nothing": Residual(Chain(())),
    "Chain": Chain((("conv", Conv(4, 4)), ("act", PReLU(4)))),
    "empty Chain": Chain(()),
    "composed Tail": Tail((2,), 4),
    "direct Tail": Tail((3,), 4, last=None),
    "plain Tail": Tail((2, 2), 4, composed=False),
    "BlockChain": dict(dict(make_network({"scale": 2, "blocks": 1, "width": 4}).chain.layers)["body"].inner.layers)[
        "hpb"
    ],
}


def applied(layer, train):
    params = layer.init(np.random.default_rng(0), np.float64)
    return layer.apply(params, np.random.default_rng(1).standard_normal((2, 4, 3, 5)), train)


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS.keys())
def test_there_is_no_way_back_without_train(layer):
    """Nothing was kept for it: without an error gradients would be missing, and no one would be told."""
    y, back = applied(layer, train=False)
    with pytest.raises(RuntimeError, match=r"no gradients of a forward pass without `train`; call apply\(.*train=True"):
        back(y)
    y, back = applied(layer, train=True)
    assert back(y)[0].shape == (2, 4, 3, 5)


def test_a_network_has_no_way_back_without_train():
    for base in ("bicubic", "none"):
        network = make_network(TINY.config | {"base": base})
        y, back = network.apply(network.init(0), np.zeros((1, 3, 4, 4), np.float32))
        with pytest.raises(RuntimeError, match="without `train`"):
            back(y)
