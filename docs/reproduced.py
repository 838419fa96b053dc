"""The tables of docs/reproduction.md, of the rows in training/tables; `make_performance` writes them."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from npbsrn.reproduction.report import make_report
from npbsrn.reproduction.rows import Task
from npbsrn.reproduction.tables import TABLES

ROWS = Path(__file__).parents[1] / "training/tables"
BICUBIC = Path(__file__).parent / "figures/bicubic.json"  # of ``npbsrn eval DIR -s SCALE -m bicubic``
STEPS = {2: 2000, 3: 2000, 4: 4000}  # by scale
SEEDS = 0, 1


def rows_of(table: str, scale: int) -> str:
    """A table of the paper at a scale, in Markdown; of several seeds, means."""
    rows = TABLES[table].rows
    tasks = [Task(row, scale, STEPS[scale], seed) for row in rows for seed in SEEDS]
    bicubic = json.loads(BICUBIC.read_text())["figures"][f"x{scale}"]
    check = {(scale, name): (psnr, ssim) for name, (psnr, ssim) in bicubic.items()}
    report = make_report(table, rows, [scale], tasks, ROWS, check)
    return report.to_markdown().split("\n\n")[1]


SHOWN: dict[str, Callable[[], str]] = {
    f"{table}_x{scale}": partial(rows_of, table, scale) for table, own in TABLES.items() for scale in own.scales
}
