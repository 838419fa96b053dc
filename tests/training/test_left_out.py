"""Whole runs whose folders hold what they should not: damaged pictures, and the run's own results."""

import numpy as np
import pytest
from PIL import Image

import npbsrn
from npbsrn.errors import DataError, UsageError
from npbsrn.images.resize import resize
from npbsrn.storage.params import load_arrays
from tests.training.conftest import TINY
from tests.training.runs import arrays, interrupt_at, read_metrics, same


@pytest.fixture
def many(photographs):
    """Enough photographs that one is held out."""
    for n in range(5, 12):
        picture = resize(np.random.default_rng(n).integers(0, 256, (6, 7, 3), np.uint8), 9)
        Image.fromarray(picture).save(photographs / f"{n}.png")
    return photographs


@pytest.fixture
def go_on(tmp_path):
    def run(output, **options):
        return npbsrn.train(output=output, resume=True, progress=False, cache=tmp_path / "cache", **options)

    return run


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("output", ["photographs/run", "photographs/runs/deep/run"])
def test_a_run_within_its_own_data_goes_on(train, many, go_on, tmp_path, monkeypatch, output):
    train("whole")
    with monkeypatch.context() as patch:
        interrupt_at(patch, 5)
        with pytest.raises(KeyboardInterrupt):
            train(output)
    assert list((tmp_path / output / "pictures").iterdir())  # which would be data, if it were not a run's
    go_on(tmp_path / output)
    assert same(arrays(tmp_path / "whole/checkpoint.npz"), arrays(tmp_path / output / "checkpoint.npz"))


def test_a_run_beside_the_pictures_of_the_working_folder_goes_on(train, many, go_on, tmp_path, monkeypatch):
    train("whole")
    monkeypatch.chdir(many)
    options = TINY | {"steps": 8, "cache": tmp_path / "cache"}
    with monkeypatch.context() as patch:
        interrupt_at(patch, 5)
        with pytest.raises(KeyboardInterrupt):
            npbsrn.train(".", 4, **options)
    go_on(None)
    assert same(arrays(tmp_path / "whole/checkpoint.npz"), arrays(many / "runs/bsrn-x4/checkpoint.npz"))
    npbsrn.train(".", 4, "runs/again", **options)  # the first run's results are no data for the second one
    assert same(arrays(tmp_path / "whole/checkpoint.npz"), arrays(many / "runs/again/checkpoint.npz"))


def test_results_never_come_among_the_originals(train, many, tmp_path, monkeypatch):
    """`train pictures -o .` wrote what the network made of a held-out picture in its place."""
    many.rename(tmp_path / "pictures")
    before = {path: path.read_bytes() for path in (tmp_path / "pictures").iterdir()}
    monkeypatch.chdir(tmp_path)
    for folder, output in (("pictures", "."), ("pictures", "pictures"), (".", ".")):
        with pytest.raises(UsageError, match="choose another output folder"):
            npbsrn.train(folder, 4, output, cache=tmp_path / "cache", **TINY)
    assert {path: path.read_bytes() for path in (tmp_path / "pictures").iterdir()} == before


def test_damaged_pictures_are_left_out_and_the_run_goes_on(train, many, second, tmp_path):
    good = train("good", validation=second)
    for path in (many / "a.png", many / "b.png", second / "c.png"):
        path.write_bytes((many / "3.png").read_bytes())
        cut(path)
    Image.new("RGB", (9, 9)).save(many / "tiny.png")
    with pytest.warns(UserWarning, match="left out") as said:
        model = train("hurt", validation=second)
    (warning,) = said
    words = str(warning.message)
    assert words.startswith("4 pictures are left out: a.png is damaged (")
    assert "tiny.png is smaller than a patch of 24x24 pixels" in words
    assert "second, small: c.png is damaged (" in words
    assert words in (tmp_path / "hurt/log.txt").read_text()
    assert model.card["pictures"] == good.card["pictures"]
    assert same(arrays(tmp_path / "good/weights.npz"), arrays(tmp_path / "hurt/weights.npz"))
    figures = [[row["psnr"] for row in read_metrics(tmp_path / run)] for run in ("good", "hurt")]
    assert figures[0] == figures[1]


@pytest.mark.filterwarnings("ignore:. picture")
@pytest.mark.parametrize("then", ["mended", "removed", "as it was"])
@pytest.mark.parametrize("judged", [False, True])
def test_a_run_goes_on_without_what_it_began_without(train, many, second, go_on, tmp_path, monkeypatch, then, judged):
    validation = {"validation": second} if judged else {}
    train("whole", **validation)
    bad = [many / "4a.png", second / "0a.png"]
    for path in bad:
        path.write_bytes((many / "3.png").read_bytes())
        cut(path)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 5)
        with pytest.raises(KeyboardInterrupt):
            train("hurt", **validation)
    for path in bad:
        if then == "mended":
            path.write_bytes((many / "3.png").read_bytes())
        elif then == "removed":
            path.unlink()
    go_on(tmp_path / "hurt")
    assert same(arrays(tmp_path / "whole/checkpoint.npz"), arrays(tmp_path / "hurt/checkpoint.npz"))
    figures = [[row["psnr"] for row in read_metrics(tmp_path / run)] for run in ("whole", "hurt")]
    assert figures[0] == figures[1]
    left_out = {"": ["4a.png"]} | ({"second, small": ["0a.png"]} if judged else {})
    assert load_arrays(tmp_path / "hurt/checkpoint.npz")[1]["origin"]["left_out"] == left_out


def test_a_picture_that_was_damaged_meanwhile_is_named(train, many, second, go_on, tmp_path):
    train(validation=second)
    whole = (second / "1.png").read_bytes()
    cut(second / "1.png")
    with pytest.raises(DataError, match=r"judged on the pictures of second, small, but 1\.png is damaged .*mend it"):
        go_on(tmp_path / "run")
    (second / "1.png").write_bytes(whole)
    cut(many / "3.png")
    refusal = r"are not those that this run began with: 3\.png is damaged \(.*\); mend them, or name those"
    with pytest.raises(DataError, match=refusal):
        go_on(tmp_path / "run")


@pytest.mark.filterwarnings("ignore:. picture")
def test_another_validation_folder_begins_anew(train, many, second, go_on, tmp_path, monkeypatch):
    other = tmp_path / "elsewhere" / second.name
    other.mkdir(parents=True)
    for path in second.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    cut(second / "0.png")
    with monkeypatch.context() as patch:
        interrupt_at(patch, 5)
        with pytest.raises(KeyboardInterrupt):
            train(validation=second)
    go_on(tmp_path / "run", validation=other)
    mean = npbsrn.evaluate(tmp_path / "run", other, 4).mean
    assert float(read_metrics(tmp_path / "run")[-1]["psnr"]) == pytest.approx(mean.psnr, abs=1e-4)
