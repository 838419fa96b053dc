"""What is printed: names as somebody else chose them, in lines that no terminal obeys."""

import io
import os
import re
import sys
from pathlib import Path

import pytest

import npbsrn.cli
from npbsrn.cli.parser import main
from npbsrn.cli.say import encodable, tell
from npbsrn.storage.params import save_arrays
from tests.fuzz.names import picture

NAMES = ["a\x1b[2J.png", "a\nnpbsrn: done.png", "\u202ea.png", os.fsdecode(b"\xff\x9b31m.png")]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not have such names")
@pytest.mark.parametrize("name", NAMES)
def test_names_are_printed_in_one_line_without_control_characters(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(picture())
    assert main(["upscale", name, "-m", "bicubic", "-s", "2"]) == 0
    out = capsys.readouterr().out
    assert re.fullmatch(r"[ -~]+-x2\.png: 6x4 pixels\n", out), out
    Path(name).write_bytes(b"no picture")
    assert main(["upscale", name, "-o", "b.png", "-m", "bicubic", "-s", "2"]) == 2
    assert re.fullmatch(r"npbsrn: [ -~]+\n", capsys.readouterr().err)


def test_a_card_is_printed_in_lines_without_control_characters(tmp_path, capsys, tiny_model):
    from npbsrn.models import Model, save_model

    card = {"name": "a\x1b[31m", "note\n": "\x07", "list": ["\x1b", {"a": "\n"}]}
    save_model(tmp_path / "a.npz", Model(tiny_model.network, tiny_model.params, card))
    assert main(["info", "-m", str(tmp_path / "a.npz")]) == 0
    out = capsys.readouterr().out
    assert all(line.isprintable() for line in out.split("\n"))
    assert out.count("\x1b") == 0
    save_arrays(tmp_path / "b.npz", {}, {"config": {"name": "\x1b[31m"}}, compress=False)
    assert main(["info", "-m", str(tmp_path / "b.npz")]) == 2
    assert "\x1b" not in capsys.readouterr().err


def test_letters_that_a_stream_does_not_have_are_escaped(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), "latin-1")
    monkeypatch.setattr(sys, "stdout", stream)
    assert encodable("ü名") == r"ü\u540d"
    tell("ü名")
    stream.flush()
    assert stream.buffer.getvalue() == b"\xfc\\u540d\n"


def test_nothing_else_prints_what_is_not_the_programs_own():
    own = re.compile(r'print\((USAGE|text\)|"|f"npbsrn: \{printable|encodable)')
    for path in Path(npbsrn.cli.__file__).parent.glob("*.py"):
        calls = re.findall(r"(?<![.\w])print\(.*", path.read_text())
        assert all(own.match(call) for call in calls), (path.name, calls)
        written = re.findall(r"tqdm\.write\(.*", path.read_text())
        assert all("encodable" in call or "printable" in call for call in written), (path.name, written)


def test_dashes_are_no_value(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["train", "nowhere", "--set=--"])
    assert "npbsrn: --set=--: -- is no value" in capsys.readouterr().err
