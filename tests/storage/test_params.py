import numpy as np
import pytest
from hypothesis import given

from npbsrn.errors import WeightsError
from npbsrn.storage.params import digest, leaves, load_arrays, map_leaves, nest, save_arrays
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
