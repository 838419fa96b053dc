"""Names of files and models, options, and JSON: ``python -m tests.fuzz.names --runs 50000``.

An input's first byte chooses what the rest is. The command runs in this process, in a folder of its own; what it prints
must be lines without control characters, and its exit code one that it has.
"""

import io
import json
import os
import random
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from npbsrn.cli.parser import main as npbsrn
from npbsrn.errors import NpbsrnError, printable
from npbsrn.networks.base import make_network
from npbsrn.training.config import make_config
from tests.images.files import png

Basic = Callable[[bytes], bytes]
CODES = (0, 1, 2)
LONGEST = 250  # bytes of a name
BOUND = 1 << 12  # of numbers in JSON: a network of any size may be asked for, and takes its memory
WORDS = (
    b"upscale", b"check", b"models", b"eval", b"pack", b"info", b"-i", b"-o", b"-s", b"-m", b"-f", b"-q", b"-t", b"-j",
    b"--json", b"--max-pixels", b"--suffix", b"--background", b"--strip-metadata", b"--flat", b"--overwrite", b"-",
    b"bicubic", b"a.png", b"b.png", b"b.jpg", b"folder", b"out", b"w.npz", b"2", b"1.5", b"3", b"png", b"nan", b"inf",
    b"1e9", b"-1", b"0", b"auto", b"\xff", b"\x1b[2J", b"a\nb", "ü\u202e".encode(), b"x" * 256, b"", b"--", b"-V",
)  # fmt: skip
PATHS = (b".", b"..", b"a.png", b"link.png", b"/dev/zero", b"/dev/null", b"/proc/self/mem", b"/nowhere", b"folder", b"")
SECRETS = ("train", "compact", "bench", "warmup", "cache", "export")  # commands that take long or change what is kept


@cache
def picture() -> bytes:
    """The smallest file that is one."""
    return png(np.zeros((2, 3, 3), np.uint8), 8, 2)


def seeds() -> dict[str, bytes]:
    """One of each kind and more."""
    made = {f"name-{n}": b"\0" + name for n, name in enumerate(WORDS) if name}
    made |= {f"model-{n}": b"\1" + name for n, name in enumerate((b"clean", b"bicubic", b"./clean", b"\xff\n"))}
    made |= {f"folder-{n}": b"\2a.png\0" + name + b".png" for n, name in enumerate((b"b", b"\x1b[31m", b"\xfe", b"\n"))}
    made |= {f"link-{n}": b"\3" + path for n, path in enumerate(PATHS)}
    config = {"name": "bbcu", "scale": 4, "blocks": 2, "width": 4, "binarizer": {"name": "bam", "alpha": "one"}}
    train = {"steps": 5, "milestones": [0.5, 0.75], "schedule": "step", "network": "vdsr", "binarizer": "bnn"}
    made |= {f"json-{n}": b"\4" + json.dumps(value).encode() for n, value in enumerate((config, train))}
    made |= {
        f"set-{n}": b"\5" + text for n, text in enumerate((b"steps=5", b"binarizer.alpha=one", b"milestones=0.5,0.7"))
    }
    made["words-1"] = b"\6upscale\0a.png\0-o\0out.png\0-m\0bicubic\0-s\x001.5"
    made["words-2"] = b"\6a.png\0folder\0-o\0out\0-m\0bicubic\0-s\x002\0-f\0webp\0-q\x0090\0-v"
    made["words-3"] = b"\6check\0a.png\0b.png\0--json\0-"
    return made


def run(data: bytes, folder: Path) -> str:
    """Whatever the first byte says."""
    kind, rest = (data[0] % 7, data[1:]) if data else (0, b"")
    before = os.getcwd()
    os.chdir(folder)
    try:
        return (_name, _model, _folder, _link, _json, _set, _words)[kind](rest)
    finally:
        os.chdir(before)


def _command(*words: str) -> str:
    """Run the command, and look at what it says."""
    out, err = io.StringIO(), io.StringIO()
    # The streams' own encoding, so that what cannot be encoded is found.
    printed, errors = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with redirect_stdout(printed), redirect_stderr(errors):
        try:
            code = npbsrn([*words])
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 2
    out, err = (stream.buffer.getvalue().decode("utf-8", "replace") for stream in (printed, errors))
    assert code in CODES, (code, err)
    assert "unexpected" not in err, err
    assert "Traceback" not in err, err
    for line in (out + err).split("\n"):
        assert printable(line) == line or line.isprintable(), ascii(line)
    assert all(line.startswith(("npbsrn: ", "usage: ", " ")) for line in err.split("\n") if line), ascii(err)
    if len(words) < 9 and code == 0 and words[0] == "upscale":
        assert len(out.split("\n")) <= 2, ascii(out)
    return f"code {code}"


