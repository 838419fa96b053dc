"""What `npbsrn export` writes as ONNX, in ONNX Runtime: the layers' numbers but for the order of trunk and tail."""

import dataclasses
import json
import sys

import numpy as np
import pytest

from npbsrn.binarizers import SCHEMES
from npbsrn.cli.parser import main
from npbsrn.images.samples import to_fractions, to_samples
from npbsrn.inference.runners import Reference
from npbsrn.models import save_model
from npbsrn.networks.base import NETWORKS
from npbsrn.packed import onnx as exporter
from npbsrn.packed.lower import lower
from npbsrn.packed.reference import plan_ref
from tests.packed.models import put_on_threshold, random_model, smooth_picture
from tests.packed.runtime import by_onnxruntime, same_but_for_rounding

peers = pytest.mark.peers
PAIRS = [(name, scheme) for name in sorted(NETWORKS) for scheme in sorted(SCHEMES)]
SMALL = {"blocks": 2, "width": 16}


@pytest.fixture
def picture(rng):
    """(1, 3, H, W), a corner of which is of one colour."""
    samples = smooth_picture(rng, 22, 25)
    samples[:9, :8] = 80, 120, 33
    return np.ascontiguousarray(to_fractions(samples).transpose(2, 0, 1)[None])


def alike(plan, model, x):
    return same_but_for_rounding(by_onnxruntime(plan, x), model.network.apply(model.params, x)[0])


@peers
@pytest.mark.parametrize(("name", "scheme"), PAIRS)
def test_every_network_with_every_scheme(picture, name, scheme):
    scale = 2 + (len(name) + len(scheme)) % 3
    model = random_model(5, name=name, scale=scale, binarizer=scheme, **SMALL)
    plan = lower(model)
    assert alike(plan, model, picture)
    if any(step.binary for step in plan.steps):  # planted: another border
        turned = _with_steps(plan, lambda step: dataclasses.replace(step, pad=-step.pad))
        assert not alike(turned, model, picture)


def _with_steps(plan, change):
    blocks = [dataclasses.replace(b, steps=tuple(map(change, b.steps))) for b in plan.blocks]
    return dataclasses.replace(plan, blocks=tuple(blocks))


OPTIONS = [
    {"name": "bbcu", "tail": "direct", "flat": True},
    {"name": "bbcu", "trunk": False, "base": "none", "input_gain": 3.0, "output_gain": 0.5},
    {"name": "bbcu", "last": 9, "activation": "rprelu", "residual": 0.03, "norm": True},
    {"name": "srresnet", "skip": "every", "activation": "relu"},
    {"name": "bsrn", "binarizer": {"statistic": "mean"}, "skip": "every"},
]


@peers
@pytest.mark.parametrize("options", OPTIONS)
def test_options(picture, options):
    model = random_model(6, scale=4, **(SMALL | options))
    assert alike(lower(model), model, picture)


@peers
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 5), (3, 4, 1), (1, 2, 3)])
def test_pictures_of_any_size_and_number(rng, shape):
    model = random_model(7, name="bbcu", scale=3, flat=True, **SMALL)
    n, *sides = shape
    x = rng.random((n, 3, *sides), dtype=np.float32)
    assert alike(lower(model), model, x)


@peers
@pytest.mark.parametrize("wrong", ["_bicubic", "_keep_flat"])
def test_a_wrong_border_and_colour_that_is_not_kept_are_caught(picture, monkeypatch, wrong):
    model = random_model(8, name="bbcu", scale=2, flat=True, **SMALL)

    def clamped(g, scale):
        cubic = {"mode": "cubic", "cubic_coeff_a": -0.5}
        return g.node("Resize", "image", "", np.array([1, 1, scale, scale], np.float32), **cubic)

    monkeypatch.setattr(exporter, wrong, {"_bicubic": clamped, "_keep_flat": lambda g, y, scale: y}[wrong])
    assert not alike(lower(model), model, picture)


# --- what decides a sign ---


def unfused(g, x, factor, y):
    return g.node("Add", g.node("Mul", x, g.real(factor)), y)


def mean_from_the_last_channel(g, a, statistic, channels):
    sums = g.node("CumSum", g.node("Abs", a), np.array(1), reverse=1)
    total = g.node("Slice", sums, np.array([0]), np.array([1]), np.array([1]))
    return g.node("Mul", g.node("Div", total, np.float32(channels)), a)


def head_in_any_order(g, x, head):
    return g.conv(x, *head)


