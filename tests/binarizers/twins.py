"""Building blocks of naive references for schemes: plain loops, with none of the package's operations."""

import numpy as np

from npbsrn.binarizers import make_binarizer
from npbsrn.layers.base import Identity
from npbsrn.layers.binary import BinaryConv
from npbsrn.layers.blocks import BinaryBlock, BlockGroup
from npbsrn.storage.params import leaves, nest

CHANNELS = 4


def one_conv(options, rng, size=3, channels=CHANNELS):
    """A binary convolution as a layer, its parameters in float64 off their first values, and those by themselves."""
    scheme = make_binarizer(options)
    layer = BlockGroup((BinaryBlock((BinaryConv(channels, size, scheme),), Identity(), "none"),))
    params = {
        name: rng.uniform(0.2, 2, a.shape) if name.endswith("variance") else a + 0.4 * rng.standard_normal(a.shape)
        for name, a in leaves(layer.init(rng, np.float64))
    }
    params["1.conv1.weight"][0, 0, 0, 0] = 0  # whose sign is +1
    nested = nest(params)
    return layer, nested, {"binarizer": {}, **nested["1"]["conv1"]}


def signs(x):
    return np.where(x >= 0, 1.0, -1.0)


def normalized(own, x, train):
    """BN, channel by channel, by the batch's statistics or by the running ones."""
    z = np.empty_like(x)
    for c in range(x.shape[1]):
        mean, variance = (
            (x[:, c].mean(), x[:, c].var()) if train else (own["running_mean"][c], own["running_variance"][c])
        )
        z[:, c] = own["gain"][c] * (x[:, c] - mean) / np.sqrt(variance + 1e-5) + own["shift"][c]
    return z


def framed(a, size, pad):
    return np.pad(a, ((0, 0), (0, 0), (size // 2,) * 2, (size // 2,) * 2), constant_values=pad)


def convolve(a, w, pad):
    """Cross-correlation, tap by tap."""
    (n, _, height, width), size = a.shape, w.shape[-1]
    padded, y = framed(a, size, pad), np.zeros((n, len(w), height, width))
    for o, c, i, j in np.ndindex(*w.shape):
        y[:, o] += w[o, c, i, j] * padded[:, c, i : i + height, j : j + width]
    return y


def filter_gradient(a, dy, size, pad):
    """Of <convolve(a, w, pad), dy> by w."""
    padded, (height, width) = framed(a, size, pad), a.shape[2:]
    dw = np.zeros((dy.shape[1], a.shape[1], size, size))
    for o, c, i, j in np.ndindex(*dw.shape):
        dw[o, c, i, j] = np.sum(dy[:, o] * padded[:, c, i : i + height, j : j + width])
    return dw


def input_gradient(dy, w):
    """Of <convolve(a, w, pad), dy> by a."""
    (n, _, height, width), size = dy.shape, w.shape[-1]
    dpadded = framed(np.zeros((n, w.shape[1], height, width)), size, 0)
    for o, c, i, j in np.ndindex(*w.shape):
        dpadded[:, c, i : i + height, j : j + width] += w[o, c, i, j] * dy[:, o]
    m = size // 2
    return dpadded[:, :, m : m + height, m : m + width]


def pulled(layer, params, x, dy):
    """Gradients of the one convolution's parameters, flat: ``weight``, ``binarizer.gain``, ..."""
    _, back = layer.apply(params, x, train=True)
    return {name.removeprefix("1.conv1."): g for name, g in leaves(back(dy)[1])}


def apart(a, b):
    """Relative difference of two arrays."""
    return np.max(np.abs(a - b)) / max(np.max(np.abs(a)), np.max(np.abs(b)))
