"""What the files of the networks share: how far an output pixel looks."""

import math

import numpy as np

from npbsrn.networks.base import make_network


def changed_from_afar(config, distance):
    """Whether a change so many pixels beside the middle one, to either side, changes what the middle one becomes.

    The network is float, so that no sign hides a change.
    """
    network = make_network({"binarizer": "none", "width": 4, **config})
    params = network.init(0, np.float64)
    middle, s = distance + 1, network.scale
    x = np.random.default_rng(0).random((1, 3, 1, 2 * middle + 1))
    before = network.apply(params, x)[0][..., middle * s : (middle + 1) * s]
    for side in (-distance, distance):
        x[..., middle + side] += 1
    return bool(np.any(network.apply(params, x)[0][..., middle * s : (middle + 1) * s] != before))


def reach(config):
    """In pixels of the small picture, rounded up."""
    return math.ceil(make_network(config).trace(1, 1).reach)
