"""The server as its page uses it, by bicubic interpolation of tiny pictures."""

import io
import os
import stat

import numpy as np
import pytest
from PIL import Image

from npbsrn.cli.parser import main
from npbsrn.images import deep
from npbsrn.inference.any_scale import LARGEST
from npbsrn.serving.routes import page_files
from npbsrn.shipped import MODELS
from tests.images.files import png, ramp, tiff
from tests.serving.client import Page, request, serving, until

NEEDS_DEEP = pytest.mark.skipif(not deep.available(), reason="needs the extra deep")


@pytest.fixture(scope="module")
def shared():
    """A server for tests that need none of their own: starting and ending one takes a fifth of a second."""
    with serving(pages=100) as server:
        yield server


@pytest.fixture
def page(shared):
    with Page(shared) as page:
        yield page


def encoded(form, mode="RGB", width=9, **options):
    channels = {"RGB": 3, "RGBA": 4}.get(mode)
    file = io.BytesIO()
    shape = (6, width, channels) if channels else (6, width)
    Image.fromarray(ramp(shape, np.uint8, 0.1, 0.9)).save(file, form, **options)
    return file.getvalue()


def photograph():
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "A camera", 6  # maker, orientation
    return encoded("JPEG", quality=90, exif=exif, dpi=(300, 300))


def moving():
    frames = [Image.fromarray(ramp((6, 9, 3), np.uint8, 0, top)) for top in (0.3, 0.6, 0.9)]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], duration=[100, 200, 300], lossless=True)
    return file.getvalue()


PICTURES = {
    "plain.png": lambda: encoded("PNG"),
    "photograph.JPG": photograph,
    "transparent.png": lambda: encoded("PNG", "RGBA"),
    "transparent.jpg": lambda: encoded("PNG", "RGBA"),  # whose result is a JPEG, over white
    "grey.pgm": lambda: encoded("PPM", "L"),
    "moving.webp": moving,
    "no suffix": lambda: encoded("PNG"),
    "old.qoi": lambda: encoded("QOI"),  # which is not written
}
DEEP = {
    "deep.png": lambda: png(ramp((6, 9, 3), np.uint16), 16, 2),
    "floats.tiff": lambda: tiff(ramp((6, 9, 3), np.float32), photometric="rgb"),
}


def by_the_shell(folder, name, content, *words):
    """What `npbsrn upscale` writes of a picture: name and bytes."""
    (folder / name).write_bytes(content)
    before = {*os.listdir(folder)}
    assert main(["upscale", str(folder / name), "-m", "bicubic", "--quiet", *words]) == 0
    (result,) = {*os.listdir(folder)} - before
    return result, (folder / result).read_bytes()


# --- the same bytes, the same words ---


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
    before = {*page.server.folder.iterdir()}
    status, told = page.send(name, content)
    if status != 201:
        assert (status, told) == (422, {"error": words})
        assert {*page.server.folder.iterdir()} <= before
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


# --- limits ---


def test_a_large_file_is_refused_by_its_length_and_while_it_comes():
    content = encoded("PNG")
    sentence = {"error": "a picture's file may have 0.0001 MB; npbsrn serve --max-size takes larger ones"}
    with serving(upload=100) as server, Page(server) as page:
        assert len(content) > 100
        assert page.send("a.png", content) == (413, sentence)
        parts = (content[at : at + 10] for at in range(0, len(content), 10))
        assert page.send("a.png", parts) == (413, sentence)  # of which no length is said
        assert [*server.folder.iterdir()] == []
    with serving(upload=len(content)) as server, Page(server) as page:
        assert page.send("a.png", content)[0] == 201


def test_too_many_pictures_are_refused_until_one_is_removed():
    content = encoded("PNG")
    with serving(pictures=2) as server, Page(server) as page, Page(server) as other:
        assert page.send("a.png", content)[0] == 201
        assert other.send("b.png", content)[0] == 201
        assert page.send("c.png", content) == (
            429, {"error": "the server takes 2 pictures at once; remove some first"}
        )  # fmt: skip
        assert page.ask("DELETE", "pictures/1")[0] == 204
        assert page.send("c.png", content)[0] == 201


def test_no_more_bytes_are_kept_than_allowed():
    content = encoded("PNG")
    with serving(kept=len(content) + 10) as server, Page(server) as page:
        assert page.send("a.png", content)[0] == 201
        status, told = page.send("b.png", content)
        assert status == 429
        assert told["error"].startswith("the server holds 0.000")
        assert [path.name for path in server.folder.iterdir()] == ["1"]
        assert page.work(1)[0] == 202
        page.until(1, "done")
        assert page.work(1)[0] == 429  # with the result it is more


def test_too_many_pages_are_refused():
    with serving(pages=1) as server:
        with Page(server) as page:
            status, _, told = request(server, "POST", "visits")
            assert status == 429
            assert told["error"] == "1 pages are open already; close one of them, then reload this"
        page.close()
        until(lambda: request(server, "POST", "visits")[0] == 201)


