"""What the server does not take, and names that never become paths."""

import os

import pytest

from tests.serving.client import Page, held, request, serving, until
from tests.serving.pictures import encoded


def test_a_large_file_is_refused_by_its_length_and_while_it_comes():
    content = encoded("PNG")
    sentence = {"error": "a picture's file may have 0.0001 MB; npbsrn serve --max-size takes larger ones"}
    with serving(upload=100) as server, Page(server) as page:
        assert len(content) > 100
        assert page.send("a.png", content) == (413, sentence)
        parts = (content[at : at + 10] for at in range(0, len(content), 10))
        assert page.send("a.png", parts) == (413, sentence)  # of which no length is said
        assert held(server) == []
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
        assert held(server) == ["1"]
        assert page.work(1)[0] == 202
        page.until(1, "done")
        assert page.work(1)[0] == 429  # with the result it is more


def test_too_many_pages_are_refused():
    with serving(pages=1, patience=60) as server:
        with Page(server) as page:
            status, _, told = request(server, "POST", "visits")
            assert status == 429
            assert told["error"] == "1 pages are open already; close one of them, then reload this"
        page.close()
        until(lambda: request(server, "POST", "visits")[0] == 201)  # at once, though what it sent is kept for a while


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
    assert {*held(page.server)} <= {str(n + 1) for n in range(told["number"])}
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
