import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from npbsrn.cli.batch import Wish, plan
from npbsrn.cli.parser import main
from npbsrn.errors import UsageError
from tests.cli.test_bad_input import contents

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")


def draw(path, level=7, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (3, 2), level).save(path, **options)
    return path


def enlarge(source, target, *options):
    return main(["upscale", "-i", str(source), "-o", str(target), "-s", "2", "-m", "bicubic", *options])


def level(path):
    with Image.open(path) as image:
        return image.size, image.getpixel((0, 0))


def link(target, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


# What stands before, by name its level or the link's target; then -i, -o and what is said
COLLISIONS = {
    "a result that is the next original": (
        {"p/a/a/x.png": 1, "p/a/x.png": 2}, "p/a", "p", "would replace the original",
    ),
    "a link among the results": ({"in/x.png": 1, "out/x.png": "in/x.png"}, "in", "out", "is the input itself"),
    "a hard link": ({"in/x.png": 1, "out/x.png": ("in/x.png",)}, "in", "out", "is the input itself"),
    "a link to another original": (
        {"in/x.png": 1, "in/y.png": 2, "out/x.png": "in/y.png"}, "in", "out", "would replace the original .*y.png",
    ),
    "a folder that is a link": ({"in/s/x.png": 1, "out/s": "in/s"}, "in", "out", "is the input itself"),
    "a link into the originals": (
        {"in/x.png": 1, "in/s/y.png": 2, "out/x.png": "in/new.png"}, "in", "out", "would lie among the originals",
    ),
    "the results within the originals": ({"in/x.png": 1}, "in", "in/out", "or lie in it"),
    "the same folder by a link": ({"in/x.png": 1, "out": "in"}, "in", "out", "or lie in it"),
    "two for one": (
        {"in/a/x.png": 1, "in/b/x.png": 2, "t/x.png": 3, "out/a": "t", "out/b": "t"}, "in", "out",
        "would both be written to",
    ),
    "the only picture": ({"x.png": 1, "y.png": "x.png"}, "x.png", "y.png", "is the input itself"),
    "the only picture's hard link": ({"x.png": 1, "y.png": ("x.png",)}, "x.png", "y.png", "is the input itself"),
}  # fmt: skip


@POSIX
@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
@pytest.mark.parametrize("case", COLLISIONS)
def test_no_original_is_ever_replaced(tmp_path, capsys, case, overwrite):
    there, source, target, message = COLLISIONS[case]
    for name, what in there.items():
        if isinstance(what, int):
            draw(tmp_path / name, what)
        elif isinstance(what, tuple):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            os.link(tmp_path / what[0], tmp_path / name)
        else:
            link(tmp_path / what, tmp_path / name)
    before = contents(tmp_path)
    assert enlarge(tmp_path / source, tmp_path / target, *overwrite) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert re.search(message, said), said
    assert contents(tmp_path) == before


def test_what_is_there_is_left_alone_and_counted(tmp_path, capsys):
    draw(tmp_path / "ph/raw/grey.png", 5)
    draw(tmp_path / "ph/raw/new.png", 6)
    other = draw(tmp_path / "ph/grey.png", 99)
    assert enlarge(tmp_path / "ph/raw", tmp_path / "ph") == 0
    assert (
        "ph: 1 picture enlarged; 1 existed already and are left alone, --overwrite replaces them"
        in capsys.readouterr().out
    )
    assert level(other) == ((3, 2), 99)
    assert level(tmp_path / "ph/new.png") == ((6, 4), 6)
    assert enlarge(tmp_path / "ph/raw", tmp_path / "ph") == 0
    assert "ph: 0 pictures enlarged; 2 existed already" in capsys.readouterr().out
    assert enlarge(tmp_path / "ph/raw", tmp_path / "ph", "--overwrite") == 0
    assert "ph: 2 pictures enlarged\n" in capsys.readouterr().out
    assert level(other) == ((6, 4), 5)


@POSIX
def test_links_in_a_circle_are_refused_or_replaced(tmp_path, capsys):
    draw(tmp_path / "in/x.png")
    link(tmp_path / "out/b.png", tmp_path / "out/x.png")
    link(tmp_path / "out/x.png", tmp_path / "out/b.png")
    assert enlarge(tmp_path / "in", tmp_path / "out") == 0
    assert enlarge(tmp_path / "in/x.png", tmp_path / "out/x.png") == 2
    assert "exists already" in capsys.readouterr().err
    assert enlarge(tmp_path / "in/x.png", tmp_path / "out/x.png", "--overwrite") == 0
    assert level(tmp_path / "out/x.png") == ((6, 4), 7)


@POSIX
def test_a_link_to_nothing_counts_as_there(tmp_path):
    draw(tmp_path / "in/x.png")
    link(tmp_path / "elsewhere.png", tmp_path / "out/x.png")
    batch = plan(Wish([tmp_path / "in"], str(tmp_path / "out")))
    assert (batch.jobs, batch.existing) == ([], [tmp_path / "out/x.png"])


@POSIX
def test_what_may_be_missed_is_named(tmp_path, capsys):
    draw(tmp_path / "in/x.jfif")
    for name in ("y.pcx", "z.TGA", ".hidden.gif", ".trash/t.gif"):
        draw(tmp_path / "in" / name)
    for name in ("readme.txt", "photo.JXL"):
        (tmp_path / "in" / name).write_text("no picture")
    link(tmp_path / "nowhere", tmp_path / "in/broken.png")
    link(tmp_path, tmp_path / "in/link")
    assert enlarge(tmp_path / "in", tmp_path / "out") == 0
    said = capsys.readouterr().err
    listed = said.removeprefix("npbsrn: left out, as what is not taken from folders: ").split(", ")
    assert [Path(word.strip()).name for word in listed] == ["broken.png", "link", "photo.JXL"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["x.jfif", "y.png", "z.png"]
    assert level(tmp_path / "out/x.jfif") == ((6, 4), 7)


def test_a_file_that_comes_into_being_meanwhile_is_left_alone(tmp_path, monkeypatch, capsys):
    """Another process writes the same results while this one enlarges: this one goes on with the others."""
    for name in ("w.png", "x.png", "y.png"):
        draw(tmp_path / "in" / name)
    target = tmp_path / "out/x.png"

    def late(*_, **__):
        draw(target, 99)
        draw(tmp_path / "out/y.png", 99)
        return np.zeros((4, 6, 3), np.float32)

    monkeypatch.setattr("npbsrn.inference.runners.Bicubic.run", late)
    assert enlarge(tmp_path / "in", tmp_path / "out") == 0
    assert "out: 1 picture enlarged; 2 existed already and are left alone" in capsys.readouterr().out
    assert level(tmp_path / "out/w.png") == ((6, 4), 0)
    assert level(target) == ((3, 2), 99)


# --- what is taken, and where results go: nothing is written here ---

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
    assert capsys.readouterr().err == "npbsrn: cannot write a.jpg/new/*: a.jpg is no folder; choose another place\n"


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


def test_two_for_one_are_refused(workplace):
    draw(Path("a.png"))
    with pytest.raises(UsageError, match=r"a\.png and a\.jpg would both be written to .*a-x4\.webp"):
        plan(Wish([Path("a.jpg"), Path("a.png")], form=".webp"))


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
