"""Time against PSNR: which networks are on the frontier, what a folder of peers holds, and the way to the JSON line."""

import json
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import bench_frontier
from benchmarks.bench_frontier import BITS, OURS, check_alike, our_runners, points_of
from benchmarks.frontier import Point, frontier, plot, table
from benchmarks.peer_files import find_peers
from npbsrn.models import save_model

# few values, so that many points are equal in one of them, or in both
clouds = st.lists(st.tuples(st.integers(1, 6), st.integers(20, 26)), max_size=12).map(
    lambda pairs: [Point(f"n{i}", "x", 1, float(s), {"Set5": float(p)}) for i, (s, p) in enumerate(pairs)]
)


def beats(a, b):
    return a.seconds <= b.seconds and a.psnr >= b.psnr and (a.seconds < b.seconds or a.psnr > b.psnr)


@given(points=clouds)
def test_the_frontier_is_what_nothing_beats(points):
    naive = [p for p in points if not any(beats(other, p) for other in points)]
    found = frontier(points)
    assert sorted(p.name for p in found) == sorted(p.name for p in naive)
    for earlier, later in pairwise(found):
        assert (earlier.seconds, earlier.psnr) <= (later.seconds, later.psnr)


@given(points=clouds, seed=st.randoms())
def test_the_frontier_does_not_depend_on_the_order(points, seed):
    shuffled = seed.sample(points, len(points))
    assert {p.name for p in frontier(shuffled)} == {p.name for p in frontier(points)}


@given(points=clouds.filter(bool))
def test_the_table_has_a_line_for_each_and_stars_for_the_frontier(points):
    _, *lines = table(points)
    assert [line.split()[-2] for line in lines] == [
        f"{p.seconds * 1e3:.1f}" for p in sorted(points, key=lambda p: p.seconds)
    ]
    assert {line.split()[1] for line in lines if line.split()[0] == "*"} == {p.name for p in frontier(points)}


def test_psnr_is_the_mean_of_the_sets():
    assert Point("a", "x", 1, 1.0, {"Set5": 30.0, "Set14": 28.0}).psnr == 29


def test_peers_are_found_by_name_and_scale(tmp_path):
    for name in ("b-m4c32-x4", "b-m4c32-x3", "b-m4c32-x4-int8", "a-x2-x4", "a", "x4", "d-x4-int4"):
        (tmp_path / f"{name}.onnx").touch()
    for name in ("b-m4c32-x4-int8.xml", "b-m4c32-x4-int8.bin", "b-m4c32-x4.xml", "c-x4-int8.xml", "b-x4.txt"):
        (tmp_path / name).touch()
    found = {name: {kind: path.name for kind, path in files.items()} for name, files in find_peers(tmp_path, 4).items()}
    assert found == {
        "a-x2": {"float32": "a-x2-x4.onnx"},
        "b-m4c32": {"float32": "b-m4c32-x4.onnx", "int8": "b-m4c32-x4-int8.xml"},
        "c": {"int8": "c-x4-int8.xml"},
    }
    assert list(find_peers(tmp_path, 3)) == ["b-m4c32"]
    assert find_peers(tmp_path / "none", 4) == {}


def test_a_name_that_is_not_there_is_said(tmp_path, tiny_model):
    save_model(tmp_path / "tiny.npz", tiny_model)
    found, missing = our_runners(
        ["bsrn", "no-such-weights", f"mine={tmp_path / 'tiny.npz'}", str(tmp_path / "tiny.npz")]
    )
    assert list(found) == ["bsrn", "mine", "tiny"]
    assert [words.split(":")[0] for words in missing] == ["no-such-weights"]


def test_a_network_counts_by_its_quickest_runtime():
    peer, ours = ("p", "float32"), ("bsrn", BITS)
    seconds = {
        (peer, "OpenVINO"): 2.0,
        (peer, "ONNX Runtime"): 1.0,
        (ours, OURS): 3.0,
        (("p", "int8"), "OpenVINO"): 4.0,
    }
    psnrs = {network: {"Set5": psnr} for network, psnr in ((peer, 31.0), (ours, 30.0), (("p", "int8"), 29.0))}
    found = {p.name: (p.by, p.seconds, p.psnr, p.ours) for p in points_of(seconds, psnrs, 1)}
    assert found == {
        "p": ("ONNX Runtime, float32", 1.0, 31.0, False),
        "bsrn": (OURS, 3.0, 30.0, True),
        "p int8": ("OpenVINO, int8", 4.0, 29.0, False),
    }


def test_runtimes_that_compute_something_else_are_found(monkeypatch, rng):
    monkeypatch.setattr(bench_frontier, "HEIGHT", 10)
    monkeypatch.setattr(bench_frontier, "WIDTH", 10)
    right = rng.integers(1, 255, (40, 40, 3), np.uint8)
    check_alike("file", {"a": right, "b": right + np.uint8(1)})
    for wrong in (right ^ np.uint8(2), right[:, ::-1]):
        with pytest.raises(AssertionError, match="runtimes do not agree"):
            check_alike("file", {"a": right, "b": wrong})


def nearest(path):
    """A network that repeats pixels."""
    onnx = pytest.importorskip("onnx", reason="ONNX is not installed: pip install .[peers]")
    helper, kinds = onnx.helper, onnx.TensorProto
    scales = onnx.numpy_helper.from_array(np.array([1, 4, 4, 1], np.float32), "scales")
    nodes = [
        helper.make_node("Cast", ["x"], ["floats"], to=kinds.FLOAT),
        helper.make_node("Resize", ["floats", "", "scales"], ["large"], mode="nearest", nearest_mode="floor",
                         coordinate_transformation_mode="asymmetric"),
        helper.make_node("Cast", ["large"], ["y"], to=kinds.UINT8),
    ]  # fmt: skip
    ends = [helper.make_tensor_value_info(name, kinds.UINT8, [1, None, None, 3]) for name in "xy"]
    graph = helper.make_graph(nodes, "nearest", [ends[0]], [ends[1]], [scales])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)


@pytest.mark.peers
def test_from_the_command_line_to_the_json_line(tmp_path, monkeypatch, capsys, tiny_model, photographs):
    pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install .[peers]")
    monkeypatch.setattr(bench_frontier, "HEIGHT", 12)
    monkeypatch.setattr(bench_frontier, "WIDTH", 20)
    nearest(tmp_path / "nearest-x4.onnx")
    save_model(tmp_path / "tiny.npz", tiny_model)
    arguments = ["--peers", tmp_path, "--models", tmp_path / "tiny.npz", "lost", "--sets", photographs, "--quick"]
    monkeypatch.setattr(sys, "argv", ["bench", *map(str, arguments), "--threads", "1", "2"])
    bench_frontier.main()
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {(p["name"], p["threads"]) for p in figures["points"] if "bfloat16" not in p["name"]} == {
        (name, threads) for name in ("tiny", "nearest") for threads in (1, 2)
    }
    assert all(p["ms"] > 0 and np.isfinite(p["psnr"]["photographs"]) for p in figures["points"])
    for threads in (1, 2):
        assert any(p["frontier"] for p in figures["points"] if p["threads"] == threads)
    assert any(words.startswith("lost") for words in figures["left_out"])


def test_the_plot_is_drawn(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install .[plot]")
    points = [
        Point(f"{n}", "x", threads, 0.1 * (n + 1), {"Set5": 30.0 + n}, n == 0) for n in range(3) for threads in (1, 2)
    ]
    plot(points, "title", tmp_path / "a.png")
    plot(points, "title", tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert len((tmp_path / "a.png").read_bytes()) > 1000
