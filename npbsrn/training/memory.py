"""Check that a step fits into memory before a run begins.

Otherwise the system would kill the process without a message.
"""

from npbsrn.errors import UsageError
from npbsrn.networks.base import Network
from npbsrn.runtime.memory import available_bytes
from npbsrn.storage.params import leaves
from npbsrn.training.config import TrainConfig

# What the fast step holds for each value that a convolution gives: 7.7 to 9.1 bytes were measured at x2, x3 and x4,
# with 5 and 20 HPBs and 8 and 16 patches of 48x48. Networks and patches that need the readable operations take three
# times as much: what is refused would not fit, or hardly, and what is not refused may still be too large.
BYTES = 8


def step_bytes(network: Network, batch: int, patch: int) -> int:
    """Bytes that a training step needs at least.

    Parameters
    ----------
    network : Network
    batch, patch : int
        Patches a step, and their side in LR pixels.
    """
    filters = (array for name, array in leaves(network.init(0)) if name.endswith("weight") and array.ndim == 4)
    side = patch * network.scale if network.enlarged else patch
    return BYTES * batch * side**2 * sum(array.shape[0] for array in filters)


def refuse_too_large(network: Network, config: TrainConfig, share: float = 1) -> None:
    """Refuse a batch, of which this process has a `share`, that cannot fit into memory.

    Raises
    ------
    UsageError
        If a step needs more than is available.
    """
    patch, available = max(config.patch, config.late_patch), available_bytes()
    need = int(step_bytes(network, config.batch, patch) * share)
    if available is not None and need > available:
        raise UsageError(
            f"{round(config.batch * share)} patches of {patch}x{patch} need at least {need / 1e9:.1f} GB of memory and "
            f"{available / 1e9:.1f} GB are available; take a smaller batch or patch"
        )
