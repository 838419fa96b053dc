"""The page's own files, and what browsers show."""

import io

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from npbsrn.inference.any_scale import LARGEST
from npbsrn.serving.assets import page_files
from npbsrn.serving.views import look_at, view_of
from npbsrn.shipped import MODELS
from tests.serving.client import Page, request, serving
from tests.serving.pictures import DEEP, NEEDS_DEEP, PICTURES, encoded, photograph


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


def test_a_png_of_texts_too_long_for_pillow_is_taken(tmp_path):
    """As the shell takes it, which leaves them out."""
    texts = PngInfo()
    texts.add_text("Comment", "x" * 2_000_000, zip=True)
    Image.new("RGB", (6, 4)).save(tmp_path / "a.png", pnginfo=texts)
    assert look_at(tmp_path / "a.png", "a.png", None) == (None, None)
    view, kind = view_of(tmp_path / "a.png", "a.png")
    with Image.open(view) as image:
        assert (image.size, kind) == ((6, 4), "image/png")
