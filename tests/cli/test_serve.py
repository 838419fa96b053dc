"""`npbsrn serve` as a process, and what it says where it cannot start."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from npbsrn.cli import serve
from npbsrn.cli.parser import main


@pytest.fixture
def extra():
    for package in ("starlette", "uvicorn"):
        pytest.importorskip(package, reason=f"{package} is missing: pip install '.[serve]'")


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_the_extra_is_named_where_it_is_missing(missing, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["serve", "--no-browser"]) == 2
    assert capsys.readouterr().err == "npbsrn: npbsrn serve needs two more packages: pip install 'npbsrn[serve]'\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--port", "65536"], "a port is a whole number up to 65535, not 65536"),
        (["--threads", "0"], "threads must be a whole number above 0, not 0"),
    ],
)
def test_a_wrong_option_is_one_sentence(words, sentence, capsys, extra):
    assert main(["serve", "--no-browser", *words]) == 2
    assert capsys.readouterr().err == f"npbsrn: {sentence}\n"


def test_a_port_that_is_taken_is_one_sentence(capsys, extra):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert main(["serve", "--no-browser", "--port", str(port)]) == 2
    assert capsys.readouterr().err == (
        f"npbsrn: the port {port} cannot be had (Address already in use); give another --port, or none for a free one\n"
    )


def test_there_is_no_option_for_another_address(capsys):
    for word in ("--host", "--address", "--bind"):
        with pytest.raises(SystemExit, match="2"):
            main(["serve", word, "0.0.0.0"])
    assert "0.0.0.0" not in capsys.readouterr().out


@pytest.mark.parametrize("displays", [{"DISPLAY": ":0"}, {"WAYLAND_DISPLAY": "wayland-0"}, {}])
def test_the_browser_opens_where_there_is_a_screen(displays, monkeypatch, extra):
    opened = []
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in displays.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(serve, "show", opened.append)
    monkeypatch.setattr(serve.Server, "wait", lambda server: None)
    assert main(["serve"]) == 0
    assert main(["serve", "--no-browser"]) == 0
    assert len(opened) == bool(displays)
    assert all("/open/" in address for address in opened)


def post(address, content=b""):
    asked = urllib.request.Request(address, content, {"Sec-Fetch-Site": "same-origin"})
    with urllib.request.urlopen(asked, timeout=20) as answer:
        return json.loads(answer.read())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it_and_leaves_nothing(number, tmp_path, extra):
    words = [sys.executable, "-m", "npbsrn", "serve", "--no-browser"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(tmp_path)}
    ) as process:
        try:
            address = process.stdout.readline().split()[0]
            visit = f"{address}visits/{post(f'{address}visits')['visit']}"
            content = b"P5 600 400 255\n" + bytes(240_000)
            post(f"{visit}/pictures?name=a.pgm", content)
            post(f"{visit}/pictures/1/work?scale=16&model=bicubic")  # which takes seconds
            (folder,) = tmp_path.iterdir()
            assert (folder / "1" / "picture").read_bytes() == content
            process.send_signal(number)
            _, error = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 128 + number
    assert error == "npbsrn: interrupted; the page's pictures are deleted\n"
    assert [*tmp_path.iterdir()] == []
