import json
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
from npbsrn.shipped import MODELS
from npbsrn.storage.params import peek_card


@pytest.fixture
def weights(tmp_path, tiny_model):
    save_model(tmp_path / "tiny.npz", tiny_model)
    return str(tmp_path / "tiny.npz")


def test_upscale_a_picture(tmp_path, photographs, weights):
    out = tmp_path / "out.jpg"
    assert main(["upscale", "-i", str(photographs / "0.png"), "-o", str(out), "-s", "4", "-m", weights]) == 0
    with Image.open(out) as image:
        assert image.size == (63 * 4, 54 * 4)


def test_upscale_by_either_engine_in_tiles_and_by_threads(tmp_path, photographs, weights):
    results = []
    for options in ([], ["--engine", "reference"], ["--tile", "16"], ["--threads", "3", "--engine", "packed"]):
        out = tmp_path / f"{len(results)}.png"
        assert main(["upscale", "-i", str(photographs / "0.png"), "-o", str(out), "-m", weights, *options]) == 0
        with Image.open(out) as image:
            results.append(np.asarray(image).astype(int))
    for result in results[2:]:
        np.testing.assert_array_equal(result, results[0])
    assert np.abs(results[1] - results[0]).max() <= 1


def test_an_ensemble_of_a_picture_a_folder_and_a_set(tmp_path, photographs, weights, capsys):
    one, folder = tmp_path / "one.png", tmp_path / "all"
    assert main(["upscale", "-i", str(photographs / "0.png"), "-o", str(one), "-m", weights, "-x"]) == 0
    assert main(["upscale", "-i", str(photographs), "-o", str(folder), "-m", weights, "--ensemble"]) == 0
    expected = npbsrn.upscale(photographs / "0.png", 4, weights, ensemble=True)
    for path in (one, folder / "0.png"):
        with Image.open(path) as image:
            np.testing.assert_array_equal(np.asarray(image), np.asarray(expected))
    capsys.readouterr()
    assert main(["eval", str(photographs), "-m", weights, "-x", "--json", "-"]) == 0
    report = npbsrn.evaluate(weights, photographs, ensemble=True)
    assert json.loads(capsys.readouterr().out) == report.to_dict()


def test_pack_then_upscale_and_eval(tmp_path, photographs, weights, capsys):
    packed, out = str(tmp_path / "packed.npz"), str(tmp_path / "out.png")
    assert main(["pack", weights, "-o", packed]) == 0
    assert "packed.npz: 0.0" in capsys.readouterr().out
    assert main(["upscale", "-i", str(photographs / "0.png"), "-o", out, "-m", packed]) == 0
    assert main(["eval", str(photographs), "-m", packed]) == 0
    assert f"{packed} on" in capsys.readouterr().out
    assert main(["eval", str(photographs), "-m", packed, "--engine", "reference"]) == 0
    assert f"{packed} on" in capsys.readouterr().out
    assert main(["pack", packed, "-o", str(tmp_path / "again.npz")]) == 2
    assert "holds a packed network" in capsys.readouterr().err
    assert main(["pack", weights, "-o", weights]) == 2
    assert "is what is to be packed; write to another file" in capsys.readouterr().err
    assert main(["pack", weights, "-o", str(tmp_path / "packed.txt")]) == 2
    assert "a packed weight file ends in .npz" in capsys.readouterr().err


def test_a_picture_that_does_not_fit_into_memory_is_left_out(tmp_path, photographs, weights, capsys, monkeypatch):
    (photographs / "deep").mkdir()
    Image.new("RGB", (150, 150)).save(photographs / "deep/large.png")
    monkeypatch.setattr("npbsrn.packed.engine.available_bytes", lambda: 5_000_000)
    monkeypatch.setattr("npbsrn.runtime.buffers.held", lambda: 0)  # whatever other tests have left
    command = ["upscale", "-i", str(photographs), "-o", str(tmp_path / "out"), "-m", weights, "--threads", "1"]
    assert main(command) == 1
    message = capsys.readouterr().err
    assert "large.png: 150x150 pixels need" in message
    assert "1 of 6 pictures could not be enlarged" in message