# --- names ---


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("../../../etc/passwd.png", "passwd.png"),
        ("..\\..\\windows\\a.png", "a.png"),
        ("/etc/a.png", "a.png"),
        ("C:\\a.png", "a.png"),
        ("a\nb\0.png", r"a\nb\x00.png"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("<img src=x onerror=alert(1)>.png", "<img src=x onerror=alert(1)>.png"),
        ("Müller \U0001f600.png", "Müller \U0001f600.png"),
        (".png", ".png"),
        ("a." + "b" * 300, "a." + "b" * 300),
    ],
)
def test_names_never_become_paths(given, name, page):
    told = page.enlarge(given, encoded("PNG"))
    assert told["name"] == name
    assert told["attempt"]["state"] == "done"
    folder = page.server.folder / str(told["number"])
    assert sorted(path.name for path in folder.iterdir()) == ["picture", "result-1.png"]
    assert {path.name for path in page.server.folder.iterdir()} <= {str(n + 1) for n in range(told["number"])}
    assert len(os.fsencode(told["attempt"]["name"])) <= 255
    assert page.ask("GET", f"pictures/{told['number']}/result")[0] == 200


@pytest.mark.parametrize("name", ["", ".", "..", "a/..", "a/"])
def test_what_is_no_name_is_refused(name, page):
    assert page.send(name, encoded("PNG")) == (400, {"error": "a picture needs a name"})


def test_paths_lead_to_nothing_else():
    with serving() as server, Page(server) as page:
        page.send("a.png", encoded("PNG"))
        for path in ("../../../etc/passwd", "1/../1/picture", "-1/before", "x/before", "1/picture", "2/before",
                     "%2e%2e/about", "1%2fpicture"):  # fmt: skip
            assert page.ask("GET", f"pictures/{path}")[0] == 404
        for path in ("page.py", "routes.py", "../routes.py", "%2e%2e/routes.py", "page/index.html", "__init__.py"):
            assert request(server, "GET", path)[0] == 404


def test_a_visits_pictures_are_its_own():
    with serving() as server, Page(server) as page, Page(server) as other:
        page.send("a.png", encoded("PNG"))
        for method, path in (("GET", "before"), ("GET", "result"), ("POST", "work"), ("DELETE", "work")):
            assert other.ask(method, f"pictures/1/{path}")[0] == 404
        assert other.ask("DELETE", "pictures/1")[0] == 404
        assert page.ask("GET", "pictures/1/before")[0] == 200


# --- nothing stays ---


def test_the_folder_is_its_owners_and_goes():
    with serving() as server, Page(server) as page:
        assert stat.S_IMODE(server.folder.stat().st_mode) == 0o700
        page.enlarge("a.png", encoded("PNG"))
        assert [path.name for path in server.folder.iterdir()] == ["1"]
    assert not server.folder.exists()
    assert not [path for path in server.folder.parent.iterdir() if path.name.startswith(server.folder.name)]


def test_what_a_page_has_sent_goes_when_it_closes_and_not_before():
    with serving() as server, Page(server) as page:
        with Page(server) as other:
            other.enlarge("a.png", encoded("PNG"))
            page.enlarge("b.png", encoded("PNG"))
        until(lambda: not (server.folder / "1").exists())
        assert page.ask("GET", "pictures/2/result")[0] == 200
        status, told = other.ask("GET", "pictures/1/result")
        assert status == 404
        assert told["error"] == "this page was closed, and what it sent is deleted; reload it"


def test_a_page_may_come_back():
    with serving(patience=60) as server, Page(server) as page:
        page.enlarge("a.png", encoded("PNG"))
        visit = server.visits[page.path.split("/")[1]]
        page.close()
        until(lambda: not visit.listeners)
        assert request(server, "GET", f"{page.path}/pictures/1/result")[0] == 200


def test_a_page_that_never_listens_goes():
    with serving() as server:
        told = request(server, "POST", "visits")[2]
        until(lambda: request(server, "POST", f"visits/{told['visit']}/pictures?name=a.png", b"")[0] == 404)


def test_a_page_that_closes_ends_its_work(slow):
    with serving() as server, Page(server) as page:
        page.send("a.png", encoded("PNG"))
        page.work(1)
        assert slow.begun.wait(20)
        page.close()
        until(lambda: slow.stopped == ["StoppedError"])
        until(lambda: [*server.folder.iterdir()] == [])


def test_work_can_be_cancelled_and_begun_again(slow):
    with serving() as server, Page(server) as page:
        for name in ("a.png", "b.png"):
            page.send(name, encoded("PNG"))
        page.work(1)
        page.work(2)
        assert slow.begun.wait(20)
        assert page.ask("DELETE", "pictures/2/work")[1]["attempt"]["state"] == "cancelled"  # while it waits
        assert page.ask("DELETE", "pictures/1/work")[1]["attempt"]["state"] == "cancelled"
        until(lambda: slow.stopped == ["StoppedError"])
        assert page.ask("GET", "pictures/1/result")[0] == 409
        slow.go.set()
        page.work(1)
        assert page.until(1, "done")["attempt"]["number"] == 2
        assert sorted(path.name for path in (server.folder / "1").iterdir()) == ["picture", "result-2.png"]
        assert sorted(path.name for path in (server.folder / "2").iterdir()) == ["picture"]


