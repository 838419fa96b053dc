import csv
import dataclasses
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npbsrn.errors import UsageError
from npbsrn.reproduction.report import Cell, Report, make_report, write_report
from npbsrn.reproduction.rows import Task
from npbsrn.reproduction.tables import BICUBIC, ROWS, TABLES, published

figures = st.none() | st.integers(2000, 4000).map(lambda n: n / 100)


@st.composite
def reports(draw):
    """Of table 2, with some figures missing."""
    cells = []
    for scale in draw(st.sets(st.sampled_from((2, 3, 4)), min_size=1)):
        for row in (BICUBIC, *TABLES["table2"].rows):
            for name in ("Set5", "Urban100"):
                label = "bicubic" if row == BICUBIC else ROWS[row].label
                note = draw(st.sampled_from(["", "misprint", "unchecked"]))
                cells.append(Cell(row, label, scale, name, draw(figures), None, None, draw(figures), None, note))
    return Report("table2", tuple(cells), ())


@given(reports())
def test_csv_and_json_hold_every_cell(report):
    wanted = [dataclasses.asdict(cell) for cell in report.cells]
    assert json.loads(report.to_json())["cells"] == wanted
    lines = list(csv.DictReader(io.StringIO(report.to_csv())))
    assert [{k: "" if v is None else str(v) for k, v in cell.items()} for cell in wanted] == lines


@given(reports())
def test_the_best_are_marked_and_no_others(report):
    """Of each column of at least two figures; never bicubic interpolation, nor a misprint."""
    for figure in ("psnr", "paper_psnr"):
        for scale, name in {(cell.scale, cell.set) for cell in report.cells}:
            column = [c for c in report.cells if (c.scale, c.set) == (scale, name) and c.row != BICUBIC]
            values = [
                value
                for c in column
                if (value := getattr(c, figure)) is not None and (figure == "psnr" or c.note != "misprint")
            ]
            assert report.best(scale, name, figure) == (max(values) if len(values) > 1 else None)
    text = report.to_text()
    for line in text.splitlines():
        assert not (line.startswith("bicubic") and "*" in line)


def test_what_is_printed_alike_is_marked_alike():
    """But for a misprint."""
    figures = {"vdsr-bnn": (30.001, 29.0, ""), "vdsr-abc": (29.999, 29.0, "misprint"), "vdsr-bam": (29.99, 29.0, "")}
    cells = [
        Cell(row, ROWS[row].label, 4, "Set5", own, None, None, paper, None, note)
        for row, (own, paper, note) in figures.items()
    ]
    lines = Report("table1", tuple(cells), ()).to_text().splitlines()
    shown = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines if line.startswith("VDSR_")}
    assert shown["VDSR_BNN"].startswith("30.00* - (29.00* -)")
    assert shown["VDSR_ABC"].startswith("30.00* - (29.00 -!)")
    assert shown["VDSR_BAM"].startswith("29.99 - (29.00* -)")


@given(reports())
def test_text_and_markdown_say_the_same(report):
    def words(text):
        return text.replace("*", "").replace("|", " ").replace("---", "").split()

    assert words(report.to_text()) == words(report.to_markdown())


def test_seeds_are_averaged_and_the_paper_stands_beside(tmp_path):
    tasks = [Task("srresnet-bam", 2, 7, seed) for seed in (0, 1)]
    for task, psnr in zip(tasks, (36.5, 36.75), strict=True):
        (tmp_path / task.folder).mkdir()
        result = dataclasses.asdict(task) | {"sets": {"Set5": {"psnr": psnr, "ssim": 0.95}}, "minutes": 2.0}
        (tmp_path / task.folder / "result.json").write_text(json.dumps(result))
    report = make_report("table2", ["srresnet-bam"], [2], tasks, tmp_path, {(2, "Set5"): (33.67, 0.93)})
    bicubic, own = report.cells
    assert (own.psnr, own.spread, own.paper_psnr) == (36.625, 0.25, published()["table2", own.row, 2, "Set5"].psnr)
    assert (bicubic.psnr, bicubic.paper_psnr) == (33.67, published()["all", BICUBIC, 2, "Set5"].psnr)
    assert "7 x 2" in report.to_text()
    paths = write_report(report, tmp_path)
    assert [path.name for path in paths] == [f"table2-x2-srresnet-bam.{form}" for form in ("txt", "md", "csv", "json")]
    assert paths[0].read_text() == report.to_text()


def test_a_part_of_a_table_has_files_of_its_own(tmp_path):
    rows, scales = TABLES["table1"].rows, TABLES["table1"].scales
    parts = [(rows, scales), (rows, scales[:1]), (rows[:2], scales), (rows[:1], scales[1:])]
    names = [make_report("table1", *part, [], tmp_path, {}).name for part in parts]
    assert names == ["table1", "table1-x2", f"table1-{rows[0]}-{rows[1]}", f"table1-x3-x4-{rows[0]}"]


def test_a_row_that_diverged_says_so(tmp_path):
    task = Task("srresnet-bnn", 2, 7)
    (tmp_path / task.folder).mkdir()
    result = dataclasses.asdict(task) | {"sets": {}, "diverged": "the loss is nan"}
    (tmp_path / task.folder / "result.json").write_text(json.dumps(result))
    report = make_report("table2", ["srresnet-bnn"], [2], [task], tmp_path, {})
    assert "diverged" in report.to_text()


def test_table3_prints_the_costs(tmp_path):
    report = make_report("table3", TABLES["table3"].rows, [4], [], tmp_path, {})
    assert "1219 K" in report.to_text()  # docs/paper.md
    assert "84.7 G" in report.to_text()


def test_bars_are_as_high_as_the_figures(tmp_path):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    from npbsrn.reproduction.bars import draw_bars, draw_place

    cells = [
        Cell(row, row, 4, "Set5", psnr, 0.8, None, printed, None, note)
        for row, psnr, printed, note in (
            (BICUBIC, 28.0, 28.5, ""), ("a", 29.0, None, ""), ("b", None, 30.0, ""), ("c", 31.0, 50.0, "misprint"),
        )
    ]  # fmt: skip
    report = Report("table2", tuple(cells), ())
    draw_bars(report, tmp_path / "bars.png")
    assert (tmp_path / "bars.png").read_bytes()[:4] == b"\x89PNG"
    axes = Figure().subplots()
    draw_place(axes, cells)
    assert [(bar.get_x() + 0.4, bar.get_height()) for bar in axes.patches] == [(0, 28.0), (1, 29.0), (3, 31.0)]
    assert [line.get_segments()[0][0][1] for line in axes.collections] == [28.5, 30.0]
    for name in ("bars.nosuch", "bars"):
        with pytest.raises(UsageError, match="names no format of figures"):
            draw_bars(report, tmp_path / name)
        assert not (tmp_path / name).exists()
    with pytest.raises(UsageError, match="no figures to draw yet"):
        draw_bars(Report("table2", (), ()), tmp_path / "none.png")