def test_what_memory_does_not_hold_is_left_out(tmp_path, photographs, capsys, monkeypatch):
    def none_left(*_, **__):
        raise MemoryError

    monkeypatch.setattr("npbsrn.inference.runners.Bicubic.run", none_left)
    command = ["upscale", "-i", str(photographs), "-o", str(tmp_path / "out"), "-m", "bicubic"]
    assert main(command) == 1
    assert "0.png: there is not enough memory to enlarge this; give --tile 256" in capsys.readouterr().err


@pytest.mark.slow
def test_bench_and_warmup_print_what_they_did(weights, capsys):
    assert main(["bench", "-m", "bicubic"]) == 2
    assert main(["bench", "-m", weights]) == 0
    assert "320x180" in capsys.readouterr().out
    assert main(["warmup"]) == 0
    shown = capsys.readouterr().out
    assert all(f"training, {pair}: " in shown for pair in ("vdsr, bam", "bbcu, bbcu", "vdsr, bnn"))


def test_upscale_replaces_an_output_only_if_told(photographs, tmp_path, capsys):
    path = tmp_path / "out.png"
    path.write_text("old")
    command = ["upscale", "-i", str(photographs / "2.png"), "-o", str(path), "-s", "3", "-m", "bicubic"]
    assert main(command) == 2
    assert (
        "out.png exists already and is left alone; choose another file, or add --overwrite" in capsys.readouterr().err
    )
    assert path.read_text() == "old"
    assert main([*command, "--overwrite"]) == 0
    assert "out.png: 189x162 pixels" in capsys.readouterr().out
    with Image.open(path) as image:
        assert image.size == (63 * 3, 54 * 3)
        assert image.mode == "L"


