"""Write a checkpoint of npbsrn's from the state of a run by `training.gpu.train`.

``python -m training.gpu.to_checkpoint STATE.npz CARD.json RUN``. Then ``npbsrn train DIR -o RUN --resume --steps N``
goes on with it on a CPU, with the batches that npbsrn draws. The state is rounded as `npbsrn compact` rounds it, but
with two bits more for the averaged weights and fewer for Adam's moments, which are forgotten within thousands of steps:
so that of `bbcu` stays below ten megabytes.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from npbsrn.storage.run_files import CHECKPOINTS
from npbsrn.training.checkpoint import GROUPS, Origin, State, save_checkpoint
from npbsrn.training.compact import BITS, round_state
from npbsrn.training.config import TrainConfig
from npbsrn.training.optimizer import Vector

KEPT = BITS | {"average": 9, "m": 1, "v": 2}  # of the mantissa


def write_checkpoint(arrays: dict[str, Any], card: dict[str, Any], run: Path) -> Path:
    """Write ``RUN/checkpoint.npz``.

    Parameters
    ----------
    arrays : dict
        ``GROUP.NAME``, with the groups of `npbsrn.training.checkpoint.State`.
    card : dict
        ``step``, ``seconds``, and ``train``, the fields of `TrainConfig`.
    run : path

    Returns
    -------
    path : path
        The file. It knows no PSNR, as the pictures it was judged on were others than npbsrn holds out.
    """
    groups: dict[str, Any] = {group: {} for group in GROUPS}
    for name, array in arrays.items():
        group, _, leaf = name.partition(".")
        groups[group][leaf] = array.astype(np.float32)
    step = int(card["step"])
    config = TrainConfig(**{**card["train"], "steps": step})
    state = State(
        **{group: Vector(own) for group, own in groups.items()}, step=step, seconds=card["seconds"], judged=step
    )
    run.mkdir(parents=True, exist_ok=True)
    path = run / CHECKPOINTS[0]
    save_checkpoint(path, round_state(state, KEPT), config, Origin(None), compress=True)
    return path


def main() -> None:
    """From three names."""
    state, card, run = (Path(name) for name in sys.argv[1:])
    path = write_checkpoint(dict(np.load(state)), json.loads(card.read_text()), run)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
