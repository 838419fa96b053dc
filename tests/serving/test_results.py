"""Results are the shell's, to the byte, and so is what is said of what cannot be done."""

import os

import pytest

from npbsrn.cli.parser import main
from tests.serving.client import Page, held, request, serving
from tests.serving.pictures import DEEP, NEEDS_DEEP, PICTURES, encoded


def by_the_shell(folder, name, content, *words):
    """What `npbsrn upscale` writes of a picture: name and bytes."""
    (folder / name).write_bytes(content)
    before = {*os.listdir(folder)}
    assert main(["upscale", str(folder / name), "-m", "bicubic", "--quiet", *words]) == 0
    (result,) = {*os.listdir(folder)} - before
    return result, (folder / result).read_bytes()


@pytest.mark.parametrize("name", [*PICTURES, *(pytest.param(name, marks=NEEDS_DEEP) for name in DEEP)])
def test_a_result_is_to_the_byte_that_of_the_shell(name, tmp_path, page):
    content, scale = (PICTURES | DEEP)[name](), 1.5 if name == "plain.png" else 2
    expected, result = by_the_shell(tmp_path, name, content, "-s", str(scale))
    told = page.enlarge(name, content, scale)
    assert told["attempt"]["state"] == "done", told
    assert told["attempt"]["name"] == expected
    status, headers, given = request(page.server, "GET", f"{page.path}/pictures/{told['number']}/result")
    assert (status, given) == (200, result)
    assert told["attempt"]["size"] == len(result)
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"].startswith("attachment")
    assert expected.replace(" ", "%20") in headers["content-disposition"]


def test_what_is_lost_is_said(tmp_path):
    with serving() as server, Page(server) as page:
        told = page.enlarge("a.jpg", PICTURES["transparent.jpg"]())
        assert told["attempt"]["notes"] == ["transparency is laid over white"]
        told = page.enlarge("a.gif", encoded("GIF"))
        assert told["attempt"]["notes"] == ["a-x2.gif: GIF holds 256 colours; write a .png or .webp to keep all"]


DAMAGED = {
    "empty.png": lambda: b"",
    "words.png": lambda: b"no picture, but words",
    "cut.png": lambda: encoded("PNG")[:60],
    "cut.jpg": lambda: encoded("JPEG")[:-40],
    "header.png": lambda: encoded("PNG")[:20],
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_cannot_be_done_is_said_as_by_the_shell(name, tmp_path, monkeypatch, capsys, page):
    monkeypatch.chdir(tmp_path)
    content = DAMAGED[name]()
    (tmp_path / name).write_bytes(content)
    assert main(["upscale", name, "-m", "bicubic", "-s", "2"]) == 2
    words = capsys.readouterr().err.strip().removeprefix("npbsrn: ")
    before = {*held(page.server)}
    status, told = page.send(name, content)
    if status != 201:
        assert (status, told) == (422, {"error": words})
        assert {*held(page.server)} <= before
        return
    number = told["number"]  # of what only decoding tells
    page.work(number)
    assert page.until(number, "done", "failed")["attempt"]["error"] == words
    assert page.ask("GET", f"pictures/{number}/result") == (409, {"error": words})


def test_more_pixels_can_be_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(encoded("PNG"))
    assert main(["upscale", "a.png", "-m", "bicubic", "--max-pixels", "53"]) == 2
    words = capsys.readouterr().err.strip().removeprefix("npbsrn: ")
    with serving(pixels=53) as server, Page(server) as page:
        assert page.send("a.png", encoded("PNG")) == (422, {"error": words})
        assert words.startswith("a.png has 9x6 pixels, more than the 53 ")
    with serving(pixels=54) as server, Page(server) as page:
        assert page.enlarge("a.png", encoded("PNG"))["attempt"]["state"] == "done"


def test_dense_pictures_are_taken_where_any_are(monkeypatch):
    monkeypatch.setattr("npbsrn.images.opening.SMALL", 1)
    monkeypatch.setattr("npbsrn.images.opening.DENSEST", 0)
    with serving() as server, Page(server) as page:
        assert page.send("a.png", encoded("PNG"))[0] == 422
    with serving(pixels=None) as server, Page(server) as page:
        assert page.enlarge("a.png", encoded("PNG"))["attempt"]["state"] == "done"


def test_a_bomb_is_refused_before_anything_is_made_of_it(page):
    content = b"P5 10000 10000 255\n"
    status, told = page.send("a.pgm", content)
    assert status == 422
    assert told["error"].startswith(
        f"a.pgm has 10000x10000 pixels in {len(content)} bytes, as files have that are made"
    )


@pytest.mark.parametrize(
    ("scale", "model", "words"),
    [
        ("1", "bicubic", "the scale must be a number above 1 and at most 16, not 1.0"),
        ("17", "bicubic", "the scale must be a number above 1 and at most 16, not 17.0"),
        ("nan", "bicubic", "the scale must be a number above 1 and at most 16, not nan"),
        ("two", "bicubic", "the scale must be a number, such as 2 or 1.5, not two"),
        ("2", "/etc/passwd", "there is no model /etc/passwd; choose among clean, fast, photo, bsrn, bicubic"),
        ("2", "", "there is no model ; choose among clean, fast, photo, bsrn, bicubic"),
    ],
)
def test_a_wish_that_cannot_be_met(scale, model, words, page):
    number = page.send("a.png", encoded("PNG"))[1]["number"]
    assert page.work(number, scale, model) == (400, {"error": words})


def test_another_wish_replaces_the_result():
    with serving() as server, Page(server) as page:
        first = page.enlarge("a.png", encoded("PNG"), 2)["attempt"]
        page.work(1, 3)
        second = page.until(1, "done")["attempt"]
        assert (first["width"], second["width"], second["number"]) == (18, 27, 2)
        assert second["name"] == "a-x3.png"
        assert sorted(path.name for path in (server.folder / "1").iterdir()) == ["picture", "result-2.png"]
