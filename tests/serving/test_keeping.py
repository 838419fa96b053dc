"""Nothing stays behind a page that closes, and work ends with who wants it."""

import os
import stat
import tempfile
import time

import pytest

from tests.serving.client import Page, held, request, serving, until
from tests.serving.pictures import PICTURES, encoded


def test_the_folder_is_its_owners_and_goes():
    with serving() as server, Page(server) as page:
        assert stat.S_IMODE(server.folder.stat().st_mode) == 0o700
        page.enlarge("a.png", encoded("PNG"))
        assert held(server) == ["1"]
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
        with Page(server, page.path) as again:
            told = again.news()
        assert (told["name"], told["attempt"]["state"]) == ("a.png", "done")
        assert request(server, "GET", f"{page.path}/pictures/1/result")[0] == 200


def test_a_page_may_take_its_time_to_listen_first():
    with serving(patience=0.01) as server:
        told = request(server, "POST", "visits")[2]
        time.sleep(0.2)
        with Page(server, f"visits/{told['visit']}") as page:
            assert page.send("a.png", encoded("PNG"))[0] == 201


def test_a_page_that_never_listens_goes():
    with serving(first=0.3) as server:
        told = request(server, "POST", "visits")[2]
        until(lambda: request(server, "POST", f"visits/{told['visit']}/pictures?name=a.png", b"")[0] == 404)
        assert held(server) == []


def test_a_page_that_closes_ends_its_work(slow):
    with serving() as server, Page(server) as page:
        page.send("a.png", encoded("PNG"))
        page.work(1)
        assert slow.begun.wait(20)
        page.close()
        until(lambda: slow.stopped == ["StoppedError"])
        until(lambda: held(server) == [])


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
        until(lambda: held(server) == [])
        assert page.ask("DELETE", "pictures/1")[0] == 404


def test_what_is_written_too_late_goes(slow):
    slow.deaf = True
    with serving() as server, Page(server) as page:
        for name in ("moving.webp", "plain.png"):
            page.work(page.send(name, PICTURES[name]())[1]["number"])
        assert slow.begun.wait(20)
        assert page.ask("DELETE", "pictures/1")[0] == 204
        assert held(server) == ["2"]
        slow.go.set()
        page.until(2, "done")
        assert held(server) == ["2"]


def test_a_file_that_comes_when_its_page_has_closed_goes():
    content = encoded("PNG")
    with serving() as server, Page(server) as page:

        def slowly():
            yield content[:50]
            page.close()
            until(
                lambda: request(server, "GET", f"{page.path}/pictures/1/before")[2]["error"].startswith("this page was")
            )
            yield content[50:]

        status, told = page.send("a.png", slowly())
        assert status == 404
        assert told["error"].startswith("this page was closed")
        assert held(server) == []


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


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A folder for temporary files, of this test alone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def make_old(folder):
    os.utime(folder, (0, 0))


def test_what_a_killed_server_has_left_goes_when_the_next_one_starts(temporary):
    left, young, other = (temporary / name for name in ("npbsrn-serve-left", "npbsrn-serve-young", "others"))
    for folder in (left, young, other):
        (folder / "1").mkdir(parents=True)
        (folder / "1" / "picture").write_bytes(b"a picture")
    make_old(left)
    make_old(other)
    with serving() as server:
        make_old(server.folder)
        with serving() as second:  # which leaves the first one's alone
            assert {*temporary.iterdir()} == {young, other, server.folder, second.folder}
    assert {*temporary.iterdir()} == {young, other}


def test_a_link_of_such_a_name_leads_nowhere(temporary, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "mine").touch()
    make_old(elsewhere)
    link = temporary / "npbsrn-serve-link"
    link.symlink_to(elsewhere, target_is_directory=True)
    os.utime(link, (0, 0), follow_symlinks=False)
    with serving():
        assert [path.name for path in elsewhere.iterdir()] == ["mine"]
