"""``npbsrn reproduce``: a table of the paper, trained and judged here."""

import argparse
import os
import sys
from pathlib import Path

from npbsrn.cli.say import say, tell_lines
from npbsrn.errors import DataError, UsageError
from npbsrn.reproduction.tables import TABLES, choose_rows
from npbsrn.storage.drawing import check_drawing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which rows, on what, for how long."""
    titles = "; ".join(f"{name}: {table.title}" for name, table in TABLES.items())
    parser.add_argument("table", metavar="TABLE", help=titles)
    parser.add_argument("--steps", type=int, default=4000, help="of each row; default 4000")
    parser.add_argument("--data", type=Path, metavar="DIR", help="training pictures")
    parser.add_argument(
        "--sets", type=Path, nargs="+", metavar="DIR",
        help="folders Set5, Set14, B100, Urban100; default: those that lie beside the training pictures",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("runs/tables"), metavar="DIR",
        help="where rows and tables go, and where an interrupted call goes on; default runs/tables",
    )  # fmt: skip
    parser.add_argument("--only", nargs="+", metavar="ROW", help="rows to train and show, such as vdsr-bam")
    parser.add_argument("--scales", type=int, nargs="+", metavar="S", help="default: the table's, 2 3 4 or 4")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="N", help="runs of each row; default 0")
    parser.add_argument("--show", action="store_true", help="train nothing: print what there is")
    parser.add_argument("--bars", type=Path, metavar="FILE", help="draw PSNR as bars, with the paper's as lines")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> None:
    """``npbsrn reproduce``."""
    from npbsrn.inference.evaluation import evaluate
    from npbsrn.reproduction.report import make_report, write_report
    from npbsrn.reproduction.rows import Task, complete, find_sets

    if not arguments.show:
        _refuse_several()
    rows = choose_rows(arguments.table, arguments.only)
    scales = tuple(dict.fromkeys(arguments.scales or TABLES[arguments.table].scales))
    seeds = dict.fromkeys(arguments.seeds)
    if unknown := set(scales) - set(TABLES[arguments.table].scales):
        raise UsageError(f"{arguments.table} has no scale {min(unknown)}; leave --scales out")
    check_drawing(arguments.bars)
    if arguments.steps < 1:
        raise UsageError(f"--steps must be above 0, not {arguments.steps}")
    if min(seeds) < 0:
        raise UsageError(f"--seeds must be 0 or above, not {min(seeds)}")
    if arguments.data is not None and not arguments.data.is_dir():
        raise DataError(f"there is no folder {arguments.data}; name one that holds pictures")
    if arguments.show and not arguments.output.is_dir():
        raise UsageError(f"there is no folder {arguments.output}; name one that holds rows, or leave --show out")
    tasks = [Task(row, s, arguments.steps, seed) for seed in seeds for s in scales for row in rows]
    sets = find_sets(arguments.sets, arguments.data)
    if not arguments.show:
        if not sets:
            say("there is no test set beside the training pictures: rows are trained, not judged; --sets names some")
        others = complete(tasks, arguments.output, arguments.data, sets, say, not arguments.quiet)
        for task in others:
            say(f"{task.folder} is left to another process, which is at work on it")
    check = {}
    for scale in scales:
        for name, folder in sets.items():
            mean = evaluate("bicubic", folder, scale).mean
            check[scale, name] = mean.psnr, mean.ssim
    report = make_report(arguments.table, rows, scales, tasks, arguments.output, check)
    tell_lines(report.to_text().rstrip("\n"))
    if arguments.bars is not None:
        from npbsrn.reproduction.bars import draw_bars

        draw_bars(report, arguments.bars)
    if arguments.show and not os.access(arguments.output, os.W_OK):
        say(f"the folder {arguments.output} may not be written, so the table is in no file")
        return
    for path in write_report(report, arguments.output):
        say(f"{path} holds the table")


def _refuse_several() -> None:
    """Refuse processes that MPI would connect: each would take another row, and then train it with the others."""
    from npbsrn.training.ranks import is_first, is_one_of_several

    if is_one_of_several():
        if not is_first():
            sys.exit(2)
        raise UsageError(
            "several processes of one mpiexec or srun are one training, and rows are trained apart; start each process "
            "by itself: they share the rows"
        )
