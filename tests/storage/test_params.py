import os
import re
import zipfile

import numpy as np
import pytest
from hypothesis import given

from npbsrn.errors import WeightsError
from npbsrn.storage.params import digest, leaves, load_arrays, map_leaves, nest, peek_card, save_arrays
from tests.fuzz import bombs
from tests.strategies import flat_params

ARRAYS = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(2)}


@given(flat_params)
def test_names_and_nesting_are_inverse(flat):
    again = dict(leaves(nest(flat)))
    assert again.keys() == flat.keys()
    assert all(again[name] is flat[name] for name in flat)


@given(flat_params)
def test_map_reaches_every_leaf(flat):
    doubled = dict(leaves(map_leaves(lambda a, b: a + b, nest(flat), nest(flat))))
    for name, array in flat.items():
        np.testing.assert_array_equal(doubled[name], 2 * array)


@pytest.mark.parametrize("compress", [True, False])
def test_round_trip_and_equal_bytes(tmp_path, compress):
    for name in ("x.npz", "y.npz"):
        save_arrays(tmp_path / name, ARRAYS, {"steps": 3}, compress)
    arrays, card = load_arrays(tmp_path / "x.npz")
    assert card["steps"] == 3
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype
    assert (tmp_path / "x.npz").read_bytes() == (tmp_path / "y.npz").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.npz", "y.npz"]  # no temporary files


def test_the_digest_sees_names_shapes_and_values():
    digests = {
        digest({"a": np.zeros(2)}),
        digest({"b": np.zeros(2)}),
        digest({"a": np.zeros((1, 2))}),
        digest({"a": np.zeros(2, np.float32)}),
        digest({"a": np.ones(2)}),
    }
    assert len(digests) == 5


@pytest.mark.parametrize("compress", [True, False])
def test_every_truncation_is_refused(tmp_path, compress):
    path = tmp_path / "w.npz"
    save_arrays(path, ARRAYS, {}, compress)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsError, match=r"get a good copy|was not written by npbsrn"):
            load_arrays(path)


def test_every_changed_byte_is_refused_or_harmless(tmp_path):
    path = tmp_path / "w.npz"
    save_arrays(path, ARRAYS, {}, compress=True)
    whole = path.read_bytes()
    refused = 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            arrays, _ = load_arrays(path)
        except WeightsError:
            refused += 1
        else:  # a date, say
            assert all(np.array_equal(arrays[name], ARRAYS[name]) for name in ARRAYS)
    assert refused > len(whole) / 2


def test_a_full_disk_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "w.npz"
    save_arrays(path, ARRAYS, {}, compress=True)
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(WeightsError, match="No space left on device; free some space"):
        save_arrays(path, {"other": np.zeros(3)}, {}, compress=True)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["w.npz"]


@pytest.mark.parametrize(
    "name", [name for name in bombs.weights() if name.startswith("np") and not re.search("zeros|members", name)]
)
def test_what_unpacks_to_too_much_or_is_no_array_is_refused(tmp_path, name):
    path = tmp_path / "a.npz"
    path.write_bytes(bombs.weights()[name]())
    assert peek_card(path) == {}
    with pytest.raises(WeightsError, match=r"truncated or no npbsrn file|has no card"):
        load_arrays(path)


def test_zeros_that_unpack_to_far_more_than_the_file_are_refused(tmp_path, monkeypatch):
    save_arrays(tmp_path / "a.npz", {"a": np.zeros(1 << 20)}, {}, compress=True)
    load_arrays(tmp_path / "a.npz")
    monkeypatch.setattr("npbsrn.storage.params.UNPACKED", 1 << 20)
    with pytest.raises(WeightsError, match="truncated or no npbsrn file"):
        load_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_pack_zeros_densely_are_refused(tmp_path, method):
    save_arrays(tmp_path / "a.npz", ARRAYS, {}, compress=False)
    with zipfile.ZipFile(tmp_path / "a.npz") as old, zipfile.ZipFile(tmp_path / "b.npz", "w", method) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(WeightsError, match="truncated or no npbsrn file"):
        load_arrays(tmp_path / "b.npz")


def test_zeros_are_read_where_they_are_few(tmp_path):
    zeros = {"m": np.zeros(1 << 22, np.float32)}  # as Adam's moments are in the first checkpoint
    save_arrays(tmp_path / "a.npz", zeros, {}, compress=True)
    np.testing.assert_array_equal(load_arrays(tmp_path / "a.npz")[0]["m"], zeros["m"])


def test_nothing_is_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path / "sprung").touch, ()

    for name, save in (("a.npy", np.save), ("a.npz", lambda path, array: np.savez(path, card=array))):
        save(tmp_path / name, np.array([Trap()], object))
        with pytest.raises(WeightsError, match="truncated or no npbsrn file"):
            load_arrays(tmp_path / name)
        assert peek_card(tmp_path / name) == {}
    assert not (tmp_path / "sprung").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.npz")
    assert peek_card(tmp_path / "a.npz") == {}
    with pytest.raises(WeightsError, match="there is no weight file"):
        load_arrays(tmp_path / "a.npz")
