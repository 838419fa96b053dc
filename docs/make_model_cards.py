"""Write docs/models.md: the card of each shipped model, and its figures on the test sets.

Run it from the repository's root, with NPBSRN_DATA naming the folder that holds Set5 and Set14:
``NPBSRN_DATA=DIR python docs/make_model_cards.py``.
"""

import io
import os
import platform
from collections.abc import Callable
from importlib.resources import as_file
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import npbsrn
from npbsrn.datasets.pairs import find_pairs, read_pair
from npbsrn.images.metrics import compare
from npbsrn.inference.choose import choose_runner
from npbsrn.networks.base import make_network
from npbsrn.packed.format import load_packed
from npbsrn.packed.plan import Plan
from npbsrn.shipped import MODELS, packed_weights

Array = np.ndarray[Any, Any]

DOCS = Path(__file__).parent
QUALITY = 75  # of JPEG
HEAD = """# The shipped models

`npbsrn upscale -m NAME`, `npbsrn.upscale(picture, model="NAME")` and `npbsrn eval -m NAME` take a model by its name;
`npbsrn models` lists them. The package holds packed files, `NAME-xSCALE-packed.npz`, with one bit for each binary
weight. Latent weights, for further training, are `training/NAME-xSCALE/weights.npz` in the repository.
`python docs/ship_weights.py NAME FILE` made both.

{table}

This page is written by `NPBSRN_DATA=DIR python docs/make_model_cards.py`, which reads the cards in the packed files and
evaluates the models with the package's default engine. The test sets are only for evaluation.

Judged on: {cpu}.

## Mean PSNR

On Y, in dB, of small pictures as they are made by reducing, and of the same as JPEG of quality {quality}.

{figures}

![A crop of the sample photograph after JPEG: bicubic, clean, photo, original](images/photo.png)

A crop of the sample photograph, reduced to a quarter of its size, saved as JPEG of quality 75, and enlarged again: by
bicubic, by `clean`, by `photo`, and the original. `clean` sharpens JPEG's blocks and ringing with all the rest. `photo`
removes most of them, and with them the little fine texture that was left; patches of wrong colour remain, because
JPEG keeps colour at half the size. PSNR on Y of the whole picture is 26.66, 26.89 and 27.36 dB; without JPEG, bicubic
has 27.29 and `clean` 29.07. `python docs/make_figures.py` draws the figure and prints these numbers.
"""


def cpu() -> str:
    """Name of the CPU, where the system tells."""
    info = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor()


def rows_of(rows: list[list[str]]) -> str:
    """A table; the first row is its head."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def plan_of(name: str, scale: int) -> Plan:
    """The packed model."""
    with as_file(packed_weights(name, scale)) as path:
        return load_packed(path)


def as_jpeg(picture: Array) -> Array:
    """What a camera or a website makes of it."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=QUALITY)
    return np.asarray(Image.open(file).convert("RGB"))


def mean(model: str, folder: Path, scale: int, change: Callable[[Array], Array] | None) -> float:
    """Mean PSNR on a folder, whose small pictures are changed."""
    if change is None:
        return npbsrn.evaluate(model, folder, scale).mean.psnr
    runner, found = choose_runner(model, scale), []
    for pair in find_pairs(folder, scale, "valid"):
        lr, hr = read_pair(pair, scale)
        found.append(compare(runner.run(change(lr)), hr, scale)[0])
    return float(np.mean(found))


def means(data: Path) -> str:
    """All models on both sets, clean and as JPEG."""
    columns = [(folder, change) for change in (None, as_jpeg) for folder in ("Set5", "Set14")]
    head = ["", "", *(folder + (", JPEG" if change else "") for folder, change in columns)]
    rows = []
    for scale in (2, 3, 4):
        for name in (*(name for name, model in MODELS.items() if scale in model.scales), "bicubic"):
            found = (f"{mean(name, data / folder, scale, change):.2f}" for folder, change in columns)
            rows.append([f"x{scale}", name, *found])
    return rows_of([head, *rows])


