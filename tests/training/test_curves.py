import pytest
from PIL import Image

from npbsrn.training.curves import draw_curves

LINES = "step,loss,rate,psnr,ssim,seconds\n5,0.2,1e-3,25.1,0.7,3\n10,0.1,1e-4,,,6\n"


def test_curves_are_drawn_where_they_can_be(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install .[plot]")
    (tmp_path / "metrics.csv").write_text(LINES)
    assert draw_curves(tmp_path / "metrics.csv", tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as image:
        assert image.size == (770, 660)


def test_each_validation_folder_has_its_curve(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install .[plot]")
    from matplotlib.axes import Axes

    drawn, plot = [], Axes.plot
    monkeypatch.setattr(Axes, "plot", lambda self, x, y, **words: (drawn.append((x, y)), plot(self, x, y, **words))[1])
    header, *lines = LINES.splitlines()
    lines = [f"{header},psnr_Set14,ssim_Set14", f"{lines[0]},,", f"{lines[1]},27.5,0.8"]
    (tmp_path / "metrics.csv").write_text("\n".join(lines) + "\n")
    assert draw_curves(tmp_path / "metrics.csv", tmp_path / "curves.png")
    assert drawn == [([5, 10], [0.2, 0.1]), ([5], [25.1]), ([10], [27.5])]


def test_without_a_line_there_is_nothing_to_draw(tmp_path):
    (tmp_path / "metrics.csv").write_text(LINES.splitlines()[0] + "\n")
    assert not draw_curves(tmp_path / "metrics.csv", tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()