def test_a_picture_can_be_removed_while_it_is_enlarged(slow):
    with serving() as server, Page(server) as page:
        page.send("a.png", encoded("PNG"))
        page.work(1)
        assert slow.begun.wait(20)
        assert page.ask("DELETE", "pictures/1")[0] == 204
        until(lambda: slow.stopped == ["StoppedError"])
        until(lambda: [*server.folder.iterdir()] == [])
        assert page.ask("DELETE", "pictures/1")[0] == 404


def test_pages_take_turns(slow):
    with serving() as server, Page(server) as page, Page(server) as other:
        for width in (1, 2, 3):
            page.send("a.png", encoded("PNG", width=width))
        other.send("d.png", encoded("PNG", width=4))
        for number in (1, 2, 3):
            page.work(number)
        assert slow.begun.wait(20)
        other.work(4)
        slow.go.set()
        page.until(3, "done")
        assert slow.widths == [1, 4, 2, 3]


def test_a_fault_is_that_pictures_alone(monkeypatch):
    def fails(model, scale):
        raise RuntimeError("a fault")

    with serving() as server, Page(server) as page:
        with monkeypatch.context() as patch:
            patch.setattr("npbsrn.serving.turns.runner_for", fails)
            told = page.enlarge("a.png", encoded("PNG"))
            assert told["attempt"]["error"] == "a.png: unexpected RuntimeError: a fault"
        assert page.enlarge("b.png", encoded("PNG"))["attempt"]["state"] == "done"


# --- what is shown ---


def test_the_page_needs_nothing_from_elsewhere():
    with serving() as server:
        status, headers, content = request(server, "GET", "")
        assert status == 200
        assert headers["content-type"] == "text/html; charset=utf-8"
        for name in page_files():
            if name != "index.html":
                status, headers, content = request(server, "GET", name)
                assert status == 200
                assert b"url(" not in content
            assert b"https://" not in content
            assert b"http://" not in content.replace(b'xmlns="http://www.w3.org/2000/svg"', b"")


def test_the_page_knows_models_and_limits():
    with serving() as server:
        told = request(server, "GET", "about")[2]
        assert [model["name"] for model in told["models"]] == [*MODELS, "bicubic"]
        assert told["models"][1]["words"] == MODELS["fast"].words
        assert (told["upload"], told["largest"]) == (server.limits.upload, LARGEST)


@pytest.mark.parametrize(
    ("name", "kind"), [("plain.png", "image/png"), ("photograph.JPG", "image/jpeg"), ("moving.webp", "image/webp")]
)
def test_browsers_get_what_they_show_as_it_is(name, kind, page):
    content = PICTURES[name]()
    number = page.send(name, content)[1]["number"]
    status, headers, given = request(page.server, "GET", f"{page.path}/pictures/{number}/before")
    assert (status, headers["content-type"], given) == (200, kind, content)


@pytest.mark.parametrize("name", ["old.qoi", "grey.pgm", *(pytest.param(n, marks=NEEDS_DEEP) for n in ["floats.tiff"])])
def test_browsers_get_a_png_of_what_they_do_not_show(name):
    with serving() as server, Page(server) as page:
        assert page.enlarge(name, (PICTURES | DEEP)[name]())["attempt"]["state"] == "done"
        for part, size in (("before", (9, 6)), ("after", (18, 12)), ("small", (9, 6))):
            status, headers, content = request(server, "GET", f"{page.path}/pictures/1/{part}")
            assert (status, headers["content-type"]) == (200, "image/png")
            with Image.open(io.BytesIO(content)) as image:
                assert (image.format, image.size) == ("PNG", size)
        assert not list(server.folder.rglob("*.begun"))


def test_a_huge_picture_is_shown_reduced(monkeypatch):
    monkeypatch.setattr("npbsrn.serving.views.MOST", 100)
    monkeypatch.setattr("npbsrn.serving.views.REDUCED", 54)
    with serving() as server, Page(server) as page:
        page.enlarge("a.png", encoded("PNG"))
        sizes = []
        for part in ("before", "after"):
            with Image.open(io.BytesIO(request(server, "GET", f"{page.path}/pictures/1/{part}")[2])) as image:
                sizes.append(image.size)
        assert sizes == [(9, 6), (9, 6)]


def test_sides_are_those_that_one_sees():
    with serving() as server, Page(server) as page:
        told = page.enlarge("a.jpg", photograph())  # which is turned by a quarter
        assert (told["width"], told["height"]) == (6, 9)
        assert (told["attempt"]["width"], told["attempt"]["height"]) == (12, 18)
