"""What is taken, and where results go: next to nothing is written here."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from npbsrn.cli.batch import Wish, plan
from npbsrn.cli.parser import main
from tests.cli.test_bad_input import contents
from tests.cli.test_batch import POSIX, draw, level

PLACES = {
    "beside": (["a.jpg"], {}, [("a.jpg", "a-x4.jpg")]),
    "beside, by a suffix": (["a.jpg"], {"suffix": "_big"}, [("a.jpg", "a_big.jpg")]),
    "beside, in another format": (["a.jpg"], {"form": ".png", "suffix": ""}, [("a.jpg", "a.png")]),
    "a file": (["a.jpg"], {"output": "b.webp"}, [("a.jpg", "b.webp")]),
    "a new folder": (["a.jpg"], {"output": "new"}, [("a.jpg", "new/a.jpg")]),
    "a new folder with a dot": (["a.jpg"], {"output": "v1.2/"}, [("a.jpg", "v1.2/a.jpg")]),
    "a folder that is there": (["a.jpg"], {"output": "f.d"}, [("a.jpg", "f.d/a.jpg")]),
    "what is read alone": (["t.tga"], {}, [("t.tga", "t-x4.png")]),
    "a folder": (["f.d"], {}, [("f.d/g/c.png", "f.d/g/c-x4.png"), ("f.d/x.png", "f.d/x-x4.png")]),
    "a flat folder": (["f.d"], {"flat": True}, [("f.d/x.png", "f.d/x-x4.png")]),
    "a folder to another": (["f.d"], {"output": "o"}, [("f.d/g/c.png", "o/g/c.png"), ("f.d/x.png", "o/x.png")]),
    "both": (["t.tga", "f.d/g"], {"output": "o"}, [("t.tga", "o/t.png"), ("f.d/g/c.png", "o/c.png")]),
    "twice": (["f.d/g", "f.d/g/c.png", "./f.d/g/c.png"], {}, [("f.d/g/c.png", "f.d/g/c-x4.png")]),
    "not there, among others": (["no.png", "a.jpg"], {}, [("no.png", "no-x4.png"), ("a.jpg", "a-x4.jpg")]),
}


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    for name in ("a.jpg", "t.tga", "f.d/x.png", "f.d/g/c.png", "f.d/.h/c.png", "f.d/.h.png"):
        draw(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("case", PLACES)
def test_where_results_go(workplace, case):
    inputs, options, expected = PLACES[case]
    batch = plan(Wish([Path(name) for name in inputs], **options))
    assert batch.jobs == [(Path(source), Path(target)) for source, target in expected]


def test_results_of_earlier_runs_are_left_out(workplace):
    for name in ("a-x4.jpg", "a-x1.5.png", "t-x2.png", "a-xyz.png", "b-x4.jpg", "f.d/x_big.png"):
        draw(Path(name))
    batch = plan(Wish([Path()], flat=True))
    assert batch.results == [Path("a-x1.5.png"), Path("a-x4.jpg"), Path("t-x2.png")]
    assert [source.name for source, _ in batch.jobs] == ["a-xyz.png", "b-x4.jpg", "t.tga"]
    assert batch.existing == [Path("a-x4.jpg")]
    named = plan(Wish([Path("a.jpg"), Path("a-x4.jpg"), Path("t-x2.png")]))  # as a shell's *.jpg names them
    assert (named.jobs, named.existing) == ([], [Path("a-x4.jpg")])
    assert plan(Wish([Path("f.d")], suffix="_big")).results == [Path("f.d/x_big.png")]
    assert plan(Wish([Path("a-x4.jpg")])).jobs == [(Path("a-x4.jpg"), Path("a-x4-x4.jpg"))]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_of_the_pictures_of_a_call_only_results_are_replaced(workplace, capsys, suffix):
    """A picture may be called as a result is: it is replaced only if it says that it is one."""
    taken, foreign = Path(f"f.d/p{suffix}"), draw(Path(f"f.d/p-x2{suffix}"), 99)
    draw(taken)
    before = contents(workplace)
    for words in (["f.d"], ["f.d/p-x2" + suffix, str(taken)]):
        assert main([*words, "-s", "2", "-m", "bicubic", "--overwrite"]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"npbsrn: {foreign}, the result of {taken}, would replace a picture that does not say")
        assert said.count("\n") == 1
        assert contents(workplace) == before
    assert main([str(taken), "-s", "2", "-m", "bicubic", "--overwrite"]) == 0  # which was not among the pictures
    assert level(foreign)[0] == (6, 4)
    draw(taken, 200)
    for words in (["f.d", "--flat"], [str(foreign), str(taken)]):
        assert main([*words, "-s", "2", "-m", "bicubic", "--overwrite"]) == 0
    assert abs(np.mean(level(foreign)[1]) - 200) < 3
    draw(taken, 50)
    assert main(["f.d", "-s", "2", "-m", "bicubic", "--overwrite", "--strip-metadata"]) == 0
    assert abs(np.mean(level(foreign)[1]) - 50) < 3
    assert main(["f.d", "-s", "2", "-m", "bicubic", "--overwrite"]) == 2  # as it says nothing any more


def test_a_folder_is_made_when_there_is_something_to_write(workplace, capsys):
    Path("bad.png").write_text("no picture")
    draw(Path("mixed/sub/good.png"))
    Path("mixed/worse").mkdir()
    Path("mixed/worse/bad.png").write_text("no picture")
    for words in (["bad.png"], ["bad.png", "mixed/worse"]):
        assert main([*words, "-o", "new/er/", "-m", "bicubic"]) == len(words[1:]) or 2
        assert not Path("new").exists()
    assert main(["mixed", "-o", "new/er", "-m", "bicubic"]) == 1
    assert [path.as_posix() for path in Path("new").rglob("*")] == ["new/er", "new/er/sub", "new/er/sub/good.png"]
    capsys.readouterr()
    assert main(["mixed", "-o", "a.jpg/new", "-m", "bicubic"]) == 2
    assert capsys.readouterr().err == "npbsrn: cannot write into a.jpg/new: a.jpg is no folder; choose another place\n"


def test_an_animation_whose_first_frame_is_bad_makes_no_folder(workplace):
    frames = [Image.effect_noise((40, 30), 50) for _ in range(3)]
    frames[0].save("m.gif", save_all=True, append_images=frames[1:])
    content = Path("m.gif").read_bytes()
    Path("m.gif").write_bytes(content[:900] + b"\0\0;")
    assert main(["m.gif", "-o", "new/", "-m", "bicubic"]) == 2
    assert not Path("new").exists()


def test_a_folder_may_be_given_again(workplace, capsys):
    assert main(["f.d", "-s", "2", "-m", "bicubic"]) == 0
    assert capsys.readouterr().out == "2 pictures enlarged\n"
    before = contents(workplace)
    assert main(["f.d", "-s", "2", "-m", "bicubic"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("0 pictures enlarged; 2 existed already and are left alone")
    assert "left out, as results of earlier runs: f.d/g/c-x2.png, f.d/x-x2.png" in said.err
    assert contents(workplace) == before


@pytest.mark.parametrize("letter", ["a", "é", "漢", "\U0001f600"])
@pytest.mark.parametrize("spare", [0, 1, 2, 3])
def test_names_are_as_long_as_can_be(workplace, letter, spare):
    stem = (letter * 255)[: (251 - spare) // len(letter.encode())]
    for form in (None, ".webp"):
        (_, target), *_ = plan(Wish([Path("a.jpg"), Path(f"{stem}.jpg")], form=form)).jobs[1:]
        assert 251 - len(letter.encode()) - spare < len(os.fsencode(target.name)) <= 255
        assert target.stem.endswith("-x4")
        assert target.stem.removesuffix("-x4") == stem[: len(target.stem) - 3]


@POSIX
def test_a_name_that_is_no_text(workplace):
    name = os.fsdecode(b"\xff\xfe")
    draw(Path("f.d/x.png")).rename(f"f.d/{name}.png")
    assert (Path(f"f.d/{name}.png"), Path(f"f.d/{name}-x4.png")) in plan(Wish([Path("f.d")])).jobs


def test_of_two_for_one_the_first_is_done(workplace, capsys):
    draw(Path("a.png"))
    batch = plan(Wish([Path("a.jpg"), Path("a.png"), Path("a.jpg")], form=".webp"))
    assert batch.jobs == [(Path("a.jpg"), Path("a-x4.webp"))]
    assert batch.clashes == [
        "a.png would be written to a-x4.webp, as a.jpg is; give it alone, with another -o or --suffix"
    ]
    assert main(["a.jpg", "a.png", "-f", "webp", "-m", "bicubic"]) == 1
    assert Path("a-x4.webp").exists()
    said = capsys.readouterr().err
    assert "a.png would be written to a-x4.webp" in said
    assert "1 of 2 pictures could not be enlarged" in said


def test_results_within_a_folder_are_not_taken_again(workplace, capsys):
    for name in ("p/a.png", "p/s/b.png"):
        draw(Path(name))
    for _ in range(2):
        assert main(["p", "-o", "p/out", "-m", "bicubic"]) == 0
        assert results(Path("p/out")) == ["a.png", "s/b.png"]
    capsys.readouterr()
    assert main(["p", "-o", "p/more", "-m", "bicubic"]) == 0  # of which p/out is another run's
    assert results(Path("p/more")) == ["a.png", "s/b.png"]
    assert "left out, as results of earlier runs: p/out/a.png, p/out/s/b.png" in capsys.readouterr().err


def results(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_single_picture_whose_result_exists(workplace, capsys):
    target = draw(Path("a-x4.jpg"), 99)
    assert main(["a.jpg", "-m", "bicubic"]) == 2
    assert "a-x4.jpg exists already and is left alone" in capsys.readouterr().err
    assert main(["a.jpg", "-m", "bicubic", "--skip-existing"]) == 0
    assert "a-x4.jpg exists already and is left alone" in capsys.readouterr().out
    assert level(target)[0] == (3, 2)
    assert main(["a.jpg", "-m", "bicubic", "--overwrite"]) == 0
    assert level(target)[0] == (12, 8)


def test_some_of_several_fail(workplace, capsys):
    Path("bad.png").write_text("no picture")
    assert main(["bad.png", "a.jpg", "no.png", "-m", "bicubic"]) == 1
    said = capsys.readouterr().err
    assert "bad.png is not a picture that can be read" in said
    assert "there is no file no.png" in said
    assert "2 of 3 pictures could not be enlarged" in said
    assert level(Path("a-x4.jpg"))[0] == (12, 8)
