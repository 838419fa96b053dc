"""Bad input, one line each: what is given, what is said. From Python an error; from the shell exit code 2.

Nothing that was there is lost, and nothing half-written is left.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import npbsrn
from npbsrn.cli.parser import main
from npbsrn.models import save_model

BLACK = np.zeros((4, 5, 3), np.uint8)

PYTHON = {
    "a list": ([[0, 1]], {}, "a picture is a path, a Pillow image or a NumPy array, not list"),
    "one axis": (np.zeros(5, np.uint8), {}, r"has shape \(H, W\), \(H, W, 1\), \(H, W, 3\) or \(H, W, 4\), not \(5,\)"),
    "two channels": (np.zeros((4, 5, 2), np.uint8), {}, r"not \(4, 5, 2\)"),
    "channels first": (np.zeros((3, 40, 50), np.uint8), {}, r"not \(3, 40, 50\)"),
    "empty": (np.zeros((0, 5, 3), np.uint8), {}, "the picture is empty"),
    "bool": (np.zeros((4, 5), bool), {}, "uint8, uint16 or floating in 0..1, not bool; convert it"),
    "int64": (np.zeros((4, 5), np.int64), {}, "not int64; convert it"),
    "complex": (np.zeros((4, 5), complex), {}, "not complex128; convert it"),
    "objects": (np.array([["a"]], object), {}, "not object; convert it"),
    "NaN": (np.full((4, 5), np.nan), {}, "NaN or infinite values; replace them"),
    "infinity": (np.full((4, 5), np.inf), {}, "NaN or infinite values; replace them"),
    "0..255 as float": (np.full((4, 5), 255.0), {}, r"lies in 0\.\.1, not 255\.\.255; divide by its range"),
    "below 0": (np.full((4, 5), -0.5), {}, r"lies in 0\.\.1, not -0\.5\.\.-0\.5"),
    "scale 1": (BLACK, {"scale": 1}, "the scale must be a number above 1 and at most 16, not 1"),
    "scale 17": (BLACK, {"scale": 17}, "the scale must be a number above 1 and at most 16, not 17"),
    "scale NaN": (BLACK, {"scale": np.nan}, "the scale must be a number above 1 and at most 16, not nan"),
    "scale as word": (BLACK, {"scale": "4"}, "the scale must be a number above 1 and at most 16, not '4'"),
    "missing weights": (BLACK, {"model": "nowhere.npz"}, "there is no weight file nowhere.npz"),
    "a number as model": (BLACK, {"model": 3}, "a model is named by a path or a name, not by 3"),
    "nothing as model": (BLACK, {"model": ""}, "a model is named by a path or a name, not by ''"),
    "missing file": ("nowhere.png", {}, "there is no file nowhere.png"),
    "float image": (
        Image.fromarray(np.full((4, 5), 2, np.float32)),
        {},
        "floats from 2 to 2; divide them by their range",
    ),
    "int image": (
        Image.fromarray(np.full((4, 5), -1, np.int32)),
        {},
        r"whole numbers from -1 to -1; bring them into 0",
    ),
}


@pytest.mark.parametrize(("img", "options", "message"), PYTHON.values(), ids=PYTHON.keys())
def test_upscale_refuses(img, options, message):
    with pytest.raises(npbsrn.NpbsrnError, match=message):
        npbsrn.upscale(img, **{"model": "bicubic"} | options)


@pytest.fixture
def workspace(tmp_path, photographs, tiny_model, monkeypatch):
    """A folder with good and bad things in it, as the working folder."""
    save_model(tmp_path / "tiny.npz", tiny_model)
    whole = (tmp_path / "tiny.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    np.savez(tmp_path / "foreign.npz", a=np.zeros(3))
    good = (photographs / "0.png").read_bytes()
    (tmp_path / "good.png").write_bytes(good)
    (tmp_path / "cut.png").write_bytes(good[: len(good) // 2])
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "nothing.png").write_text("")
    (tmp_path / "empty").mkdir()
    for folder, name in (("damaged", "cut.png"), ("texts", "text.png")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes((tmp_path / name).read_bytes())
    (tmp_path / "small").mkdir()
    Image.new("RGB", (30, 30)).save(tmp_path / "small/small.png")
    (tmp_path / "dots").mkdir()
    Image.new("RGB", (1, 1)).save(tmp_path / "dots/dot.png")
    for part, name in (("HR", "a.png"), ("LR", "b.png")):
        (tmp_path / "zero" / part).mkdir(parents=True)
        Image.new("RGB", (80, 80)).save(tmp_path / "zero" / part / name)
    for part in ("high", "low"):
        (tmp_path / part).mkdir()
        Image.new("RGB", (80, 80)).save(tmp_path / part / "a.png")
    Image.new("RGBA", (3, 3), (0, 0, 0, 9)).save(tmp_path / "clear.png")
    Image.fromarray(np.full((4, 4), 2, np.float32)).save(tmp_path / "float.tif")
    (tmp_path / "floats").mkdir()
    Image.fromarray(np.full((4, 4), 2, np.float32)).save(tmp_path / "floats/float.tif")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NPBSRN_CACHE", str(tmp_path / "cache"))
    return tmp_path


def contents(folder):
    """All files and folders but the cache."""
    paths = (path for path in folder.rglob("*") if path.relative_to(folder).parts[0] != "cache")
    return {path: path.read_bytes() if path.is_file() else None for path in paths}


SHELL = {
    "upscale -i nowhere.png -o out.png": "there is no file nowhere.png",
    "upscale -i nowhere -o out": "there is no file nowhere",
    "upscale -i cut.png -o out.png": "cut.png is damaged .*; get a good copy",
    "upscale -i text.png -o out.png": "text.png is not a picture that can be read; known formats are",
    "upscale -i nothing.png -o out.png": "nothing.png is empty; get a good copy of it",
    "upscale -i good.png -o out.xyz": "cannot write out.xyz: choose a suffix",
    "upscale -i good.png -o nowhere/out.png": "there is no folder nowhere; make it first",
    "upscale -i good.png -o good.png": "good.png is the input itself; write to another file",
    "upscale -i good.png -o good.png/out.png": "there is no folder good.png; make it first",
    "upscale -i good.png -o out.png -m empty": "empty holds no weights; a training run writes them",
    "upscale": "name a picture, or a folder of pictures; npbsrn help upscale lists the options",
    "nowhere.png": "there is no file nowhere.png",
    "./nowhere": "there is no file nowhere",
    "upscale good.png -o out.jpg -f png": "-o out.jpg and -f .*png name two formats; leave one out",
    "upscale good.png text.png -o out.png": "there are several pictures, so -o must name a folder too, not out.png",
    "upscale good.png --suffix a/b": "--suffix is a part of a file's name, not 'a/b'",
    "upscale good.png - -o out": '"-" stands for one picture; name no others with it',
    "upscale photographs -o -": '"-" stands for one picture; name no others with it',
    "upscale -i photographs -o out.png": "is a folder, so -o must name a folder too",
    "upscale -i empty -o out": "there is no picture in empty",
    "upscale -i good.png -o out.png --engine packed": "is no network that the engine 'packed' could run",
    "upscale -i good.png -o out.png -s 1": "the scale must be a number above 1 and at most 16, not 1.0",
    "upscale -i good.png -o out.png -s nan": "the scale must be a number above 1 and at most 16, not nan",
    "upscale -i good.png -o out.png -m ./clean": "there is no weight file ./clean; name one",
    "upscale -i good.png -o out.png -m ./empty": "./empty holds no weights; a training run writes them",
    "train photographs --patch 6 --teacher clean --set distill=0.5": "its latent weights are the file training/",
    "check good.png nowhere.png": "there is no file nowhere.png",
    "check good.png dots/dot.png": "good.png, dots/dot.png: the result has 1x1 pixels, fewer than the",
    "check good.png good.png --json good.png": "good.png is the name of a picture; name a .json file",
    "models cleen": "there is no model cleen; there are clean .x2, x3, x4",
    "models fast -s 2": "there is no model fast for x2; there are clean .x2, x3, x4",
    "upscale -i good.png -o out.png -m cleen": "there is no model cleen, nor a file or run of that",
    "eval photographs -m photo -s 3": "there is no model photo for x3; there are clean .x2, x3, x4",
    "train photographs --patch 6 --init clean": "its latent weights are the file training/clean-x4/weights.npz of",
    "upscale -i good.png -o out.png -m cut.npz": "cut.npz is truncated or no npbsrn file",
    "upscale -i good.png -o out.png -m foreign.npz": "foreign.npz was not written by npbsrn",
    "upscale -i good.png -o out.png -m good.png": "good.png is truncated or no npbsrn file",
    "upscale -i good.png -o out.png -m nowhere.npz": "there is no weight file nowhere.npz",
    "train nowhere": r"there is no folder .*nowhere",
    "train good.png": r"there is no folder .*good.png",
    "train": "name a folder of pictures to train on",
    "train photographs --minutes inf": "minutes must be a number above 0, not inf",
    "train empty": r"there is no picture in .*empty",
    "train small": "no picture is as large as a patch of 64x64 pixels; give larger pictures or a smaller patch",
    "train damaged": r"no picture can be used: cut.png is damaged \(.*\); give others",
    "train texts": "no picture can be used: text.png is not a picture that can be read; give others",
    "train dots": "no picture can be used: dot.png has 1x1 pixels, too few for x4; give others",
    "train zero": "1 of 1 pictures in .*HR have no partner in .*LR, a.png for one",
    "train photographs -s 5": "the scale must be one of 2, 3, 4, not 5",
    "train photographs --steps 0": "steps must be a number above 0, not 0",
    "train photographs --preset fast": "there is no preset 'fast'; choose among default, quick, best, best-bsrn, paper",
    "train photographs --set colour=1": "there is no option colour; a run has steps, .*, and bsrn has binarizer, ",
    "train photographs --set colour": "--set takes NAME=VALUE, not 'colour'",
    "train photographs --set binarizer.alpha=two": "the option alpha of bam cannot be 'two'",
    "train photographs --binarizer bbcu --set binarizer.window=0": "the option window of bbcu must be a number above 0",
    "train photographs --network bbcu --set last=2": "last cannot be 2; choose among 3, 5, 7, 9",
    "train photographs --set milestones=0.75,0.5": "milestones must be growing fractions of the run between 0 and 1",
    "train photographs --set gamma=2": "gamma must be a number above 0 and at most 1, not 2",
    "train photographs --set schedule=linear": "schedule cannot be 'linear'; choose among cosine, step, multistep",
    "train photographs --set binarizer=3": "binarizer must be a name or options, not 3",
    "train photographs --patch 6 --validation empty": r"there is no picture in .*empty",
    "train photographs --patch 6 --validation photographs empty": r"there is no picture in .*empty",
    "train photographs --set scale=3": "scale is no option of the run or the network",
    "train photographs --set name=[]": r"there is no network \[\]",
    "train low": "low holds low-resolution pictures by its name; name the folder of the high-resolution ones",
    "train photographs -o photographs": r"\d.png lies in .*photographs, where the run's own pictures go; choose",
    "train photographs --patch 6 --validation damaged": "no picture of damaged can be used to judge on: cut.png is dam",
    "train photographs -o good.png/run": "cannot write to good.png/run; choose another output folder",
    "upscale -i photographs -o photographs": "-o must not be photographs itself; leave it out, or write to another fol",
    "upscale good.png -o results.v2": "or end it with / for a folder, results.v2/",
    "good.png out.jpg": "there is no file out.jpg; to write it, give it behind -o",
    "upscale good.png -o c.pgm": "c.pgm: a .pgm holds no colours; write a .ppm or .png",
    "upscale -i photographs -o out -s 17": "the scale must be a number above 1 and at most 16, not 17.0",
    "upscale -i float.tif -o out.png": "float.tif holds floats from 2 to 2; divide them by their range, to 0",
    f"upscale -i {'a' * 300}.png -o out.png": "aaa.png: File name too long; choose another file",
    "eval floats": "float.tif holds floats",
    "train photographs --patch 6 --init nowhere.npz": "there is no weight file nowhere.npz",
    "train photographs --patch 6 --init cut.npz": "cut.npz is truncated or no npbsrn file",
    "train photographs --patch 6 --teacher nowhere.npz --set distill=0.5": "there is no weight file .*nowhere.npz",
    "train photographs --patch 6 --teacher tiny.npz": "a teacher is named, but distill is 0",
    "train photographs --patch 6 --set distill=0.5": "distill is 0.5, but there is no teacher; name one",
    "train photographs --set distill=2": "distill must be a number at least 0 and at most 1, not 2",
    "train photographs -s 2 --teacher tiny.npz --set distill=1": "the teacher enlarges x4, the run x2",
    "train photographs --set teacher=tiny.npz": "teacher is no option of the run or the network",
    "train --resume -o empty": "empty holds no run to go on with; start one without resuming",
    "compact nowhere -o out": "nowhere holds no run; name the folder of one",
    "compact empty -o out": "empty holds no run; name the folder of one",
    "compact tiny.npz -o out": "tiny.npz holds no run; name the folder of one",
    "eval low": "low holds low-resolution pictures by its name; name the folder of the high-resolution ones",
    "eval nowhere": "there is no folder nowhere",
    "eval empty": "there is no picture in empty",
    "eval damaged": "cut.png is damaged",
    "eval dots": "1x1 pixels, too few for x4; remove it",
    "eval zero": "have no partner",
    "eval photographs -s 1": "the scale must be one of 2, 3, 4, not 1",
    "eval photographs --json nowhere/r.json": "cannot write nowhere/r.json: there is no folder nowhere",
    "eval photographs --json good.png": "good.png is the name of a picture; name a .json file",
    "info -m edsr": "there is no model edsr, nor a file or run of that name",
    "info -m bicubic": "bicubic is no network, and has no weights; name a model, a weight file or a run",
    "info -m cut.npz": "cut.npz is truncated",
    "info clean -m bsrn": "two models are named, clean and bsrn; name one",
    "info -m bsrn -s 8": "the scale must be one of 2, 3, 4, not 8",
}
if Path("/proc/meminfo").exists():  # elsewhere the system does not say what is available
    SHELL["train photographs --patch 6 --batch 1000000"] = r"1000000 patches of 6x6 need at least \d+\.\d GB of memory"


@pytest.mark.filterwarnings("ignore")  # Pillow warns before it fails
@pytest.mark.parametrize("command", SHELL)
def test_the_command_line_refuses(workspace, capsys, command):
    before = contents(workspace)
    words = command.split()
    if words[0] not in ("train", "compact", "info", "check", "models") and "-m" not in words:
        words += ["-m", "bicubic"]
    assert main(words) == 2
    message = capsys.readouterr().err
    assert message.startswith("npbsrn: ")
    assert message.count("\n") == 1, message
    assert re.search(SHELL[command], message), message
    assert contents(workspace) == before


USAGE = {
    "upscale a.png -s 2,5": ("npbsrn [upscale]", "argument -s/--scale: must be a number, such as 2 or 1.5, not '2,5'"),
    "a.png -g 0": ("npbsrn [upscale]", "unrecognized arguments: -g 0, as npbsrn runs on the CPU: leave it out"),
    "a.png --sclae 2": ("npbsrn [upscale]", "unrecognized arguments: --sclae 2, did you mean --scale?; npbsrn"),
    "a.png --output=": ("npbsrn [upscale]", "an argument is empty, which names nothing; leave it out, or name a file"),
    "enlarge": ("npbsrn [upscale]", "there is no command or file enlarge; the commands are upscale, check, "),
    "upscal a.png": ("npbsrn [upscale]", "there is no command or file upscal; did you mean upscale?"),
    "help trian": ("npbsrn [upscale]", "there is no command trian; did you mean train?"),
    "-i a.png -o b.png --colour": ("npbsrn [upscale]", "unrecognized arguments: --colour; npbsrn help upscale lists"),
    "a.png --flat --recursive": ("npbsrn [upscale]", "argument --recursive: not allowed with argument --flat"),
    "a.png -q 101": ("npbsrn [upscale]", "argument -q/--quality: must be a whole number from 1 to 100, not '101'"),
    "a.png -f docx": ("npbsrn [upscale]", "argument -f/--format: docx is no format that is written; choose among"),
    "a.png --background lightgold": ("npbsrn [upscale]", "'lightgold' is no colour; give a name, or #rrggbb"),
    "a.png -j many": ("npbsrn [upscale]", "argument -j/--threads: must be a whole number, not 'many'"),
    "eval x -s four": ("npbsrn eval", "argument -s/--scale: invalid int value: 'four'; npbsrn help eval lists the"),
    "pack": ("npbsrn pack", "the following arguments are required: FILE, -o/--output; npbsrn help pack lists"),
    "train --colour": ("npbsrn train", "unrecognized arguments: --colour; npbsrn help train lists the options"),
}


@pytest.mark.parametrize("command", USAGE)
def test_wrong_usage_shows_the_commands_own_and_exits_with_2(command, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(command.split())
    *usage, said = capsys.readouterr().err.splitlines()
    own, message = USAGE[command]
    assert usage[0].startswith(f"usage: {own}")
    assert said.startswith("npbsrn: ")
    assert message in said


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_no_permission(workspace, capsys):
    Path("locked").mkdir(mode=0o500)
    assert main(["upscale", "-i", "good.png", "-o", "locked/out.png", "-m", "bicubic"]) == 2
    assert "the folder locked may not be written; choose another one" in capsys.readouterr().err


def test_a_kernel_that_there_is_not():
    """It is chosen while modules are imported."""
    words = [sys.executable, "-m", "npbsrn", "good.png"]
    done = subprocess.run(words, capture_output=True, check=False, env=os.environ | {"NPBSRN_KERNEL": "foo"})
    assert done.returncode == 2
    assert done.stderr == b"npbsrn: NPBSRN_KERNEL must be one of avx512, avx2, portable, numpy, not 'foo'\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no such device")
def test_standard_output_that_is_full(workspace):
    words = [sys.executable, "-m", "npbsrn", "good.png", "-o", "-", "-m", "bicubic"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2
    assert done.stderr == b"npbsrn: standard output: No space left on device; the picture is not complete\n"
