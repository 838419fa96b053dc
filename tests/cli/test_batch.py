import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from npbsrn.cli.batch import Wish, plan
from npbsrn.cli.parser import main
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
    "the folder itself": ({"in/x.png": 1}, "in", "in/../in", "must not be .*in itself"),
    "the same folder by a link": ({"in/x.png": 1, "out": "in"}, "in", "out", "must not be .*in itself"),
    "a link from the results within": (
        {"in/x.png": 1, "in/s/x.png": 2, "in/out/s": "in/s"}, "in", "in/out", "is the input itself",
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
