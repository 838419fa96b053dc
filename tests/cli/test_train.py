"""``npbsrn train``, and what is done with its runs."""

import json

import pytest

from npbsrn.cli.options import set_option
from npbsrn.cli.parser import main


def test_train_then_eval_then_info(tmp_path, photographs, cache, capsys):
    run = str(tmp_path / "run")
    options = ["--steps", "3", "--batch", "1", "--patch", "6", "--seed", "5", "--rate", "1e-3", "--quiet"]
    settings = ["--set", "blocks=1", "--set", "width=4", "--set", "binarizer.alpha=one", "--set", "ema=0"]
    assert main(["train", str(photographs), "-s", "2", "-o", run, *options, *settings]) == 0
    assert "3 steps in" in capsys.readouterr().out
    assert main(["train", "-o", run, "--resume", "--quiet"]) == 0
    assert main(["compact", run, "-o", str(tmp_path / "carried")]) == 0
    assert f"npbsrn train DIR -o {tmp_path / 'carried'} --resume goes on with it" in capsys.readouterr().out
    assert main(["train", str(photographs), "-o", str(tmp_path / "carried"), "--resume", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["eval", str(photographs), "-s", "2", "-m", run, "--json", str(tmp_path / "r.json")]) == 0
    table = capsys.readouterr().out
    report = json.loads((tmp_path / "r.json").read_text())
    assert f"{report['mean']['psnr']:.3f}" in table
    assert main(["eval", str(photographs), "-s", "2", "-m", run, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out) == report
    assert main(["info", "-m", run, "-s", "2"]) == 0
    shown = capsys.readouterr().out
    assert '"alpha": "one"' in shown
    assert "seed        5" in shown


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.5,0.75", [0.5, 0.75]), ("[0.5,0.75]", [0.5, 0.75]), ("0.5", 0.5), ("one", "one"), ("one,two", "one,two")],
)
def test_values_of_set(text, value):
    options = {}
    set_option(options, f"a.b={text}")
    assert options == {"a": {"b": value}}


def test_train_another_network_with_another_binarizer(tmp_path, photographs, cache, capsys):
    run = str(tmp_path / "run")
    options = ["--network", "vdsr", "--binarizer", "abc", "--steps", "2", "--batch", "1", "--patch", "4", "--quiet"]
    settings = ["--set", "blocks=1", "--set", "width=4", "--set", "binarizer.bases=2", "--set", "norm=true"]
    assert main(["train", str(photographs), "-s", "2", "-o", run, *options, *settings]) == 0
    assert "2 steps in" in capsys.readouterr().out
    assert main(["info", "-m", run, "-s", "2"]) == 0
    shown = capsys.readouterr().out
    assert '"name": "vdsr", "scale": 2, "binarizer": {"name": "abc", "bases": 2, "activation_bases": 1}, ' in shown
    assert '"blocks": 1, "width": 4, "activation": "prelu", "norm": true' in shown


def test_train_the_best_preset_with_options_of_the_data(tmp_path, photographs, cache, capsys):
    command = ["train", str(photographs), "-o", str(tmp_path / "run"), "--preset", "best", "--steps", "2", "--quiet"]
    command += ["--batch", "2", "--patch", "6"]
    for setting in ("blocks=1", "width=4", "keep=0.5", "flat_patches=0", "degrade=true"):
        command += ["--set", setting]
    assert main(command) == 0
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert (config["network"]["name"], config["network"]["activation"]) == ("bbcu", "rprelu")
    assert (config["keep"], config["flat_patches"], config["degrade"]) == (0.5, 0, True)
    assert main(["train", str(photographs), "-o", str(tmp_path / "run"), "--resume", "--steps", "3", "--quiet"]) == 0


@pytest.mark.parametrize("words", [["--sclae", "3"], ["--set", "blocks"]])
def test_the_first_of_several_ranks_says_what_is_wrong_with_options(monkeypatch, capsys, words):
    for rank, size, count in (("0", "2", 1), ("1", "2", 0), ("1", "1", 1)):  # the last is alone, whatever its number
        monkeypatch.setenv("PMI_RANK", rank)
        monkeypatch.setenv("PMI_SIZE", size)
        try:
            code = main(["train", "photographs", *words])
        except SystemExit as end:
            code = end.code
        assert code == 2
        assert capsys.readouterr().err.count("npbsrn: ") == count
