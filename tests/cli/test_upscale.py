"""Options of ``npbsrn upscale``, on tiny pictures by bicubic interpolation."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import npbsrn
from npbsrn import __version__
from npbsrn.cli.parser import COMMANDS, main, make_parser
from npbsrn.kernels.cpu import chosen_kernel
from npbsrn.models import save_model
from npbsrn.runtime.machine import cpu_name


def enlarge(*words):
    return main([*words, "-m", "bicubic"])


def shape(path):
    with Image.open(path) as image:
        return image.format, image.size


# --- commands and help ---


@pytest.mark.parametrize("words", [[], ["help"], ["-h"], ["--help"]])
def test_help_lists_the_commands(words, capsys):
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("usage: npbsrn [upscale] PICTURE ...")
    assert [line.split()[0] for line in shown.splitlines() if line.startswith("  ") and "[" not in line][1:] == [
        *COMMANDS
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(name, capsys):
    assert main(["help", name]) == 0
    shown = capsys.readouterr().out
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    assert capsys.readouterr().out == shown
    assert COMMANDS[name][1] in " ".join(shown.split())


@pytest.mark.parametrize("word", ["-V", "--version"])
def test_version(word, capsys):
    assert main([word]) == 0
    first, libraries, machine, kernel = capsys.readouterr().out.splitlines()
    assert first == f"npbsrn {__version__}"
    assert f"numpy {np.__version__}, numba " in libraries
    assert cpu_name() in machine
    assert kernel == f"kernel: {chosen_kernel()}"


def test_the_version_is_told_where_a_variable_is_wrong(monkeypatch, capsys):
    monkeypatch.setenv("NPBSRN_KERNEL", "neon")
    assert main(["--version"]) == 2
    shown = capsys.readouterr()
    assert shown.out.startswith(f"npbsrn {__version__}\npython ")
    assert "NPBSRN_KERNEL must be one of" in shown.err


def test_a_command_goes_before_a_file_of_its_name(place, capsys):
    (place / "a.png").rename("models")
    assert main(["models"]) == 0
    assert "clean" in capsys.readouterr().out
    assert enlarge("./models") == 0
    assert shape("models-x4.png") == ("PNG", (32, 16))


# --- habits of other enlargers ---


@pytest.mark.parametrize(
    "words",
    ["a.png -o b.png", "upscale a.png -o b.png", "-i a.png -o b.png -s 4 -f png -t 0 -j 1:2:2 -q 90", "-o b.png a.png"],
)
def test_ways_to_say_the_same(place, capsys, words):
    assert enlarge(*words.split()) == 0
    assert capsys.readouterr().out == "b.png: 32x16 pixels\n"
    result = npbsrn.upscale("a.png", 4, "bicubic")
    with Image.open("b.png") as image:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(result))


def test_n_and_m_name_the_model(place):
    assert main(["a.png", "-n", "bicubic", "-s", "2"]) == 0
    assert main(["a.png", "-m", "bicubic", "-s", "2", "-o", "b.png"]) == 0
    assert Path("a-x2.png").read_bytes() == Path("b.png").read_bytes()


@pytest.mark.parametrize(
    ("form", "name", "kind"), [("jpg", "a-x3.jpg", "JPEG"), (".PNG", "a-x3.png", "PNG"), ("webp", "a-x3.webp", "WEBP")]
)
def test_the_format(place, form, name, kind):
    assert enlarge("a.png", "-s", "3", "-f", form) == 0
    assert shape(name) == (kind, (24, 12))


def test_the_quality(place):
    for quality in ("20", "95"):
        assert enlarge("a.png", "-f", "jpg", "-q", quality, "--suffix", quality) == 0
    assert enlarge("a.png", "-f", "jpg") == 0
    assert Path("a20.jpg").stat().st_size < Path("a95.jpg").stat().st_size
    assert Path("a95.jpg").read_bytes() == Path("a-x4.jpg").read_bytes()


def test_several_inputs_by_an_option_and_without(place, capsys):
    for name in ("b.png", "c.png"):
        Path(name).write_bytes(Path("a.png").read_bytes())
    assert enlarge("a.png", "-i", "b.png", "-i", "c.png", "-o", "out") == 0
    assert capsys.readouterr().out == "out: 3 pictures enlarged\n"
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "b.png", "c.png"]


# --- what is said ---


@pytest.mark.parametrize(
    ("scale", "said"),
    [("5", "x5: x4 by bsrn, then resized by 1.25"), ("1.5", "x1.5: x4 by bsrn, then reduced to 0.375"), ("4", "")],
)
def test_how_a_scale_is_composed_is_said(place, tiny_model, capsys, scale, said):
    save_model("tiny.npz", tiny_model)
    assert main(["a.png", "-m", "tiny.npz", "-s", scale]) == 0
    shown = capsys.readouterr()
    assert shown.err == (f"npbsrn: {said}\n" if said else "")
    assert shown.out == f"a-x{scale}.png: {round(8 * float(scale))}x{round(4 * float(scale))} pixels\n"


def test_the_scale_is_the_weights_own(place, capsys):
    from npbsrn.models import Model
    from npbsrn.networks.base import make_network

    network = make_network({"scale": 2, "blocks": 1, "width": 4})
    save_model("double.npz", Model(network, network.init(0)))
    assert main(["a.png", "-m", "double.npz"]) == 0
    assert capsys.readouterr().out == "a-x2.png: 16x8 pixels\n"


def test_quiet_says_nothing(place, capfd):
    Image.new("RGBA", (3, 2), (0, 0, 0, 9)).save("b.png")
    assert enlarge("a.png", "b.png", "-f", "jpg", "--quiet") == 0
    assert enlarge("a.png", "-o", "c.png", "--quiet", "-s", "1.5") == 0
    assert capfd.readouterr() == ("", "")


def test_verbose_has_a_line_for_each_picture(place, capsys):
    Path("b.png").write_bytes(Path("a.png").read_bytes())
    assert enlarge("a.png", "b.png", "-v") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["a.png -> a-x4.png", "b.png -> b-x4.png", "2 pictures enlarged"]
    assert "32x16 pixels" in lines[0]


@pytest.mark.parametrize(
    ("options", "colour", "said"),
    [([], 255, "#ffffff"), (["--background", "black"], 0, "#000000"), (["--background", "#808080"], 128, "#808080")],
)
def test_transparency_is_laid_over_the_background_and_that_is_said(place, capsys, options, colour, said):
    Image.new("RGBA", (8, 8), (9, 9, 9, 0)).save("b.png")
    assert enlarge("b.png", "-f", "jpg", *options) == 0
    assert f"npbsrn: b.png: transparency is laid over {said}\n" in capsys.readouterr().err
    with Image.open("b-x4.jpg") as image:
        assert np.all(np.asarray(image) == colour)
    assert enlarge("b.png") == 0
    assert "transparency" not in capsys.readouterr().err
    with Image.open("b-x4.png") as image:
        assert image.mode == "RGBA"


def test_how_a_result_came_about_is_in_it_unless_stripped(place):
    assert enlarge("a.png") == 0
    assert enlarge("a.png", "-o", "bare.png", "--strip-metadata") == 0
    with Image.open("a-x4.png") as image:
        assert image.info["Software"] == f"npbsrn {__version__}"
        assert (image.info["npbsrn:model"], image.info["npbsrn:scale"]) == ("bicubic", "4")
    with Image.open("bare.png") as image:
        assert not {key for key in image.info if "npbsrn" in key.lower() or key == "Software"}


def test_the_hash_of_the_weights_is_in_a_result(place, tiny_model):
    from npbsrn.storage.params import peek_card

    save_model("tiny.npz", tiny_model)
    assert main(["a.png", "-m", "tiny.npz", "-s", "5"]) == 0
    with Image.open("a-x5.png") as image:
        assert image.info["npbsrn:weights"] == peek_card("tiny.npz")["sha256"]


# --- pictures of unusual sizes and kinds ---


def test_more_pixels_than_allowed(place, capsys):
    assert enlarge("a.png", "--max-pixels", "31") == 2
    assert "a.png has 8x4 pixels, more than the 31 that are opened unasked" in capsys.readouterr().err
    assert enlarge("a.png", "--max-pixels", "32") == 0
    assert enlarge("a.png", "--max-pixels", "any", "-o", "b.png") == 0
    assert make_parser("upscale").parse_args(["--max-pixels", "any"]).max_pixels is None  # as `refuse_huge` has it


@pytest.mark.parametrize("word", ["all", "-1", "1e9"])
def test_what_is_no_number_of_pixels(place, capsys, word):
    with pytest.raises(SystemExit, match="2"):
        enlarge("a.png", f"--max-pixels={word}")
    assert 'must be a whole number, or "any"' in capsys.readouterr().err


def test_all_frames_or_the_first(place):
    frames = [Image.new("L", (3, 2), level) for level in (0, 100, 200)]
    frames[0].save("m.webp", save_all=True, append_images=frames[1:], duration=70, lossless=True)
    assert enlarge("m.webp", "-s", "2") == 0
    assert enlarge("m.webp", "-s", "2", "-o", "one.webp", "--first-frame") == 0
    with Image.open("m-x2.webp") as image:
        assert (image.n_frames, image.size) == (3, (6, 4))
    with Image.open("one.webp") as image:
        assert (getattr(image, "n_frames", 1), image.size) == (1, (6, 4))


def test_an_animation_for_a_format_that_holds_none(place, capsys):
    frames = [Image.new("L", (3, 2), level) for level in (0, 200)]
    frames[0].save("m.gif", save_all=True, append_images=frames[1:])
    assert enlarge("m.gif", "-f", "jpg") == 2
    assert "JPEG holds no animation" in capsys.readouterr().err
    assert enlarge("m.gif", "-f", "jpg", "--first-frame") == 0


# --- check ---


def test_check_prints_figures_and_writes_them(place, capsys):
    assert enlarge("a.png", "--quiet") == 0
    assert main(["check", "a.png", "a-x4.png", "--json", "r.json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "a-x4.png, reduced by 4, against a.png (8x4)"
    assert [line.split()[0] for line in lines[1:]] == ["PSNR", "worst", "mean"]
    assert main(["check", "a.png", "a-x4.png", "--json", "-"]) == 0
    assert capsys.readouterr().out == Path("r.json").read_text()
