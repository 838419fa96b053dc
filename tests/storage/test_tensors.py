import json
import os
import sys

import numpy as np
import pytest

from npbsrn.cli.parser import main
from npbsrn.errors import UsageError, WeightsError
from npbsrn.models import load, save_model
from npbsrn.packed.format import load_packed
from npbsrn.storage.params import leaves, load_arrays, peek_card
from tests.fuzz import bombs

safetensors = pytest.importorskip("safetensors")


@pytest.fixture
def exported(tmp_path, tiny_model):
    """The tiny model as .npz, and what `npbsrn export` makes of it."""
    first, second = tmp_path / "tiny.npz", tmp_path / "tiny.safetensors"
    save_model(first, tiny_model)
    assert main(["export", str(first), "-o", str(second)]) == 0
    return first, second


def test_there_and_back_changes_no_byte(exported, tmp_path):
    first, second = exported
    assert main(["export", str(second), "-o", str(tmp_path / "back.npz")]) == 0
    assert (tmp_path / "back.npz").read_bytes() == first.read_bytes()


def test_equal_weights_give_equal_bytes(exported, tmp_path):
    first, second = exported
    assert main(["export", str(first), "-o", str(tmp_path / "again.safetensors")]) == 0
    assert (tmp_path / "again.safetensors").read_bytes() == second.read_bytes()


def test_other_tools_find_names_and_card(exported, tiny_model):
    with safetensors.safe_open(exported[1], "np") as file:
        assert set(file.keys()) == {name for name, _ in leaves(tiny_model.params)}
        card = json.loads(file.metadata()["card"])
    assert card["config"] == tiny_model.network.config
    assert peek_card(exported[1]) == card


def test_whatever_takes_weights_takes_them(exported, tmp_path, photographs):
    first, second = exported
    for path, out in ((first, "a"), (second, "b")):
        assert main(["pack", str(path), "-o", str(tmp_path / f"{out}.npz")]) == 0
        source = str(photographs / "0.png")
        assert main(["upscale", "-i", source, "-o", str(tmp_path / f"{out}.png"), "-m", str(path)]) == 0
    assert load_packed(tmp_path / "a.npz").config == load_packed(tmp_path / "b.npz").config
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("size", [0, 7, 100, -1])
def test_what_is_cut_is_refused(exported, size):
    path = exported[1]
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(WeightsError, match="truncated or no npbsrn file"):
        load(path)


@pytest.mark.parametrize("name", [name for name in bombs.tensors() if "MB" not in name])
def test_an_absurd_header_is_refused(tmp_path, name):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(bombs.tensors()[name]())
    with pytest.raises(WeightsError, match=r"truncated or no npbsrn file|has no card"):
        load(path)
    assert peek_card(path) == {}


def test_a_header_too_long_is_not_read(exported, monkeypatch):
    path = exported[1]
    length = int.from_bytes(path.read_bytes()[:8], "little")
    for most, card in ((length - 1, {}), (length, peek_card(path))):
        monkeypatch.setattr("npbsrn.storage.tensors.LONGEST_HEADER", most)
        assert peek_card(path) == card
    assert card["config"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.safetensors")
    assert peek_card(tmp_path / "pipe.safetensors") == {}


def test_what_has_been_changed_is_refused(exported):
    path = exported[1]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="do not match its checksum"):
        load_arrays(path)


def test_a_file_of_another_tool_is_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"x": np.zeros(3, np.float32)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="it has no card"):
        load(tmp_path / "other.safetensors")


def test_without_the_package_it_is_said_what_to_do(exported, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(UsageError, match="pip install 'npbsrn"):
        load(exported[1])
