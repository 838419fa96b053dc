import warnings

import pytest
from PIL import Image

from npbsrn.datasets.pairs import Pair, find_pairs, read_pair
from npbsrn.errors import DataError, PictureError
from npbsrn.training.sieve import Sieve


def read(pair):
    return read_pair(pair, 4)


def sieved(sieve, own, pairs):
    return [pair.name for pair, _ in sieve.read(own, pairs, read)]


@pytest.fixture
def pairs(tmp_path):
    """HR beside LR: one good pair, and one of each fault."""
    for part, size in (("HR", 16), ("LR", 4)):
        (tmp_path / part).mkdir()
        for name in "abcdef":
            Image.effect_noise((size, size), 50).save(tmp_path / part / f"{name}.png")
    content = (tmp_path / "HR/b.png").read_bytes()
    (tmp_path / "HR/b.png").write_bytes(content[: len(content) // 2])
    (tmp_path / "LR/c.png").write_text("no picture")
    Image.new("RGB", (5, 4)).save(tmp_path / "LR/d.png")
    Image.new("RGB", (3, 9)).save(tmp_path / "HR/e.png")
    (tmp_path / "HR/f.png").write_bytes(b"")
    return find_pairs(tmp_path, 4)


def test_each_fault_is_named_in_a_few_words(pairs):
    sieve = Sieve()
    assert sieved(sieve, "", pairs) == ["a.png"]
    summary = sieve.summary()
    assert summary.startswith("5 pictures are left out: b.png is damaged (")
    for reason in (
        "; c.png: its partner c.png is not a picture that can be read; ",
        "; d.png: its partner d.png has 5x4 pixels, but it needs 4x4 at x4; ",
        "; e.png has 3x9 pixels, too few for x4; ",
        "; f.png is empty",
    ):
        assert reason in summary
    assert "\n" not in summary
    assert str(pairs[0].hr.parent) not in summary
    assert sieve.left_out() == {"": ["b.png", "c.png", "d.png", "e.png", "f.png"]}


def test_ten_are_named_and_the_others_counted(tmp_path):
    missing = [Pair(f"{n}.png", tmp_path / f"{n}.png") for n in range(12)]
    sieve = Sieve()
    assert sieved(sieve, "Set5", missing) == []
    summary = sieve.summary()
    assert summary.startswith("12 pictures are left out: Set5: 0.png: there is no file")
    assert "9.png" in summary
    assert "10.png" not in summary
    assert summary.endswith("; and 2 more")


def test_nothing_to_say(pairs):
    sieve = Sieve()
    assert sieved(sieve, "", pairs[:1]) == ["a.png"]
    assert sieve.summary() is None
    assert sieve.left_out() == {"": []}


def test_what_was_left_out_stays_out(pairs):
    sieve = Sieve({"": ["a.png", "b.png"]})
    assert sieved(sieve, "", pairs[:3]) == []
    assert sieve.left_out() == {"": ["a.png", "b.png"]}
    assert sieve.new("") == ["c.png: its partner c.png is not a picture that can be read"]


def test_a_picture_that_the_run_was_judged_on_must_stay_good(pairs):
    refusal = r"was judged on the pictures of Set5, but b.png is damaged \(.*\); mend it, or remove it if new"
    with pytest.raises(DataError, match=refusal):
        sieved(Sieve({"Set5": []}), "Set5", pairs)
    assert sieved(Sieve({"": []}), "Set5", pairs) == ["a.png"]  # a set that is new to the run


def test_warnings_are_heard_only_of_pictures_that_are_used(tmp_path):
    def warn(pair):
        warnings.warn(f"{pair.name} is odd", stacklevel=1)
        if pair.name == "bad":
            raise PictureError("bad; mend it")

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        list(Sieve().read("", [Pair("good", tmp_path), Pair("bad", tmp_path)], warn))
    assert [str(said.message) for said in heard] == ["good is odd"]
