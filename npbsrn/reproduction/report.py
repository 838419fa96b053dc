"""A table of results beside the paper's figures: as text, Markdown, CSV and JSON."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from npbsrn.networks.base import make_network
from npbsrn.reproduction.rows import Task, read_result
from npbsrn.reproduction.tables import BICUBIC, ROWS, SETS, TABLES, published
from npbsrn.storage.files import atomic_write

WIDTH, HEIGHT = 1280, 720  # of the result for which the paper counts multiply-accumulates
MARKS = {"misprint": "!", "unchecked": "~"}
LEGEND = (
    "In brackets: the paper. Marked: the best of a column as printed, of ours and of the paper's each; -: not known; "
    "!: a misprint, left out; ~: as later papers quote it, not compared with the print."
)


@dataclass(frozen=True)
class Cell:
    """A row's figures on a test set at a scale.

    Parameters
    ----------
    row, label : str
    scale : int
    set : str
    psnr, ssim : float or None
        Means over the seeds; None where there are none yet.
    spread : float or None
        Largest less smallest PSNR of the seeds, of two and more.
    paper_psnr, paper_ssim : float or None
    note : str
        Of the paper's figure; see `npbsrn.reproduction.tables.Published`.
    """

    row: str
    label: str
    scale: int
    set: str
    psnr: float | None
    ssim: float | None
    spread: float | None
    paper_psnr: float | None
    paper_ssim: float | None
    note: str


@dataclass(frozen=True)
class Report:
    """A table: `cells`, and for each row and scale what is known of its training, `runs`."""

    table: str
    cells: tuple[Cell, ...]
    runs: tuple[dict[str, Any], ...]

    @property
    def name(self) -> str:
        """The table's; that of a part has its scales and rows, so that its files do not replace the whole's."""
        scales = tuple(dict.fromkeys(cell.scale for cell in self.cells))
        rows = tuple(dict.fromkeys(cell.row for cell in self.cells if cell.row != BICUBIC))
        whole = TABLES[self.table]
        parts = [f"x{scale}" for scale in scales] if set(scales) != set(whole.scales) else []
        return "-".join([self.table, *parts, *(rows if set(rows) != set(whole.rows) else ())])

    def best(self, scale: int, name: str, figure: str) -> float | None:
        """The best of a column; what the paper misprints is left out."""
        own = [c for c in self.cells if (c.scale, c.set) == (scale, name) and c.row != BICUBIC]
        trusted = [c for c in own if c.note != "misprint" or not figure.startswith("paper")]
        values = [value for c in trusted if (value := getattr(c, figure)) is not None]
        return max(values) if len(values) > 1 else None

    def to_text(self) -> str:
        """Lines with aligned columns."""
        return self._laid_out(_aligned, "{}*")

    def to_markdown(self) -> str:
        """Tables of Markdown, with the best in bold."""
        return self._laid_out(_markdown, "**{}**")

    def to_csv(self) -> str:
        """A line for each cell."""
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, list(asdict(self.cells[0])), lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(cell) for cell in self.cells)
        return text.getvalue()

    def to_json(self) -> str:
        """Cells and runs."""
        whole = {"table": self.table, "cells": [asdict(cell) for cell in self.cells], "runs": list(self.runs)}
        return json.dumps(whole, indent=2) + "\n"

    def _laid_out(self, lay_out: Any, mark: str) -> str:
        parts = [f"{self.table}: {TABLES[self.table].title}. PSNR in dB and SSIM of Y."]
        for scale in dict.fromkeys(cell.scale for cell in self.cells):
            own = [cell for cell in self.cells if cell.scale == scale]
            sets = list(dict.fromkeys(cell.set for cell in own))
            costs = TABLES[self.table].costs
            head = [f"x{scale}", *(["parameters", "MACs"] if costs else []), *sets, "steps", "minutes"]
            lines = []
            for row in dict.fromkeys(cell.row for cell in own):
                cells = [cell for cell in own if cell.row == row]
                figures = [self._figures(cell, mark) for cell in cells]
                lines.append([cells[0].label, *(_costs(row, scale) if costs else []), *figures, *self._run(row, scale)])
            parts.append(lay_out(head, lines))
        return "\n\n".join([*parts, LEGEND]) + "\n"

    def _figures(self, cell: Cell, mark: str) -> str:
        def marked(value: float | None, figure: str, form: str) -> str:
            if value is None:
                return "-"
            printed, best = f"{value:{form}}", self.best(cell.scale, cell.set, figure)
            misprint = cell.note == "misprint" and figure.startswith("paper")
            is_best = best is not None and printed == f"{best:{form}}" and cell.row != BICUBIC and not misprint
            return mark.format(printed) if is_best else printed

        own = f"{marked(cell.psnr, 'psnr', '.2f')} {marked(cell.ssim, 'ssim', '.4f')}"
        paper = f"{marked(cell.paper_psnr, 'paper_psnr', '.2f')} {marked(cell.paper_ssim, 'paper_ssim', '.3f')}"
        return f"{own} ({paper}{MARKS.get(cell.note, '')})"

    def _run(self, row: str, scale: int) -> list[str]:
        own = [run for run in self.runs if (run["row"], run["scale"]) == (row, scale)]
        if not own:
            return ["", ""]
        if any("diverged" in run for run in own):
            return [f"{own[0]['steps']}", "diverged"]
        seeds = f" x {len(own)}" if len(own) > 1 else ""
        return [f"{own[0]['steps']}{seeds}", f"{sum(run.get('minutes', 0) for run in own):.0f}"]


def make_report(
    table: str, rows: Sequence[str], scales: Sequence[int], tasks: Sequence[Task], folder: Path,
    bicubic: Mapping[tuple[int, str], tuple[float, float]],
) -> Report:  # fmt: skip
    """Collect what there is.

    Parameters
    ----------
    table : str
    rows, scales
        Those that are shown.
    tasks : sequence of Task
    folder : path
        That of all rows.
    bicubic : dict
        PSNR and SSIM of bicubic interpolation by scale and set: the check that the protocol is the paper's.
    """
    results = {task: read_result(folder, task) for task in tasks}
    paper = published()
    cells = []
    for scale in scales:
        for row in (BICUBIC, *rows):
            own = [r for t, r in results.items() if r is not None and (t.row, t.scale) == (row, scale)]
            for name in _sets_of(results.values(), bicubic):
                print_ = paper.get((table if row != BICUBIC else "all", row, scale, name))
                if row == BICUBIC:
                    seen = [bicubic[scale, name]] if (scale, name) in bicubic else []
                else:
                    seen = [(s["psnr"], s["ssim"]) for r in own if (s := r["sets"].get(name)) is not None]
                cells.append(_cell(row, scale, name, seen, print_))
    return Report(table, tuple(cells), tuple(result for result in results.values() if result is not None))


def write_report(report: Report, folder: Path) -> list[Path]:
    """Write the table in all four forms, as files of its `Report.name`; returns them."""
    forms = {"txt": report.to_text(), "md": report.to_markdown(), "csv": report.to_csv(), "json": report.to_json()}
    paths = []
    for suffix, text in forms.items():
        paths.append(folder / f"{report.name}.{suffix}")
        with atomic_write(paths[-1]) as file:
            file.write(text.encode())
    return paths


def _cell(row: str, scale: int, name: str, seen: Sequence[tuple[float, float]], paper: Any) -> Cell:
    psnr, ssim = (sum(values) / len(seen) for values in zip(*seen, strict=True)) if seen else (None, None)
    values = [psnr for psnr, _ in seen]
    spread = max(values) - min(values) if len(values) > 1 else None
    label = "bicubic" if row == BICUBIC else ROWS[row].label
    printed = (None, None, "") if paper is None else paper
    return Cell(row, label, scale, name, psnr, ssim, spread, *printed)


def _sets_of(results: Iterable[Mapping[str, Any] | None], bicubic: Mapping[tuple[int, str], Any]) -> list[str]:
    there = {name for result in results if result for name in result["sets"]} | {name for _, name in bicubic}
    return [name for name in SETS if name in there] or [SETS[0]]


def _costs(row: str, scale: int) -> list[str]:
    if row == BICUBIC:
        return ["", ""]
    network = make_network({"name": ROWS[row].network, "binarizer": dict(ROWS[row].binarizer), "scale": scale})
    macs = network.trace(HEIGHT // scale, WIDTH // scale).macs
    return [f"{network.count_parameters(network.init(0))['total'] / 1e3:.0f} K", f"{macs / 1e9:.1f} G"]


def _aligned(head: list[str], lines: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    padded = (map(str.ljust, line, widths) for line in [head, *lines])
    return "\n".join("  ".join(words).rstrip() for words in padded)


def _markdown(head: list[str], lines: list[list[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