def summary() -> str:
    """What there is."""
    head = ["name", "scales", "for", "packed, MB"]
    rows = []
    for name, model in MODELS.items():
        sizes = []
        for scale in model.scales:
            with as_file(packed_weights(name, scale)) as path:
                sizes.append(f"{path.stat().st_size / 1e6:.2f}")
        rows.append([f"`{name}`", str(model), model.words, ", ".join(sizes)])
    return rows_of([head, *rows])


def late_steps(train: dict[str, Any]) -> str:
    """In what the last part of the run differs."""
    late = train.get("late_patch")
    return f"patches of {late}x{late} from {train['late_from']:.0%} on" if late else "as the others"


def rate(train: dict[str, Any]) -> str:
    """The learning rate."""
    binary = f", {train['binary_rate']:g} times that for binary filters" if train.get("binary_rate", 1) != 1 else ""
    return f"{train['rate']:g}{binary}, {train['warmup']} steps of warm-up, {train['schedule']}"


def card(plan: Plan) -> str:
    """One model's table."""
    facts, train, network = plan.card, plan.card["train"], make_network(plan.config)
    counts = network.count_parameters(network.init(0))
    data = f"{facts['pictures']} pictures"
    data += f": {facts['data']}" if "trained" in facts else f" of the folder `{facts['data']}` (BSDS500; Yang et al.)"
    validation = facts.get("validation", {"held-out pictures": facts["validation_psnr"]})
    flat = train.get("flat_patches", train.get("flats"))  # as the option is named, and was
    rows = {
        "network": f"`{plan.config}`",
        "parameters": f"{counts['total']:,}, of them {counts['binary']:,} of 1 bit",
        "data": data,
        "degraded": facts.get("degraded", "no"),
        "trained": facts.get("trained", "by `npbsrn train --preset best-bsrn`, on a CPU"),
        "steps": f"{facts['steps']} of {train['batch']} patches of {train['patch']}x{train['patch']} LR pixels",
        "last steps": late_steps(train),
        "flat patches": f"{flat} of {train['batch']} in each batch" if flat else "none",
        "first weights": facts.get("init") or "drawn from the seed",
        "minutes": facts["minutes"],
        "seed": facts["seed"],
        "rate": rate(train),
        "rounded": facts.get("rounded", "nothing"),
        "validation PSNR": "; ".join(f"{psnr} dB on {train['holdout']} {name}" for name, psnr in validation.items()),
    }
    return rows_of([["", ""], *([key, str(value)] for key, value in rows.items())])


def figures(name: str, folder: Path, scale: int) -> str:
    """PSNR and SSIM of every picture beside bicubic's."""
    ours, bicubic = (npbsrn.evaluate(model, folder, scale) for model in (name, "bicubic"))
    rows = [[folder.name, f"{name} dB", "SSIM", "bicubic dB", "SSIM"]]
    for a, b in zip((*ours.scores, ours.mean), (*bicubic.scores, bicubic.mean), strict=True):
        rows.append([a.name, f"{a.psnr:.2f}", f"{a.ssim:.4f}", f"{b.psnr:.2f}", f"{b.ssim:.4f}"])
    return rows_of(rows)


def main() -> None:
    """Write the page."""
    data = Path(os.environ["NPBSRN_DATA"])
    parts = [HEAD.format(table=summary(), cpu=cpu(), quality=QUALITY, figures=means(data))]
    for name, model in MODELS.items():
        for scale in model.scales:
            parts += [f"## {name}-x{scale}\n", card(plan_of(name, scale)) + "\n"]
            parts += [figures(name, data / folder, scale) + "\n" for folder in ("Set5", "Set14")]
    (DOCS / "models.md").write_text("\n".join(parts))


if __name__ == "__main__":
    main()
