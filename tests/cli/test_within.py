"""Folders for results that lie within a folder that is enlarged, or around it: nothing is lost, nothing goes unsaid."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from npbsrn.cli.batch import Wish, plan
from npbsrn.cli.parser import main
from npbsrn.images.picture import Picture
from npbsrn.images.reading import is_ours
from npbsrn.images.saving import Saving, provenance
from npbsrn.images.writing import encode_picture
from tests.cli.test_bad_input import contents
from tests.cli.test_batch import draw


@pytest.fixture
def photographs(tmp_path, monkeypatch):
    """A folder of originals, of which some lie in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    for level, name in enumerate(("ph/a.png", "ph/y/a.png", "ph/y/b.png"), 1):
        draw(tmp_path / name, level)
    return tmp_path


def enlarge(*words):
    return main([*words, "-m", "bicubic", "-s", "2"])


def taken(*inputs, **options):
    return [str(source) for source, _ in plan(Wish([Path(name) for name in inputs], **options)).jobs]


def test_originals_among_the_results_are_not_replaced(photographs, capsys):
    before = contents(photographs)
    for words in (["ph", "-o", "ph/y", "--overwrite"], ["ph", "-o", "ph/y", "--overwrite", "--flat"]):
        assert enlarge(*words) == 2
        assert "would replace a picture that does not say that npbsrn made it" in capsys.readouterr().err
        assert contents(photographs) == before


def test_originals_among_the_results_are_named(photographs, capsys):
    assert enlarge("ph", "-o", "ph/y") == 0
    said = capsys.readouterr()
    assert "1 existed already" in said.out
    assert "left out, as what is not taken from folders: ph/y/b.png" in said.err


def test_results_of_other_runs_are_left_out_unless_they_are_named(photographs):
    assert enlarge("ph", "-o", "ph/out") == 0
    assert taken("ph", output="ph/more") == ["ph/a.png", "ph/y/a.png", "ph/y/b.png"]
    assert taken("ph", "ph/out", output="more") == [
        "ph/a.png", "ph/out/a.png", "ph/out/y/a.png", "ph/out/y/b.png", "ph/y/a.png", "ph/y/b.png",
    ]  # fmt: skip
    for named in ("ph/out/y", "ph/out/y/b.png"):
        assert "ph/out/y/b.png" in taken("ph", named, output="ph/more")


def test_a_picture_keeps_its_place_in_a_folder_that_is_named_with_it(photographs):
    assert plan(Wish([Path("ph"), Path("ph/y/a.png")], output="out")).clashes == []


def test_results_do_not_lie_among_originals_of_a_folder_within_theirs(photographs, capsys):
    draw(Path("ph/ph/c.png"))
    before = contents(photographs)
    assert enlarge("ph", "-o", ".") == 2  # which would be ./ph/c.png
    assert "ph/c.png would lie among the originals, in ph" in capsys.readouterr().err
    assert contents(photographs) == before


@pytest.mark.parametrize("form", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.filterwarnings("ignore:.*8 bits a channel")
def test_a_result_says_so_at_every_depth(tmp_path, form, dtype):
    if dtype != np.uint8 and (form in ("jpg", "webp") or (form == "png" and dtype == np.float32)):
        pytest.skip("which there is not")
    samples = np.zeros((4, 5, 3), dtype)
    for said in (None, provenance("1", "clean", 4)):
        (tmp_path / f"a.{form}").write_bytes(encode_picture(Picture(samples), form, Saving(provenance=said)))
        assert is_ours(tmp_path / f"a.{form}") == (said is not None)


def test_grey_over_a_coloured_background_is_no_pgm(photographs, capsys):
    Image.new("LA", (3, 2), (9, 100)).save("la.png")
    assert enlarge("la.png", "-o", "la.pgm", "--background", "red") == 2
    assert "a .pgm holds no colours" in capsys.readouterr().err
    assert enlarge("la.png", "-o", "la.pgm") == 0
    assert Path("la.pgm").read_bytes()[:2] == b"P5"


def test_a_suffix_that_ends_with_a_sign_of_equality(photographs):
    assert enlarge("ph/a.png", "--suffix=-x=") == 0
    assert Path("ph/a-x=.png").exists()
