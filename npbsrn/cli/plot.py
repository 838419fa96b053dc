"""``npbsrn plot``: curves of training runs beside each other."""

import argparse
from pathlib import Path

from npbsrn.cli.say import tell
from npbsrn.errors import UsageError
from npbsrn.storage.drawing import check_drawing
from npbsrn.storage.run_files import METRICS
from npbsrn.training.curves import draw_runs, read_metrics


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The runs, and where the figure goes."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folders of training runs, or LABEL=RUN")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("runs.png"), metavar="FILE",
        help=".png, .svg or .pdf; default runs.png",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")


def run(arguments: argparse.Namespace) -> None:
    """``npbsrn plot``."""
    check_drawing(arguments.output, arguments.overwrite)
    runs = {}
    for words in arguments.runs:
        label, folder = _labelled(words)
        if label in runs:
            raise UsageError(f"two runs are called {label}; name one of them by LABEL={folder}")
        runs[label] = read_metrics(folder / METRICS)
        if not runs[label]:
            raise UsageError(f"{folder} has no line of metrics yet; leave it out, or wait for its first validation")
        tell(f"{label:24} {_summary(runs[label])}")
    draw_runs(runs, arguments.output, arguments.overwrite)
    tell(f"{arguments.output} is written")


def _labelled(words: str) -> tuple[str, Path]:
    """A run's label, by default its folder's name, and its folder."""
    label, equals, folder = words.partition("=")
    if equals and label and not Path(words).is_dir():
        return label, Path(folder)
    return Path(words).absolute().name, Path(words)


def _summary(rows: list[dict[str, str]]) -> str:
    last, judged = rows[-1], [float(row["psnr"]) for row in rows if row.get("psnr")]
    best = f", best PSNR {max(judged):.3f} dB" if judged else ""
    return f"{last['step']:>7} steps, {float(last['seconds']) / 60:7.1f} minutes, loss {float(last['loss']):.5f}{best}"