WRONG = {"fused": unfused, "_weighted": mean_from_the_last_channel, "_head": head_in_any_order}


def on_threshold(seed):
    """A network in which each channel's first sign at the middle pixel is that of a rounding error; and its picture."""
    model = random_model(seed, scale=2, blocks=1, width=48, binarizer={"statistic": "abs"})
    x = np.random.default_rng(seed).random((1, 3, 3, 3), dtype=np.float32)
    head = dict(model.network.chain.layers)["head"]
    y, _ = head.apply(model.params["head"], x - np.float32(0.5), False)
    put_on_threshold(model, y[0, :, 1, 1], "abs")
    return model, x


@peers
@pytest.mark.parametrize("seed", range(4))
def test_signs_of_rounding_errors_are_those_of_the_layers(seed):
    model, x = on_threshold(seed)
    assert alike(lower(model), model, x)


@peers
@pytest.mark.parametrize("wrong", WRONG)
def test_other_roundings_are_caught(monkeypatch, wrong):
    monkeypatch.setattr(exporter._Graph if wrong == "fused" else exporter, wrong, WRONG[wrong])
    assert not all(alike(lower(model), model, x) for model, x in map(on_threshold, range(4)))


@peers
def test_scales_that_a_runtime_folds_into_filters_are_caught(monkeypatch, picture):
    """Without `Round`, ONNX Runtime multiplies signs by scales: sums that are 0 become rounding errors."""
    model = random_model(3, name="srresnet", scale=2, binarizer="bbcu", activation="prelu", **SMALL)
    assert alike(lower(model), model, picture)
    right = exporter._Graph.node
    monkeypatch.setattr(
        exporter._Graph, "node", lambda g, kind, *x, **more: x[0] if kind == "Round" else right(g, kind, *x, **more)
    )
    assert not alike(lower(model), model, picture)


@peers
def test_the_sign_of_0_is_plus(monkeypatch, picture):
    model = random_model(9, name="bbcu", scale=2, **SMALL)
    plan = lower(model)
    flat = _with_steps(plan, lambda s: dataclasses.replace(s, weight=s.weight * 0, shift=s.shift * 0))
    expected = plan_ref(picture[0], flat)[None]
    assert same_but_for_rounding(by_onnxruntime(flat, picture), expected)
    right = exporter._Graph.node
    monkeypatch.setattr(
        exporter._Graph, "node", lambda g, kind, *x, **more: right(g, kind.replace("OrEqual", ""), *x, **more)
    )
    assert not same_but_for_rounding(by_onnxruntime(flat, picture), expected)


# --- the command ---


@peers
def test_the_command(tmp_path, rng, capsys):
    onnx = pytest.importorskip("onnx", reason="ONNX is not installed: pip install .[peers]")
    model = random_model(1, name="bbcu", scale=2, **SMALL)
    save_model(tmp_path / "a.npz", model)
    for out in ("a", "b"):
        assert main(["export", str(tmp_path / "a.npz"), "-o", str(tmp_path / f"{out}.onnx")]) == 0
    assert "docs/tools.md" in capsys.readouterr().out
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    written = onnx.load(tmp_path / "a.onnx")
    assert "neither clipped nor rounded" in written.doc_string
    assert json.loads(written.metadata_props[0].value)["config"] == model.network.config
    picture = smooth_picture(rng, 20, 31)
    x = np.ascontiguousarray(to_fractions(picture).transpose(2, 0, 1)[None])
    y = to_samples(by_onnxruntime(lower(model), x)[0].transpose(1, 2, 0), np.uint8)
    assert np.max(abs(y.astype(int) - Reference(model).run(picture))) <= 1


@peers
def test_a_model_by_its_name(tmp_path):
    pytest.importorskip("onnx", reason="ONNX is not installed: pip install .[peers]")
    assert main(["export", "fast", "-o", str(tmp_path / "fast.onnx")]) == 0
    assert main(["export", "fast", "-s", "2", "-o", str(tmp_path / "fast-2.onnx")]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["fast.onnx"]


def test_without_the_package_it_is_said_what_to_do(tmp_path, monkeypatch, capsys):
    for name in ("onnx", "onnx.helper", "onnx.numpy_helper"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["export", "fast", "-o", str(tmp_path / "fast.onnx")]) == 2
    assert "pip install 'npbsrn[onnx]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_another_suffix_is_refused(tmp_path, capsys):
    assert main(["export", "fast", "-o", str(tmp_path / "fast.txt")]) == 2
    assert ".safetensors, .onnx, .npz" in capsys.readouterr().err
