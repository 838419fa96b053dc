import numpy as np
import pytest
from PIL import Image

from npbsrn.cli.parser import main


@pytest.fixture
def words(photographs, tmp_path):
    return ["compare", str(photographs / "0.png"), "--models", "bicubic,same=bicubic", "-s", "2"]


def test_a_panel_and_a_page(words, tmp_path, capsys):
    panel, page = tmp_path / "panel.png", tmp_path / "page.html"
    assert main([*words, "-o", str(panel), "--html", str(page), "--crop", "1,2,8,6"]) == 0
    said = capsys.readouterr().out
    assert "crop                     1,2,8,6" in said
    assert said.count(" dB / ") == 2
    assert np.asarray(Image.open(panel)).shape[2] == 3
    assert "0.png, reduced and enlarged x2" in page.read_text()
    before = panel.read_bytes(), page.read_bytes()
    for option, path in (("-o", panel), ("--html", page)):
        assert main([*words, option, str(path)]) == 2
        assert "exists" in capsys.readouterr().err
    assert (panel.read_bytes(), page.read_bytes()) == before
    assert main([*words, "-o", str(panel), "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--html", "page.png"], "a page ends in .html"),
        (["--html", ".", "--overwrite"], "cannot write .: it is a folder; name a file"),
        (["-o", "none/panel.png"], "there is no folder none"),
        (["-o", "panel.xyz"], "cannot write panel.xyz: choose a suffix among"),
        (["--crop", "0,0,9999,1"], "does not lie in the picture"),
        (["--models", "bicubic,bicubic"], "a label of its own"),
        (["--models", "nosuch"], "there is no model nosuch"),
        (["--models", "Clean"], "there is no model Clean, nor a file or run of that name; did you mean clean?"),
    ],
)
def test_what_does_not_make_sense_is_refused(words, more, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert main([*words, *more]) == 2
    assert said in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_crop_that_is_none_is_bad_usage(words, capsys):
    for crop in ("1,2,3", "a,b,c,d", "1,2,3,-4"):
        with pytest.raises(SystemExit) as end:
            main([*words, "--crop", crop])
        assert end.value.code == 2
        assert "is no place of a crop" in capsys.readouterr().err
