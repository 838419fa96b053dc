"""What docs/extending.md promises: a scheme and a network are a file each, and everything else knows them."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

import npbsrn
from npbsrn.binarizers import SCHEMES
from npbsrn.images.reading import read_picture
from npbsrn.networks.base import NETWORKS, make_network
from npbsrn.packed.format import load_packed, save_packed
from npbsrn.packed.lower import lower
from npbsrn.storage.params import leaves, map_leaves
from tests.gradient import check_gradient, directional_error, learned, of_parameters
from tests.packed.runtime import by_onnxruntime, same_but_for_rounding
from tests.smooth import smooth_scheme

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FILES = {"binarizers": HERE / "threshold.py", "networks": HERE / "small.py"}
TOY = {"name": "small", "scale": 2, "blocks": 2, "width": 8, "binarizer": "threshold"}


@pytest.fixture(scope="module", autouse=True)
def toys():
    """Run both files, as an import does it; other tests do not see them."""
    before = dict(SCHEMES), dict(NETWORKS)
    for path in FILES.values():
        spec = spec_from_file_location(f"toy_{path.stem}", path)
        sys.modules[spec.name] = module = module_from_spec(spec)
        spec.loader.exec_module(module)
    yield
    for table, own in zip((SCHEMES, NETWORKS), before, strict=True):
        table.clear()
        table.update(own)


@pytest.fixture
def trained(photographs, tmp_path):
    options = {"steps": 6, "batch": 2, "patch": 8, "holdout": 1, "progress": False, "cache": tmp_path / "cache"}
    options |= {name: value for name, value in TOY.items() if name not in ("name", "scale")}
    return npbsrn.train(photographs, 2, tmp_path / "run", network="small", rate=1e-2, **options)


def test_the_document_shows_these_very_files():
    shown = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/extending.md").read_text(), re.DOTALL | re.MULTILINE)
    assert [text for text in shown if text.startswith('"""')] == [path.read_text() for path in FILES.values()]


def test_they_are_found_in_the_folders_of_the_package(tmp_path):
    """In a copy of the package without its weights; the command line has their names."""
    source = Path(npbsrn.__file__).parent
    shutil.copytree(source, tmp_path / "npbsrn", ignore=shutil.ignore_patterns("weights", "__pycache__"))
    for folder, path in FILES.items():
        shutil.copy(path, tmp_path / "npbsrn" / folder)

    def run(*words):
        command = [sys.executable, "-m", "npbsrn", *words]
        environment = os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout

    shown = run("info", "--model", "small", "--scale", "3")
    assert '"name": "small", "scale": 3' in shown
    words = " ".join(run("train", "--help").split())
    assert "bsrn, small, srresnet, vdsr; default" in words
    assert "dorefa, none, threshold; default bam" in words


@pytest.mark.parametrize("scheme", ["threshold", "bam", "abc", "none"])
@pytest.mark.parametrize("name", ["small", "vdsr"])
def test_gradients(monkeypatch, name, scheme):
    network = make_network({"name": name, "scale": 2, "blocks": 1, "width": 4, "binarizer": scheme})
    smooth_scheme(monkeypatch, scheme)
    rng = np.random.default_rng(1)
    params = map_leaves(lambda a: a + 0.1 * rng.standard_normal(a.shape), network.init(0, np.float64))
    check_gradient(of_parameters(network, params), rng.random((2, 3, 5, 4)), *learned(params).values())


def test_a_threshold_without_its_sign_is_caught(monkeypatch):
    smooth_scheme(monkeypatch, "threshold")
    network = make_network(TOY)
    params = network.init(0, np.float64)
    right = SCHEMES["threshold"].activations

    def wrong(*args):
        taken, pull = right(*args)

        def pull_wrong(*cotangents):
            dterms, grads = pull(*cotangents)
            return dterms, {"threshold": -grads["threshold"]}

        return taken, pull_wrong

    monkeypatch.setattr(SCHEMES["threshold"], "activations", wrong)
    x = np.random.default_rng(2).random((2, 3, 5, 4))
    assert directional_error(of_parameters(network, params), x, *learned(params).values()) > 1e-3


def test_they_train_and_upscale(trained, photographs, tmp_path):
    """The toys have no batch normalisation, so that training's forward pass and the reference are one function."""
    first = dict(leaves(make_network(TOY).init(0)))
    assert all(np.any(a != first[name]) for name, a in leaves(trained.params))
    assert any("threshold" in name for name, _ in leaves(trained.params))
    again = npbsrn.load(tmp_path / "run")
    assert again.network == trained.network
    picture = np.asarray(read_picture(photographs / "0.png").colour)[:20, :24]
    y = npbsrn.upscale(picture, 2, again, engine="reference")
    assert y.shape == (40, 48, 3)
    x = (picture / np.float32(255)).astype(np.float32).transpose(2, 0, 1)[None]
    exact, _ = trained.network.apply(trained.params, x, train=True)
    inside = (slice(4, -4), slice(4, -4))  # the composed tail differs at the picture's border
    exact = 255 * np.clip(exact[0].transpose(1, 2, 0), 0, 1)
    assert np.abs(exact[inside] - y[inside]).max() <= 0.5 + 1e-3


def test_they_are_packed(trained, photographs, tmp_path):
    """By the packed engine come the pixels of the reference, as a model and from a packed file."""
    picture = np.asarray(read_picture(photographs / "0.png").colour)
    y = npbsrn.upscale(picture, 2, trained, engine="reference").astype(int)
    packed = npbsrn.upscale(picture, 2, trained, engine="packed")
    assert np.abs(packed - y).max() <= 1
    save_packed(tmp_path / "packed.npz", lower(trained))
    assert load_packed(tmp_path / "packed.npz").config == trained.network.config
    np.testing.assert_array_equal(npbsrn.upscale(picture, 2, tmp_path / "packed.npz"), packed)


@pytest.mark.peers
def test_they_are_exported(trained, photographs):
    """As an ONNX file, which the exporter writes without knowing them."""
    x = np.asarray(read_picture(photographs / "0.png").colour)[:20, :24].astype(np.float32) / np.float32(255)
    x = np.ascontiguousarray(x.transpose(2, 0, 1)[None])
    expected, _ = trained.network.apply(trained.params, x)
    assert same_but_for_rounding(by_onnxruntime(lower(trained), x), expected)
