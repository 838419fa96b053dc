"""Any network and scheme on one vector of values: the networks of `benchmarks.torch_networks` on a device."""

import torch

from benchmarks.torch_networks import TorchNetwork
from benchmarks.torch_schemes import MOMENTUM
from npbsrn.networks.base import Network
from training.gpu.enlarge import enlarged
from training.gpu.values import Values

Tensor = torch.Tensor


class OnDevice(TorchNetwork):
    """Enlarges where the pictures are, instead of on the CPU."""

    def enlarged(self, x: Tensor) -> Tensor:
        """Bicubic."""
        return enlarged(x, self.config["scale"])


class TorchAny(Values):
    """A network of npbsrn's as a function of two vectors, the learned values and the running averages.

    In full precision and not compiled: `training.gpu.network.TorchBbcu` is what trains `bbcu` quickly.

    Parameters
    ----------
    network : Network
    """

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.config = network.config

    def picture(self, learned: Tensor, running: Tensor, x: Tensor, train: bool) -> tuple[Tensor, Tensor]:
        """The enlarged picture, and what the running averages move to: the batch's statistics, or in use themselves."""
        # PyTorch moves running averages in place, by MOMENTUM of the batch's: from zero, that is the batch's times it
        averages = torch.zeros_like(running) if train else running
        values = self.views(learned, self.learned) | self.views(averages, self.running)
        # on a GPU, convolutions load filters by 16 bytes
        values |= {name: a.clone() for name, a in values.items() if name in self.learned and a.data_ptr() % 16}
        composed = train and self.config.get("tail") == "composed"
        with torch.set_grad_enabled(train):  # by which PyTorch's BN knows whose statistics to take
            y = OnDevice(self.config, values, composed)(x)
        return y, averages / MOMENTUM if train else running
