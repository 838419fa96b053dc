"""``npbsrn plot`` and ``npbsrn bench --plot``."""

import pytest

from npbsrn.cli import bench, costs
from npbsrn.cli.parser import main
from npbsrn.storage import drawing
from npbsrn.training import curves

HEAD = "step,loss,rate,psnr,ssim,seconds"
NEEDS = "matplotlib is not installed: pip install .[plot]"


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two runs, one of them without validation, in the current folder."""
    monkeypatch.chdir(tmp_path)
    lines = {"a": ["5,0.2,1e-3,25.1,0.7,60", "10,0.1,1e-4,26.5,0.8,120"], "b": ["4,0.3,1e-3,,,30", "8,0.25,1e-4,,,60"]}
    for name, rows in lines.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.csv").write_text("\n".join([HEAD, *rows]) + "\n")
    return tmp_path


def plotted(monkeypatch):
    """Every line that is drawn from now on: its points, by its label."""
    pytest.importorskip("matplotlib", reason=NEEDS)
    from matplotlib.axes import Axes

    drawn, plot = [], Axes.plot

    def watched(self, x, y, *style, **words):
        drawn.append((words["label"], list(zip(x, y, strict=True))))
        return plot(self, x, y, *style, **words)

    monkeypatch.setattr(Axes, "plot", watched)
    return drawn


def test_runs_are_drawn_over_steps_and_minutes(runs, monkeypatch, capsys):
    drawn = plotted(monkeypatch)
    assert main(["plot", "a", "second=b"]) == 0
    assert drawn == [
        ("a", [(5, 0.2), (10, 0.1)]), ("second", [(4, 0.3), (8, 0.25)]),
        ("a", [(1, 0.2), (2, 0.1)]), ("second", [(0.5, 0.3), (1, 0.25)]),
        ("a", [(5, 25.1), (10, 26.5)]), ("second", []),
        ("a", [(1, 25.1), (2, 26.5)]), ("second", []),
    ]  # fmt: skip
    assert (runs / "runs.png").read_bytes()[:4] == b"\x89PNG"
    shown = capsys.readouterr().out
    assert "best PSNR 26.500 dB" in shown
    assert shown.endswith("runs.png is written\n")
    assert main(["plot", "a"]) == 2
    assert main(["plot", "a", "--overwrite"]) == 0
    assert main(["plot", "a", "-o", "a.svg"]) == 0
    assert "<svg" in (runs / "a.svg").read_text()


@pytest.mark.parametrize("cut", ["15,0.09,1e-5,27", "15,0.09,1e-5,27,0.8,12"])
def test_a_cut_line_is_left_out(runs, monkeypatch, cut):
    """A run that is killed leaves one, and mends it when it goes on."""
    drawn = plotted(monkeypatch)
    with (runs / "a/metrics.csv").open("a") as file:
        file.write(cut)
    assert main(["plot", "a"]) == 0
    assert drawn[0] == ("a", [(5, 0.2), (10, 0.1)])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none"], "there is no none/metrics.csv; name the folder of a training run"),
        (["a", "a"], "two runs are called a"),
        (["empty"], "has no line of metrics yet"),
        (["foreign"], "holds no metrics of a training run"),
        (["endless"], "holds no metrics of a training run"),
        (["words"], "holds no metrics of a training run"),
        (["long"], "holds no metrics of a training run"),
        (["a/metrics.csv"], "name the folder of a training run"),
        (["a", "-o", "a"], "a is a folder; name a file"),
        (["a", "-o", "a.pgf"], "end it in .png, .svg or .pdf"),
        (["a", "-o", "a.xyz"], "end it in .png, .svg or .pdf"),
        (["a", "-o", "none/a.png"], "there is no folder none"),
    ],
)
def test_what_cannot_be_drawn_is_said(runs, capsys, words, message):
    pytest.importorskip("matplotlib", reason=NEEDS)
    for name, text in (
        ("empty", HEAD + "\n"), ("foreign", "step,seconds\none,two\n"), ("endless", HEAD + "\n5,nan,1,,,3\n"),
        ("words", HEAD + "\n5,0.1,1,good,,3\n"), ("long", HEAD + "\n5,0.1,1,,,3\n6," + "1" * 200_000 + ",1,,,3\n"),
    ):  # fmt: skip
        (runs / name).mkdir()
        (runs / name / "metrics.csv").write_text(text)
    assert main(["plot", *words]) == 2
    assert message in capsys.readouterr().err
    assert not list(runs.glob("*.png"))


def test_labels_are_shown_as_they_are(runs):
    pytest.importorskip("matplotlib", reason=NEEDS)
    assert main(["plot", "_hidden=a", r"$\foo$=b", "-o", "a.svg"]) == 0
    assert (runs / "a.svg").exists()


def test_a_label_with_an_underscore_is_in_the_legend():
    pytest.importorskip("matplotlib", reason=NEEDS)
    axes = drawing.make_figure(1, 1).subplots()
    axes.plot([1], [1], label="_hidden")
    curves._explain(axes)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["_hidden"]


def test_without_matplotlib_it_says_what_to_install(runs, monkeypatch, capsys):
    monkeypatch.setattr(drawing, "can_draw", lambda: False)
    for words in (["plot", "a"], ["bench", "--plot", "b.png"]):
        assert main(words) == 2
        assert "pip install 'npbsrn[plot]'" in capsys.readouterr().err


def test_rates_are_drawn_as_bars():
    pytest.importorskip("matplotlib", reason=NEEDS)
    figure = bench.draw_rates([bench.Rate(100, 200, 1, 0.5), bench.Rate(100, 200, 2, 0.25)], "title")
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches] == [0.04, 0.08]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["200x100, 1 thread", "200x100, 2 threads"]


def test_parts_are_stacked_to_the_estimate():
    pytest.importorskip("matplotlib", reason=NEEDS)
    parts = dict(zip(costs.GROUPS, (1.0, 2.0, 3.0, 4.0, 5.0, 6.0), strict=True))
    figure = bench.draw_costs([costs.Costs("a", parts, 20.0), costs.Costs("b", parts, 22.0)], "title")
    (axes,) = figure.axes
    assert max(bar.get_x() + bar.get_width() for bar in axes.patches) == sum(parts.values())
    assert list(axes.lines[0].get_xdata()) == [20.0, 22.0]


def test_bench_writes_its_figure(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib", reason=NEEDS)
    monkeypatch.setattr(bench, "bench", lambda *_: iter(["head", bench.Rate(100, 200, 1, 0.5)]))
    target = tmp_path / "rates.png"
    assert main(["bench", "--plot", str(target)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "head", "     200x100          1      0.5000   0.04", f"{target} is written",
    ]  # fmt: skip
    assert target.read_bytes()[:4] == b"\x89PNG"
    assert main(["bench", "--plot", str(target)]) == 2
