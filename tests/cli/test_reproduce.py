import json

import pytest

from npbsrn.cli.parser import main
from tests.reproduction.conftest import sets, tiny  # noqa: F401


@pytest.fixture
def words(tmp_path, photographs, sets):  # noqa: F811
    folders = [str(folder) for folder in sets.values()]
    return ["reproduce", "table4", "-o", str(tmp_path / "out"), "--steps", "2", "--only", "W2", "--sets", *folders]


@pytest.mark.slow
def test_a_table_is_trained_printed_and_shown_again(tiny, words, photographs, tmp_path, capsys):  # noqa: F811
    assert main([*words, "--data", str(photographs), "--quiet"]) == 0
    first = capsys.readouterr()
    assert "W2 x4, seed 0: 2 steps in" in first.err
    table = json.loads((tmp_path / "out" / "table4-bsrn-w2.json").read_text())
    own = {(cell["row"], cell["set"]): cell["psnr"] for cell in table["cells"]}
    assert f"{own['bsrn-w2', 'B100']:.2f}" in first.out
    assert main([*words, "--show"]) == 0
    assert capsys.readouterr().out == first.out


def test_what_does_not_make_sense_is_refused(words, tmp_path, capsys):
    for more, said in (
        (["--scales", "2"], "table4 has no scale 2"),
        (["--steps", "0"], "--steps must be above 0"),
        (["--seeds", "0", "-1"], "--seeds must be 0 or above, not -1"),
        (["--data", "none"], "there is no folder none"),
        ([], "name a folder of training pictures by --data"),
    ):
        assert main([*words, *more]) == 2
        assert said in capsys.readouterr().err
        assert not (tmp_path / "out").exists()


def test_a_scale_or_seed_named_twice_counts_once(words, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    assert main([*words, "--show", "--scales", "4", "--seeds", "0"]) == 0
    once = capsys.readouterr().out
    assert main([*words, "--show", "--scales", "4", "4", "--seeds", "0", "0"]) == 0
    assert capsys.readouterr().out == once


def test_a_table_is_shown_where_nothing_may_be_written(words, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.setattr("npbsrn.cli.reproduce.os.access", lambda *_: False)
    assert main([*words, "--show"]) == 0
    said = capsys.readouterr()
    assert "table4: " in said.out
    assert said.err == f"npbsrn: the folder {out} may not be written, so the table is in no file\n"
    assert list(out.iterdir()) == []


def test_rows_that_nothing_would_judge_are_told_of(words, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("npbsrn.reproduction.rows.complete", lambda *_: [])
    (tmp_path / "alone/pictures").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    assert main([*words[: words.index("--sets")], "--data", str(tmp_path / "alone/pictures")]) == 0
    assert "rows are trained, not judged; --sets names some" in capsys.readouterr().err
    assert main([*words, "--data", str(tmp_path / "alone/pictures")]) == 0
    assert "not judged" not in capsys.readouterr().err


def test_there_is_nothing_to_show(capsys):
    assert main(["reproduce", "table1", "--show", "-o", "nowhere"]) == 2
    said = capsys.readouterr()
    assert said.err == "npbsrn: there is no folder nowhere; name one that holds rows, or leave --show out\n"
    assert not said.out


@pytest.mark.parametrize(("size", "number"), [("PMI_SIZE", "PMI_RANK"), ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID")])
def test_several_processes_that_are_one_training_are_refused_once(words, tmp_path, monkeypatch, capsys, size, number):
    monkeypatch.setenv(size, "2")
    monkeypatch.setenv(number, "0")
    assert main([*words, "--data", str(tmp_path)]) == 2
    assert "rows are trained apart; start each process by itself" in capsys.readouterr().err
    monkeypatch.setenv(number, "1")
    with pytest.raises(SystemExit, match="2"):
        main([*words, "--data", str(tmp_path)])
    assert capsys.readouterr().err == ""
    (tmp_path / "out").mkdir()
    assert main([*words, "--show"]) == 0