def test_upscale_a_folder_with_one_bad_file(tmp_path, photographs, capsys):
    (photographs / "deep").mkdir()
    (photographs / "3.png").rename(photographs / "deep/3.png")
    (photographs / "bad.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    assert main(["upscale", "-i", str(photographs), "-o", str(out), "-s", "2", "-m", "bicubic"]) == 1
    written = sorted(p.relative_to(out).as_posix() for p in out.rglob("*.png"))
    assert written == ["0.png", "1.png", "2.png", "4.png", "deep/3.png"]
    message = capsys.readouterr().err
    assert "bad.png is not a picture that can be read" in message
    assert "1 of 6 pictures could not be enlarged" in message


@pytest.mark.parametrize(
    ("name", "scale", "parameters", "macs"),
    [
        ("bsrn", "4", "1215.4 K (1013.8 K of 1 bit)", "84.7 G for 1280x720 pixels out"),
        ("bbcu", "4", "1523.8 K (1179.6 K of 1 bit)", "114.2 G for 1280x720 pixels out"),
        ("srresnet", "4", "1548.4 K (1179.6 K of 1 bit)", "127.8 G for 1280x720 pixels out"),
        ("vdsr", "4", "670.6 K (663.6 K of 1 bit)", "614.7 G for 1280x720 pixels out"),
        ("vdsr", "2", "670.6 K (663.6 K of 1 bit)", "614.7 G for 1280x720 pixels out"),
        ("vdsr", "3", "670.6 K (663.6 K of 1 bit)", "613.8 G for 1278x720 pixels out"),
    ],
)
def test_info_prints_the_papers_counts(capsys, name, scale, parameters, macs):
    assert main(["info", "--model", name, "--scale", scale]) == 0
    shown = capsys.readouterr().out
    assert f"parameters  {parameters}\n" in shown
    assert f"MACs        {macs}\n" in shown


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such pipes")
def test_a_reader_that_has_seen_enough_ends_a_command_quietly():
    program = "import sys; from npbsrn.cli.parser import main; sys.stdout.reconfigure(line_buffering=True); "
    program += "sys.exit(main(['info', '--model', 'bsrn']))"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_info_shows_a_packed_files_card(capsys):
    packed = Path(npbsrn.__file__).parent / "weights" / "bsrn-x4-packed.npz"
    assert main(["info", "--model", str(packed)]) == 0
    shown = capsys.readouterr().out
    assert "K of 1 bit)" in shown
    assert re.search(r"^kind +packed$", shown, re.MULTILINE)


def test_models_lists_what_there_is(capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    found = [tuple(line.split()[:2]) for line in lines[1:-1]]
    assert found == [(name, f"x{scale}") for name, model in MODELS.items() for scale in model.scales]
    for line in lines[1:-1]:
        name, scale, megabytes, psnr, words = line.split(maxsplit=4)
        path = Path(npbsrn.__file__).parent / "weights" / f"{name}-{scale}-packed.npz"
        assert float(megabytes) == pytest.approx(path.stat().st_size / 1e6, abs=0.005)
        assert float(psnr) == pytest.approx(peek_card(path)["validation_psnr"], abs=0.005)
        assert words == MODELS[name].words


def test_a_model_by_its_name(tmp_path, photographs, capsys):
    source, results = photographs / "0.png", []
    for name in ("clean", "fast", "photo", "bsrn"):
        out = tmp_path / f"{name}.png"
        assert main(["upscale", "-i", str(source), "-o", str(out), "-m", name]) == 0
        results.append(out.read_bytes())
    assert len(set(results)) == 4
    assert main(["upscale", "-i", str(source), "-o", str(tmp_path / "default.png")]) == 0
    assert (tmp_path / "default.png").read_bytes() == results[0]
    assert main(["eval", str(photographs), "-m", "photo", "-s", "2"]) == 0
    assert "photo on photographs, x2" in capsys.readouterr().out
    assert main(["info", "fast"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^name +fast$", shown, re.MULTILINE)
    assert re.search(r'"blocks": 10, .*"tail": "direct"', shown)


def test_ctrl_c_exits_with_130(photographs, cache, tmp_path, monkeypatch, capsys):
    from npbsrn.training.checkpoint import load_checkpoint
    from tests.training.runs import interrupt_at

    interrupt_at(monkeypatch, 2)
    sizes = ["--batch", "1", "--patch", "6", "--set", "blocks=1", "--set", "width=4", "--quiet"]
    assert main(["train", str(photographs), "-o", str(tmp_path / "run"), *sizes]) == 130
    assert "interrupted; the state is saved, --resume goes on" in capsys.readouterr().err
    assert load_checkpoint(tmp_path / "run/checkpoint.npz")[0].step == 3


def test_an_unexpected_error_is_one_sentence(photographs, monkeypatch, capsys):

    monkeypatch.setattr("npbsrn.cli.info.named", lambda *_: 1 / 0)
    assert main(["info"]) == 1
    assert (
        capsys.readouterr().err
        == "npbsrn: unexpected ZeroDivisionError: division by zero; npbsrn --debug COMMAND shows where\n"
    )
    with pytest.raises(ZeroDivisionError):
        main(["--debug", "info"])


def test_the_module_runs():
    done = subprocess.run([sys.executable, "-m", "npbsrn", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("npbsrn ")


@pytest.mark.parametrize("command", ["pack", "eval", "check"])
def test_a_file_of_results_is_replaced_only_where_that_is_asked_for(command, tmp_path, photographs, weights, capsys):
    out = tmp_path / ("out.npz" if command == "pack" else "out.json")
    out.write_bytes(b"mine")
    picture = str(photographs / "0.png")
    words = {
        "pack": ["pack", weights, "-o", str(out)],
        "eval": ["eval", str(photographs), "-m", "bicubic", "-s", "2", "--json", str(out)],
        "check": ["check", picture, str(tmp_path / "large.png"), "--json", str(out)],
    }[command]
    assert main(["upscale", picture, "-o", str(tmp_path / "large.png"), "-m", "bicubic"]) == 0
    assert main(words) == 2
    assert f"{out} exists already and is left alone; choose another file, or add --overwrite" in capsys.readouterr().err
    assert out.read_bytes() == b"mine"
    assert main([*words, "--overwrite"]) == 0
    assert out.read_bytes() != b"mine"
