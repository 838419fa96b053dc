"""``npbsrn bench --parts``, on tiny pictures: its figures mean nothing here."""

import pytest

from npbsrn.cli import costs
from npbsrn.cli.parser import main


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(costs, "OUT", (32, 128))
    monkeypatch.setattr(costs, "ROUNDS", 1)
    monkeypatch.setattr(costs, "SAMPLES", tuple(own | {"blocks": 1, "width": 16} for own in costs.SAMPLES))


def test_rates_and_an_estimate_are_printed(tiny, capsys):
    assert main(["bench", "--parts", "--network", "bbcu", "--set", "blocks=2", "--set", "width=16"]) == 0
    shown = capsys.readouterr().out
    assert all(words in shown for words, *_ in costs.UNITS.values())
    assert shown.splitlines()[-1].startswith("    bbcu blocks=2,width=16")
    assert shown.splitlines()[-1].endswith("%")


def test_every_shipped_model_of_the_scale_is_judged():
    assert list(costs.engines_of(None, {}, 4)) == ["clean", "fast", "photo", "bsrn"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "blocks=2"], "add --parts"),
        (["--parts", "--network", "bbcu", "-m", "clean"], "take one of them"),
        (["--parts", "--network", "srresnet", "--set", "binarizer=bw", "--set", "blocks=1"], "not computed by bits"),
        (["--parts", "-m", "bicubic"], "bicubic"),
    ],
)
def test_what_has_no_parts_is_refused(capsys, words, message):
    assert main(["bench", *words]) == 2
    assert message in capsys.readouterr().err
