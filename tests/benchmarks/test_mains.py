"""The benchmarks from the command line to the JSON line, with tiny pictures and batches: their figures mean nothing."""

import json
import sys

import numpy as np
import pytest

from benchmarks import bench_train, bench_upscale
from benchmarks.ceilings import Ceilings
from benchmarks.train_steps import Case
from npbsrn.networks.base import make_network

pytestmark = pytest.mark.peers
SCHEMES = {"bbcu": "bbcu", "bsrn": "abc", "srresnet": "dorefa", "vdsr": "bnn"}


@pytest.fixture
def last_line(monkeypatch, capsys):
    """What a benchmark prints as JSON, by its arguments."""
    ceilings = Ceilings(1e9, 1e9, 1e9, 1e9)
    for module in (bench_train, bench_upscale):
        monkeypatch.setattr(module, "measure_ceilings", lambda: ceilings)
    monkeypatch.setattr(bench_upscale, "count_ceiling", lambda: 1e9)

    def small(config):
        return make_network({"blocks": 1, "width": 16} | config)

    for module in (bench_upscale, *map(sys.modules.get, ("benchmarks.train_steps", "npbsrn.training.config"))):
        monkeypatch.setattr(module, "make_network", small)

    def run(main, *arguments):
        monkeypatch.setattr(sys, "argv", ["bench", *arguments])
        main()
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    return run


# These compile more of the same.
SLOW = [("bsrn", "abc"), ("srresnet", "dorefa"), ("srresnet", "bw"), ("bsrn", "none")]


@pytest.mark.parametrize(
    ("network", "scheme"),
    [("bbcu", "bbcu"), ("vdsr", "bnn"), *(pytest.param(*pair, marks=pytest.mark.slow) for pair in SLOW)],
)
def test_bench_upscale(monkeypatch, last_line, network, scheme):
    monkeypatch.setattr(bench_upscale, "HEIGHT", 12)
    monkeypatch.setattr(bench_upscale, "WIDTH", 32)
    monkeypatch.setattr(bench_upscale, "MEGAPIXELS", (0.0005,))
    figures = last_line(
        bench_upscale.main, "--quick", "--threads", "1", "2", "--network", network, "--binarizer", scheme
    )
    keys = {"conv3x3_over_torch", "upscale_s", "threads", "kernel", "cpu", "network", "binarizer", "upscale_s_1"}
    peers = {f"upscale_over_{name}" for name in ("torch", "onnxruntime", "openvino", "openvino_bf16")}
    assert keys | peers | {f"{name}_composed" for name in peers} <= set(figures)
    assert (figures["network"], figures["binarizer"]) == (network, scheme)
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install .[peers]")
    assert figures["upscale_over_torch"] > 0
    assert (figures["upscale_over_torch_composed"] is None) == (network == "vdsr")


CASES = {
    "bbcu": {"48": Case(2, 16)},
    "bsrn": {"48": Case(2, 16), "16": Case(2, 4)},
    "srresnet": {"48": Case(2, 16)},
    "vdsr": {"41": Case(2, 3, 9)},
}


@pytest.mark.parametrize(("network", "scheme"), [*SCHEMES.items(), ("bsrn", "none")])
def test_bench_train(monkeypatch, last_line, network, scheme):
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install .[peers]")
    monkeypatch.setattr(bench_train, "CASES", CASES)
    figures = last_line(bench_train.main, "--quick", "--network", network, "--binarizer", scheme)
    for name in CASES[network]:
        assert figures[f"step_{name}_s"] > 0
        assert figures[f"step_over_torch_{name}"] > 0
        assert (f"step_over_torch_{name}_composed" in figures) == (network != "vdsr")
    assert 0 < figures["data_share"] < 1
    assert np.isfinite(figures[f"memory_{next(iter(CASES[network]))}_gb"])
