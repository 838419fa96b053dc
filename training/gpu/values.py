"""A network's arrays as two vectors: those that are learned, and the running averages."""

import numpy as np
import torch

from npbsrn.networks.base import Network
from npbsrn.storage.params import leaves

Tensor = torch.Tensor


class Values:
    """Where each array of a network is in its two vectors, in npbsrn's order.

    Parameters
    ----------
    network : Network
    """

    def __init__(self, network: Network) -> None:
        shapes = {name: array.shape for name, array in leaves(network.init(0))}
        self.learned = {name: shape for name, shape in shapes.items() if ".running_" not in name}
        self.running = {name: shape for name, shape in shapes.items() if ".running_" in name}

    def views(self, flat: Tensor, shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
        """The arrays that a vector holds."""
        parts = flat.split([int(np.prod(shape)) for shape in shapes.values()])
        return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
