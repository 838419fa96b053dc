"""Make rows of the paper's tables of what `training.gpu.train` leaves.

``python -m training.gpu.to_row OUT FOLDER``: of each job in OUT that names a ``row``, FOLDER gets what
`npbsrn reproduce` would leave of it, without the figures of test sets. ``npbsrn reproduce TABLE --steps N -o FOLDER
--sets DIR ...`` then judges, and prints. N is that of the jobs.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from npbsrn.models import Model, save_model
from npbsrn.networks.base import make_network
from npbsrn.reproduction.rows import RESULT, Task, keep_packed
from npbsrn.storage.params import nest
from npbsrn.storage.run_files import FINAL


def write_row(card: dict[str, Any], arrays: dict[str, Any], folder: Path) -> Path:
    """Write the weights of a row, also packed where they can be, and what its result begins with.

    Parameters
    ----------
    card : dict
        As the job left it.
    arrays : dict by dotted name
        The averaged weights, those of the end.
    folder : path
        Of all rows.

    Returns
    -------
    run : path
        The row's folder in it.
    """
    train = card["train"]
    task = Task(card["spec"]["row"], int(train["network"]["scale"]), int(card["step"]), int(train["seed"]))
    run = folder / task.folder
    run.mkdir(parents=True, exist_ok=True)
    about = {"minutes": round(card["seconds"] / 60, 2), "data": card["spec"].get("data", "")}
    model = Model(make_network(train["network"]), nest(arrays), {**about, "steps": task.steps, "train": train})
    save_model(run / FINAL, model)
    keep_packed(model, run)
    held = next(iter(card["figures"].values()), None)
    result = {**asdict(task), "cpu": card.get("device", ""), "sets": {}, "validation_psnr": held, **about}
    (run / RESULT).write_text(json.dumps(result, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return run


def main() -> None:
    """All jobs of a folder."""
    out, folder = Path(sys.argv[1]), Path(sys.argv[2])
    for path in sorted(out.glob("*.card.json")):
        card = json.loads(path.read_text())
        if "row" in card["spec"]:
            print(write_row(card, dict(np.load(out / f"{card['spec']['name']}.npz")), folder))


if __name__ == "__main__":
    main()
