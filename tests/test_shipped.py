"""The names of the models that come with the package."""

from pathlib import Path

import numpy as np
import pytest

import npbsrn
from npbsrn.errors import UsageError, WeightsError
from npbsrn.inference.choose import choose_runner
from npbsrn.inference.runners import PlanReference
from npbsrn.models import save_model
from npbsrn.shipped import DEFAULT, MODELS, is_bare, latent_weights, named, packed_weights

WEIGHTS = Path(npbsrn.__file__).parent / "weights"


def test_the_names_are_those_of_the_files():
    packed = {f"{name}-x{scale}-packed.npz" for name, model in MODELS.items() for scale in model.scales}
    assert {path.name for path in WEIGHTS.iterdir()} == packed
    for name, model in MODELS.items():
        for scale in model.scales:
            assert packed_weights(name, scale).is_file()


def test_the_default_has_all_scales():
    assert MODELS[DEFAULT].scales == (2, 3, 4)
    for scale in (2, 3, 4):
        assert choose_runner(None, scale) is choose_runner("clean", scale)


@pytest.mark.parametrize("name", MODELS)
def test_a_name_chooses_its_model(rng, name):
    picture = rng.integers(0, 256, (6, 7, 3), np.uint8)
    for scale in MODELS[name].scales:
        runner = choose_runner(name, scale)
        assert (runner.name, runner.scale) == (name, scale)
        expected = npbsrn.upscale(picture, scale, WEIGHTS / f"{name}-x{scale}-packed.npz")
        np.testing.assert_array_equal(npbsrn.upscale(picture, scale, name), expected)


@pytest.mark.parametrize(("name", "scale"), [("fast", 2), ("fast", 3), ("photo", 3)])
def test_a_scale_that_a_model_has_not(name, scale):
    message = (
        f"there is no model {name} for x{scale}; there are clean .x2, x3, x4., fast .x4., photo .x2, x4., bsrn .x2, x3"
    )
    for call in (choose_runner, npbsrn.load):
        with pytest.raises(UsageError, match=message):
            call(name, scale)


def test_unknown_names_are_told_the_known_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match=r"no model cleen, nor a file or run of that name; did you mean clean\?"):
        choose_runner("cleen", 4)
    with pytest.raises(WeightsError, match=r"there is no model esrgan, nor a file or run .*; there are clean \(x2, x3"):
        choose_runner("esrgan", 4)
    with pytest.raises(WeightsError, match=r"there is no weight file cleen\.npz"):
        choose_runner("cleen.npz", 4)


def test_it_is_said_where_latent_weights_are():
    for name, own in [(None, "clean"), *((name, name) for name in MODELS)]:
        for scale in MODELS[own].scales:
            place = latent_weights(own, scale)
            with pytest.raises(UsageError, match=f"its latent weights are the file {place} of"):
                npbsrn.load(name, scale)
            model = npbsrn.load(WEIGHTS.parents[1] / place)
            assert (model.name, model.scale) == (own, scale)


def test_a_name_goes_before_a_file_of_that_name(tmp_path, monkeypatch, tiny_model):
    monkeypatch.chdir(tmp_path)
    save_model("run.npz", tiny_model)
    for name in ("clean", "bsrn"):
        Path(name).mkdir()
        Path("run.npz").rename(Path(name) / "weights.npz")
        assert choose_runner(name, 4) is choose_runner(name, 4)  # the package's
        for path in (f"./{name}", f"{name}/", Path(name), tmp_path / name):
            assert npbsrn.load(path).network == tiny_model.network
        (Path(name) / "weights.npz").rename("run.npz")
        Path(name).rmdir()
        Path("run.npz").rename(name)
        assert choose_runner(name, 4).name == name
        assert npbsrn.load(f"./{name}").network == npbsrn.load(Path(name)).network == tiny_model.network
        Path(name).rename("run.npz")
    Path("mine").mkdir()
    Path("run.npz").rename("mine/weights.npz")
    assert npbsrn.load("mine").network == tiny_model.network  # a bare name that no model has is a path


def test_what_names_a_model():
    assert named(None, 4) == "clean"
    assert [named(model, 4) for model in ("photo", "./photo", Path("photo"), "mine", 3)] == ["photo", *[None] * 4]
    assert [is_bare(model) for model in ("mine", "a/b", "a.npz", Path("mine"), None)] == [True, *[False] * 4]


@pytest.mark.parametrize("name", MODELS)
def test_every_model_runs_by_the_reference(rng, name):
    runner = choose_runner(name, 4, "reference")
    assert type(runner) is PlanReference
    picture = rng.integers(0, 256, (9, 11, 3), np.uint8)
    difference = runner.run(picture).astype(int) - choose_runner(name, 4, "packed").run(picture)
    assert abs(difference).max() <= 1
    assert np.mean(difference == 0) > 0.99
