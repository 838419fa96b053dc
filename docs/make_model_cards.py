"""Write docs/models.md: the card of each shipped model, and its figures on the test sets.

Run it from the repository's root, with NPBSRN_DATA naming the folder that holds Set5 and Set14:
``NPBSRN_DATA=DIR python docs/make_model_cards.py``.
"""

import os
import platform
from pathlib import Path
from typing import Any

import npbsrn
from npbsrn.models import Model

DOCS = Path(__file__).parent
HEAD = """# The shipped models

Each model has two files with the same network: `NAME.npz` has the latent weights, for further training, and
`NAME-packed.npz` has one bit for each binary weight, which `npbsrn.upscale` reads. `python docs/ship_weights.py RUN`
made them.

This page is written by `NPBSRN_DATA=DIR python docs/make_model_cards.py`, which reads the cards in the weight files
and evaluates the models with the package's default engine. The test sets are only for evaluation; training.md records
what was seen of them on the way.
"""


def cpu() -> str:
    """Name of the CPU, where the system tells."""
    info = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor()


def late_steps(train: dict[str, Any]) -> str:
    """In what the last part of the run differs."""
    late = train.get("late_patch")
    return f"patches of {late}x{late} from {train['late_from']:.0%} on" if late else "as the others"


def card(model: Model) -> str:
    """One model's table."""
    facts, train = model.card, model.card["train"]
    counts = model.network.count_parameters(model.params)
    rows = {
        "network": f"`{model.network.config}`",
        "parameters": f"{counts['total']:,}, of them {counts['binary']:,} of 1 bit",
        "data": f"{facts['pictures']} pictures of the folder `{facts['data']}` (BSDS500 train and test; Yang et al.)",
        "steps": f"{facts['steps']} of {train['batch']} patches of {train['patch']}x{train['patch']} LR pixels",
        "last steps": late_steps(train),
        "first weights": f"those of `{facts['init']}`" if facts.get("init") else "drawn from the seed",
        "minutes": facts["minutes"],
        "seed": facts["seed"],
        "rate": f"{train['rate']:g}, {train['warmup']} steps of warm-up, {train['schedule']}",
        "rounded": facts.get("rounded", "nothing"),
        "validation PSNR": f"{facts['validation_psnr']} dB on {train['holdout']} held-out training pictures",
    }
    return "| | |\n|---|---|\n" + "".join(f"| {key} | {value} |\n" for key, value in rows.items())


def figures(folder: Path, scale: int) -> str:
    """PSNR and SSIM of every picture beside bicubic's."""
    ours, bicubic = (npbsrn.evaluate(model, folder, scale) for model in (None, "bicubic"))
    lines = [f"\n| {folder.name} | npbsrn dB | SSIM | bicubic dB | SSIM |\n|---|---|---|---|---|"]
    for a, b in zip((*ours.scores, ours.mean), (*bicubic.scores, bicubic.mean), strict=True):
        lines.append(f"| {a.name} | {a.psnr:.2f} | {a.ssim:.4f} | {b.psnr:.2f} | {b.ssim:.4f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the page."""
    data = Path(os.environ["NPBSRN_DATA"])
    parts = [HEAD, f"\nJudged on: {cpu()}.\n"]
    for path in sorted((Path(npbsrn.__file__).parent / "weights").glob("*[0-9].npz")):
        model = npbsrn.load(path)
        parts += [f"\n## {path.stem}\n\n", card(model)]
        parts += [figures(data / name, model.scale) for name in ("Set5", "Set14")]
    (DOCS / "models.md").write_text("".join(parts))


if __name__ == "__main__":
    main()
