"""Which int8 file of a peer is kept."""

import numpy as np
import pytest
from PIL import Image

from benchmarks import quantize_peers
from benchmarks.quantize_peers import SIDE, crops, error_of


def test_crops_are_the_middles_of_reduced_pictures(tmp_path):
    rng = np.random.default_rng(0)
    for name, side in (("a", 2 * SIDE + 10), ("b", 2 * SIDE - 2), ("c", 2 * SIDE)):
        Image.fromarray(rng.integers(0, 256, (side, side + 20, 3), np.uint8)).save(tmp_path / f"{name}.png")
    found = list(crops(tmp_path, 2))  # b is too small
    assert [crop.shape for crop in found] == [(SIDE, SIDE, 3)] * 2
    whole = quantize_peers.read_pair(quantize_peers.find_pairs(tmp_path, 2)[0], 2)[0]
    np.testing.assert_array_equal(found[0], whole[2 : 2 + SIDE, 7 : 7 + SIDE])


def test_the_error_is_in_squared_levels():
    pictures = [np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 250, np.uint8)]
    wanted = [np.full((2, 2, 3), 3, np.uint8), np.full((2, 2, 3), 251, np.uint8)]
    assert error_of(lambda picture: picture, pictures, wanted) == pytest.approx((9 + 1) / 2)


def test_the_file_nearest_to_the_float_network_is_kept(tmp_path, monkeypatch):
    pytest.importorskip("nncf")
    openvino = pytest.importorskip("openvino")
    rng = np.random.default_rng(0)
    opset = openvino.opset8
    given = opset.parameter([1, -1, -1, 3], np.uint8)
    x = opset.transpose(opset.convert(given, "f32"), np.array([0, 3, 1, 2]))
    for _ in range(3):
        filters = (rng.normal(size=(3, 3, 3, 3)) * 0.1).astype(np.float32)
        x = opset.convolution(x, filters, [1, 1], [1, 1], [1, 1], [1, 1])
    x = opset.transpose(opset.clamp(x, 0, 255), np.array([0, 2, 3, 1]))
    path = tmp_path / "tiny-x1.xml"
    openvino.save_model(openvino.Model([opset.convert(x, "u8")], [given]), path, compress_to_fp16=False)
    monkeypatch.setattr(quantize_peers, "CHOOSING", 2)
    errors = iter([5.0, 2.0, 3.0])
    monkeypatch.setattr(quantize_peers, "error_of", lambda *_: next(errors))
    pictures = [rng.integers(0, 256, (8, 8, 3), np.uint8) for _ in range(6)]
    target = quantize_peers.quantize(path, pictures)
    kinds = [op.get_type_name() for op in openvino.Core().read_model(target).get_ordered_ops()]
    assert sorted(file.name for file in tmp_path.iterdir() if "int8" in file.name or "trial" in file.name) == [
        "tiny-x1-int8.bin", "tiny-x1-int8.xml",
    ]  # fmt: skip
    assert kinds.count("FakeQuantize") > 0
