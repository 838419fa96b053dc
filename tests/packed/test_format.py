"""Packed weight files: nothing is lost, and nothing is taken that does not fit."""

import numpy as np
import pytest
from hypothesis import given, settings

from npbsrn.errors import WeightsError
from npbsrn.packed.format import load_packed, save_packed
from npbsrn.packed.lower import fold
from npbsrn.storage.params import load_arrays, save_arrays
from tests.packed.models import random_model
from tests.strategies import packable_networks, seeds


def contents(folded):
    ends = [folded.head, folded.trunk, *folded.tail]
    return [*folded.signs, *folded.coefficients, *(array for end in ends for array in end)]


@settings(max_examples=25)
@given(packable_networks, seeds)
def test_round_trip(tmp_path_factory, config, seed):
    folded, path = fold(random_model(seed, **config)), tmp_path_factory.mktemp("packed") / "a.npz"
    save_packed(path, folded)
    again = load_packed(path)
    assert again.config == folded.config
    for new, old in zip(contents(again), contents(folded), strict=True):
        assert (new is None) == (old is None)
        np.testing.assert_array_equal(new, old)
        assert np.asarray(new).dtype == np.asarray(old).dtype


@pytest.fixture
def path(tmp_path):
    save_packed(tmp_path / "a.npz", fold(random_model(3, scale=4, blocks=1, width=20)))
    return tmp_path / "a.npz"


def test_equal_networks_give_equal_bytes(path, tmp_path):
    save_packed(tmp_path / "b.npz", load_packed(path))
    assert (tmp_path / "b.npz").read_bytes() == path.read_bytes()


def test_half_precision_is_taken_where_it_is_exact(path, tmp_path):
    folded = load_packed(path)
    assert load_arrays(path)[0]["tail.1.weight"].dtype == np.float32
    folded.tail[0][0][...] = folded.tail[0][0].astype(np.float16)
    folded.tail[1][0][...] = 1e6  # beyond half precision
    save_packed(tmp_path / "b.npz", folded)
    arrays = load_arrays(tmp_path / "b.npz")[0]
    assert (arrays["tail.1.weight"].dtype, arrays["tail.2.weight"].dtype) == (np.float16, np.float32)
    np.testing.assert_array_equal(load_packed(tmp_path / "b.npz").tail[0][0], folded.tail[0][0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, c: a.pop("slope"), "slope is missing"),
        (lambda a, c: a.pop("signs.2"), "signs.2 is missing"),
        (lambda a, c: a.update({"signs.2": a["signs.2"].astype(np.int16)}), "signs.2 is missing or of another shape"),
        (lambda a, c: a.update({"signs.1": a["signs.1"][:-1]}), "signs.1 is missing or of another shape"),
        (lambda a, c: a.update({"signs.1": np.append(a["signs.1"], np.uint8(0))}), "signs.1 is missing or of another"),
        (lambda a, c: a.update({"weight": a["weight"][:1]}), "weight is missing or of another shape"),
        (lambda a, c: a.update({"shift": a["shift"] * np.float32(np.nan)}), "shift is missing"),
        (lambda a, c: a.update({"tail.3.bias": a["tail.3.bias"][:2]}), "bias 4 is missing or of another shape"),
        (lambda a, c: c.update(kind="float"), "is no packed weight file"),
        (lambda a, c: c.pop("config"), "does not say which network"),
        (lambda a, c: c.update(config={"name": "bsrn", "scale": 9}), "does not say which network"),
    ],
)
def test_what_does_not_fit_is_refused(path, change, message):
    arrays, card = load_arrays(path)
    change(arrays, card)
    save_arrays(path, arrays, card, compress=False)
    with pytest.raises(WeightsError, match=message):
        load_packed(path)


def test_arrays_of_another_order_are_read_in_ours(path):
    expected = load_packed(path).coefficients.weight
    arrays, card = load_arrays(path)
    arrays["weight"] = np.asfortranarray(arrays["weight"])
    save_arrays(path, arrays, card, compress=False)
    weight = load_packed(path).coefficients.weight
    assert weight.flags.c_contiguous
    np.testing.assert_array_equal(weight, expected)
