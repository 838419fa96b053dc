import json

import numpy as np
import pytest
from PIL import Image

import npbsrn
from npbsrn.images.metrics import compare
from npbsrn.images.reading import read_rgb
from npbsrn.images.resize import resize
from npbsrn.models import Model, save_model
from npbsrn.networks.base import make_network
from npbsrn.storage.params import peek_card

# Bicubic through the protocol, as DESIGN and the literature have it: mean PSNR in dB.
GATE = {("Set5", 2): 33.68, ("Set5", 3): 30.40, ("Set5", 4): 28.43, ("Set14", 2): 30.33, ("Set14", 3): 27.63, ("Set14", 4): 26.09}  # fmt: skip  # noqa: E501


@pytest.mark.parametrize(("folder", "scale"), GATE)
def test_bicubic_passes_the_gate(data, folder, scale):
    assert npbsrn.evaluate("bicubic", data / folder, scale).mean.psnr == pytest.approx(GATE[folder, scale], abs=0.03)


def test_report(photographs):
    report = npbsrn.evaluate("bicubic", photographs, 3)
    hr = read_rgb(photographs / "0.png")
    psnr, ssim = compare(resize(resize(hr, 1 / 3), 3), hr, 3)
    first = report.scores[0]
    assert (first.name, first.psnr, first.ssim) == ("0.png", psnr, ssim)
    assert report.mean.psnr == pytest.approx(np.mean([s.psnr for s in report.scores]))
    content = json.loads(report.to_json())
    assert content["mean"]["psnr"] == report.mean.psnr
    assert [p["name"] for p in content["pictures"]] == [f"{n}.png" for n in range(5)]
    assert str(report).splitlines()[-1].split() == ["mean", f"{report.mean.psnr:.3f}", f"{report.mean.ssim:.4f}"]


def test_given_lr_pictures_are_used(tmp_path, rng):
    hr = rng.integers(0, 256, (24, 24, 3), np.uint8)
    for name, picture in (("HR", hr), ("LR", np.zeros((8, 8, 3), np.uint8))):
        (tmp_path / name).mkdir()
        Image.fromarray(picture).save(tmp_path / name / "a.png")
    score = npbsrn.evaluate("bicubic", tmp_path, 3).scores[0]
    assert score.psnr == compare(np.zeros_like(hr), hr, 3)[0]


def test_undefined_figures_are_null_in_json(tmp_path):
    Image.new("RGB", (14, 14)).save(tmp_path / "flat.png")
    report = npbsrn.evaluate("bicubic", tmp_path, 4)
    assert json.loads(report.to_json())["mean"] == {"name": "mean", "psnr": None, "ssim": None}


def test_an_untrained_model_can_be_judged(tiny_model, photographs):
    report = npbsrn.evaluate(tiny_model, photographs, 4)
    assert len(report.scores) == 5
    assert report.model == "bsrn"


def test_an_ensemble_is_judged_and_says_so(tiny_model, photographs):
    plain, report = (npbsrn.evaluate(tiny_model, photographs, 4, ensemble=ensemble) for ensemble in (False, True))
    hr = read_rgb(photographs / "0.png")[:52, :60]
    result = npbsrn.upscale(resize(hr, 1 / 4), 4, tiny_model, ensemble=True)
    assert (report.scores[0].psnr, report.scores[0].ssim) == compare(result, hr, 4)
    assert report.scores[0].psnr != plain.scores[0].psnr
    assert [json.loads(one.to_json())["ensemble"] for one in (plain, report)] == [False, True]
    assert str(report).splitlines()[0] == f"{str(plain).splitlines()[0]}, ensemble of eight turns"


def test_the_scale_is_that_of_the_weights(tmp_path, photographs):
    network = make_network({"scale": 2, "blocks": 1, "width": 4})
    save_model(tmp_path / "weights.npz", model := Model(network, network.init(0)))
    for given in (model, tmp_path / "weights.npz", str(tmp_path / "weights.npz"), tmp_path):
        assert npbsrn.evaluate(given, photographs).scale == 2
    assert npbsrn.evaluate("bicubic", photographs).scale == 4


def test_the_report_says_what_was_judged_and_how(tmp_path, photographs, tiny_model):
    save_model(tmp_path / "tiny.npz", tiny_model)
    content = npbsrn.evaluate(str(tmp_path / "tiny.npz"), photographs).to_dict()
    assert content["model"] == str(tmp_path / "tiny.npz")
    assert content["weights"] == peek_card(tmp_path / "tiny.npz")["sha256"]
    assert content["npbsrn"] == npbsrn.__version__
    assert "without 4 pixels" in content["protocol"]
    bicubic = npbsrn.evaluate("bicubic", photographs).to_dict()
    assert (bicubic["model"], bicubic["weights"]) == ("bicubic", None)
