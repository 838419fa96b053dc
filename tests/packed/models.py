"""Small networks with parameters as a training could leave them, and pictures for them."""

from pathlib import Path

import numpy as np

import npbsrn
from npbsrn.images.resize import resize
from npbsrn.models import Model, load
from npbsrn.networks.base import make_network
from npbsrn.packed.lower import lower
from npbsrn.shipped import latent_weights
from npbsrn.storage.params import leaves, nest

ROOT = Path(npbsrn.__file__).parents[1]


def random_model(seed, **config):
    """Gains of both signs and zero, averages, slopes, weights of sums and biases: all that folding must look at."""
    rng = np.random.default_rng(seed)
    network = make_network(config)
    params = dict(leaves(network.init(seed % 2**31)))
    for name, value in params.items():
        shape = value.shape
        match name.rsplit(".", 1)[1]:
            case "gain":
                new = rng.standard_normal(shape) * (rng.random(shape) < 0.9)
            case "shift":
                new = 0.3 * rng.standard_normal(shape) * (rng.random(shape) < 0.9)
            case "running_mean":
                new = 0.3 * rng.standard_normal(shape)
            case "running_variance":
                new = rng.uniform(0.02, 2, shape)
            case "slope":
                new = rng.uniform(-0.5, 1.2, shape) * (rng.random(shape) < 0.9)
            case "alpha" | "beta":
                new = 1 + 0.5 * rng.standard_normal(shape)
            case "bias":
                new = 0.1 * rng.standard_normal(shape)
            case _:
                continue
        params[name] = new.astype(np.float32)
    return Model(network, nest(params))


def latent_model(name, scale):
    """A shipped model with its latent weights."""
    return load(ROOT / latent_weights(name, scale))


def put_on_threshold(model, x, statistic):
    """Let the first binarization of a pixel hang on the last bit of E.

    x is what the blocks take in at that pixel, (C,) float32. Each channel's shift becomes minus its rounded weighted
    term, so that the sign is that of a rounding error.
    """
    e = np.float32(0)
    for value in x:
        e += abs(value) if statistic == "abs" else value
    e /= np.float32(len(x))
    own = model.params["body"]["hpb"]["1"]["1"]["conv1"]["binarizer"]
    own["running_mean"][...] = 0
    weight = lower(model).blocks[0].steps[0].weight[0, 0]
    own["shift"][...] = -(weight.astype(np.float64) * (e * x)).astype(np.float32)


def smooth_picture(rng, height, width):
    """8 bits; noise of several finenesses, as nature has it."""
    total = np.zeros((height, width, 3), np.float32)
    for step in (2, 4, 8, 16):
        noise = rng.random((height // step + 2, width // step + 2, 3), dtype=np.float32) - np.float32(0.5)
        total += resize(noise, step)[:height, :width] * np.float32(step / 16)
    return (np.clip(0.5 + total, 0, 1) * 255).astype(np.uint8)