def _file_name(name: bytes) -> str | None:
    name = name.replace(b"/", b"_").replace(b"\0", b"_")[:LONGEST]
    return None if name in (b"", b".", b"..") else os.fsdecode(name)


def _name(rest: bytes) -> str:
    name = _file_name(rest)
    if name is None:
        return "no name"
    Path(name).write_bytes(picture())
    said = _command("upscale", "-m", "bicubic", "-s", "2", "-i", name, "-o", "result.png")
    assert Path("result.png").exists() == (said == "code 0"), said
    _command("upscale", "-m", "bicubic", "-s", "2", f"./{name}")
    return said


def _model(rest: bytes) -> str:
    name = os.fsdecode(rest.replace(b"\0", b"_"))
    if name in ("", "clean", "fast", "photo", "bsrn") or name.startswith(("/", "-")) or ".." in name:
        return "another"
    Path("a.png").write_bytes(picture())
    _command("info", f"-m{name}")
    return _command("upscale", "-i", "a.png", "-o", "b.png", "-s", "2", f"--model={name}")


def _folder(rest: bytes) -> str:
    Path("in").mkdir()
    for n, part in enumerate(rest.split(b"\0")[:5]):
        if name := _file_name(part):
            (Path("in") / name).write_bytes(picture() if n < 3 else b"no picture")
    return _command("upscale", "in", "-o", "out", "-m", "bicubic", "-s", "2")


def _link(rest: bytes) -> str:
    target = rest.replace(b"\0", b"")[:LONGEST]
    if target not in PATHS and (target.startswith(b"/") or b".." in target):
        return "left out"  # pictures elsewhere would be enlarged
    if not target:
        os.mkfifo("link.png")
    else:
        Path("link.png").symlink_to(os.fsdecode(target))
    Path("a.png").write_bytes(picture())
    Path("folder").mkdir()
    _command("info", "-m", "./link.png")
    _command("upscale", "folder", "link.png", "-o", "out", "-m", "bicubic")
    _command("upscale", "a.png", "-o", "link.png", "-m", "bicubic", "-s", "2")
    return _command("upscale", "link.png", "-m", "bicubic", "-s", "2")


def _json(rest: bytes) -> str:
    try:
        value: Any = json.loads(rest)
    except (ValueError, RecursionError):
        return "no JSON"
    if not isinstance(value, dict) or any(number > BOUND for number in _numbers(value)):
        return "no options"
    said = []
    for build in (make_network, lambda options: make_config(2, "default", options)):
        try:
            build(value)
            said.append("good")
        except NpbsrnError:
            said.append("refused")
    return " ".join(said)


def _numbers(value: Any) -> list[float]:
    if isinstance(value, dict | list):
        return [n for inner in (value.values() if isinstance(value, dict) else value) for n in _numbers(inner)]
    return [value] if isinstance(value, int | float) else []


def _set(rest: bytes) -> str:
    text = os.fsdecode(rest.replace(b"\0", b"_"))
    return _command("train", "nowhere", f"--set={text}")


def _words(rest: bytes) -> str:
    words = [os.fsdecode(word) for word in rest.split(b"\0")[:12]]
    if any(word.startswith("/") or ".." in word or "=/" in word for word in words) or set(words) & set(SECRETS):
        return "left out"
    models = [model for option, model in pairwise(words) if option in ("-m", "-n", "--model")]
    if {"-", "--"} & set(words) or (words[0] not in ("check", "models") and models != ["bicubic"]):
        return "left out"  # which would wait, or compile kernels
    for name in ("a.png", "b.png"):
        Path(name).write_bytes(picture())
    Path("folder").mkdir()
    (Path("folder") / "c.png").write_bytes(picture())
    return _command(*words)


def mutate(data: bytes, rng: random.Random, basic: Basic) -> bytes:
    """Change a word, or the bytes."""
    if data[:1] == b"\6" and rng.random() < 0.8:
        words = data[1:].split(b"\0")
        at = rng.randrange(len(words) + 1)
        words[at : at + rng.randrange(2)] = [rng.choice(WORDS)]
        return b"\6" + b"\0".join(words)
    return basic(data)


if __name__ == "__main__":
    from tests.fuzz.guided import main

    sys.exit(main("tests.fuzz.names"))
