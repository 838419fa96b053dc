"""A training step of any network and scheme, by npbsrn and by PyTorch, on the same patches."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from benchmarks.timing import in_turn
from npbsrn.datasets.pairs import find_pairs
from npbsrn.networks.base import Network, make_network
from npbsrn.ops.enlarge import enlarge
from npbsrn.runtime.threads import thread_count
from npbsrn.training.config import TrainConfig
from npbsrn.training.data import PatchSource
from npbsrn.training.step import first_state, train_step

Array = np.ndarray[Any, Any]

SCALE = 4


class Case(NamedTuple):
    """What a step is timed on.

    Parameters
    ----------
    batch, patch : int
        Patches, and their side in LR pixels.
    side : int
        Where the network works on enlarged patches: to how many pixels these are cut.
    """

    batch: int
    patch: int
    side: int = 0

    @property
    def words(self) -> str:
        """For the table."""
        return f"{self.batch} patches of {self.side or self.patch}x{self.side or self.patch}"


# by network and name in the JSON line; the larger first, for its memory
CASES = {
    "bbcu": {"48": Case(16, 48), "16": Case(8, 16)},
    "bsrn": {"48": Case(16, 48), "16": Case(8, 16)},
    "srresnet": {"48": Case(16, 48)},
    "vdsr": {"41": Case(16, 11, 41)},
}


def batch_of(source: PatchSource, case: Case, step: int) -> tuple[Array, Array]:
    """What the network takes and should give; enlarged patches are enlarged here, for whoever asks."""
    x, y = source.batch(0, step, case.batch, case.patch)
    if not case.side:
        return x, y
    cut = slice(None), slice(None), slice(case.side), slice(case.side)
    return np.ascontiguousarray(enlarge(x, source.scale)[0][cut]), np.ascontiguousarray(y[cut])


def network_of(config: dict[str, Any], case: Case) -> Network:
    """The network; one of enlarged patches takes them as they are: its chain, and the sum with what it takes in."""
    network = make_network(config)
    return dataclasses.replace(network, scale=1, enlarged=False) if case.side else network


class Ours:
    """npbsrn's own step on patches of its own source."""

    def __init__(self, config: TrainConfig, source: PatchSource, case: Case) -> None:
        self.config, self.source, self.case = config, source, case
        self.network = network_of(config.network, case)
        self.state = first_state(self.network, 0)
        self.data_seconds: list[float] = []
        self.data_bytes = 0.0  # of a step: each value is read as a byte and written as a float32

    def step(self) -> None:
        """Data, forward, loss, backward, Adam, average."""
        start = time.perf_counter()
        x, y = batch_of(self.source, self.case, self.state.step)
        self.data_seconds.append(time.perf_counter() - start)
        self.data_bytes = 5 / 4 * (x.nbytes + y.nbytes)
        self.state, _ = train_step(self.state, self.network, self.config, x, y)


class Peer:
    """The same step in PyTorch.

    Parameters
    ----------
    config, source, case
        As of `Ours`.
    composed : bool
        Whether the tail is trained as one convolution, too, which PyTorch's users do not have.
    layout : str
        Of its tensors: "channels_last" or "contiguous_format".
    """

    def __init__(self, config: TrainConfig, source: PatchSource, case: Case, composed: bool, layout: str) -> None:
        import torch

        from benchmarks.torch_networks import TorchNetwork

        torch.set_num_threads(thread_count())
        self.torch, self.source, self.case, self.layout, self.count = torch, source, case, layout, 0
        params = first_state(make_network(config.network), 0).params
        tensors = {name: self.tensor(array) for name, array in params.items()}
        self.learned = [t.requires_grad_() for name, t in tensors.items() if ".running_" not in name]
        self.average = [t.detach().clone() for t in self.learned]
        network = TorchNetwork(config.network, tensors, composed, merged=True)
        self.run: Callable[[Any], Any] = network.on_enlarged if case.side else network
        self.optimizer = torch.optim.Adam(self.learned, lr=1e-3, foreach=True)

    def tensor(self, array: Array) -> Any:
        """In the peer's layout."""
        tensor = self.torch.tensor(array)
        return tensor.to(memory_format=getattr(self.torch, self.layout)) if array.ndim == 4 else tensor

    def step(self) -> None:
        """Data, forward, loss, backward, Adam, average."""
        x, y = batch_of(self.source, self.case, self.count)
        loss = (self.run(self.tensor(x)) - self.tensor(y)).abs().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        with self.torch.no_grad():
            self.torch._foreach_lerp_(self.average, self.learned, 1e-3)
        self.count += 1


LAYOUTS = ("channels_last", "contiguous_format")


def better_layout(config: TrainConfig, source: PatchSource, case: Case, composed: bool, burst: int) -> Peer:
    """The peer with whichever memory layout is faster here, by steps of a quarter of the batch."""
    quarter = case._replace(batch=max(case.batch // 4, 1))
    tried = {layout: Peer(config, source, quarter, composed, layout).step for layout in LAYOUTS}
    seconds = in_turn(tried, 1, 2, burst)
    return Peer(config, source, case, composed, min(seconds, key=lambda layout: seconds[layout]))


def make_source(folder: Path, patch: int) -> PatchSource:
    """A source of patches from pictures of noise."""
    pictures = folder / "pictures"
    pictures.mkdir(exist_ok=True)
    for n in range(8):
        noise = np.random.default_rng(n).integers(0, 256, (400, 480, 3), np.uint8)
        Image.fromarray(noise).save(pictures / f"{n}.png")
    return PatchSource(find_pairs(pictures, SCALE), SCALE, patch, folder / "cache")
