"""The paper's tables: which networks are their rows, and what the paper prints for them.

All rows are trained alike (`RECIPE`), on the same pictures and for the same number of steps: the tables compare schemes
and networks, not recipes. The paper's own figures are in ``paper.csv``, beside this file.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, NamedTuple

from npbsrn.binarizers.bam import ABLATIONS
from npbsrn.errors import UsageError

SETS = ("Set5", "Set14", "B100", "Urban100")  # as the paper has them
BICUBIC = "bicubic"
RECIPE: Mapping[str, Any] = {"rate": 1e-3, "clip": 0.05}  # what differs from the preset default


@dataclass(frozen=True)
class Row:
    """A network of a table.

    Parameters
    ----------
    name : str
        On the command line and of its folder.
    label : str
        As the paper prints it, or in the paper's manner.
    network : str
    binarizer : dict
        Its name and options.
    """

    name: str
    label: str
    network: str
    binarizer: Mapping[str, Any] = field(default_factory=dict)

    def options(self) -> dict[str, Any]:
        """Of `npbsrn.train`."""
        return {"network": self.network, "binarizer": dict(self.binarizer), **RECIPE}


@dataclass(frozen=True)
class Table:
    """A table of the paper.

    Parameters
    ----------
    title : str
    rows : tuple of str
        Names of `ROWS`.
    scales : tuple of int
    costs : bool
        Whether it prints parameters and multiply-accumulates.
    """

    title: str
    rows: tuple[str, ...]
    scales: tuple[int, ...] = (2, 3, 4)
    costs: bool = False


def _schemes(network: str, label: str) -> list[Row]:
    named = {"bnn": "BNN", "dorefa": "DoReFa", "abc": "ABC", "bam": "BAM"}
    return [Row(f"{network}-{name}", f"{label}_{shown}", network, {"name": name}) for name, shown in named.items()]


ROWS = {
    row.name: row
    for row in [
        *_schemes("vdsr", "VDSR"),
        *_schemes("srresnet", "SRResNet"),
        Row("bsrn", "BSRN", "bsrn", {"name": "bam"}),
        *(Row(f"bsrn-{name.lower()}", name, "bsrn", {"name": "bam", **own}) for name, own in ABLATIONS.items()),
        Row("srresnet-gain", "SRResNet, Ma et al.", "srresnet", {"name": "bw", "method": "gain"}),
        Row("srresnet-bw", "SRResNet_BAM, filters", "srresnet", {"name": "bw"}),
    ]
}
_ABLATED = tuple(f"bsrn-{name.lower()}" for name in ABLATIONS)

TABLES = {
    "table1": Table("VDSR under each scheme", tuple(row.name for row in _schemes("vdsr", ""))),
    "table2": Table("SRResNet under each scheme", tuple(row.name for row in _schemes("srresnet", ""))),
    "table3": Table("BSRN and the networks with BAM", ("vdsr-bam", "srresnet-bam", "bsrn"), (4,), costs=True),
    "table4": Table("BSRN without parts of BAM", (*_ABLATED, "bsrn"), (4,)),
    "table5": Table("Binary filters, float activations", ("srresnet-gain", "srresnet-bw")),
}


class Published(NamedTuple):
    """What the paper prints: PSNR in dB, SSIM, and a note: "misprint", "unchecked" or none (see ``paper.csv``)."""

    psnr: float | None
    ssim: float | None
    note: str


def published() -> dict[tuple[str, str, int, str], Published]:
    """The paper's figures by table, row, scale and set; the rows of bicubic interpolation have the table "all"."""
    text = files("npbsrn.reproduction").joinpath("paper.csv").read_text(encoding="utf-8")
    lines = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return {
        (line["table"], line["row"], int(line["scale"]), line["set"]): Published(
            _number(line["psnr"]), _number(line["ssim"]), line["note"]
        )
        for line in lines
    }


def _number(text: str) -> float | None:
    return float(text) if text else None


def choose_rows(table: str, only: list[str] | None) -> tuple[str, ...]:
    """The rows of a table, or some of them, by name or as the paper prints them.

    Raises
    ------
    UsageError
        If there is no such table or row.
    """
    if table not in TABLES:
        raise UsageError(f"there is no {table}; choose among {', '.join(TABLES)}")
    rows = TABLES[table].rows
    words = {word.lower(): name for name in rows for word in (name, ROWS[name].label)}
    for word in only or ():
        if word.lower() not in words:
            raise UsageError(f"{table} has no row {word}; it has {', '.join(rows)}")
    return tuple(dict.fromkeys(words[word.lower()] for word in only)) if only else rows
