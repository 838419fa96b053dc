"""Packed weight files: nothing is lost, and nothing is taken that does not fit."""

import numpy as np
import pytest
from hypothesis import given, settings

from npbsrn.errors import WeightsError
from npbsrn.packed.format import load_packed, save_packed
from npbsrn.packed.lower import lower
from npbsrn.storage.params import load_arrays, save_arrays
from tests.packed.models import random_model
from tests.packed.plans import assert_same
from tests.strategies import packable_networks, seeds


@settings(max_examples=25)
@given(packable_networks, seeds)
def test_round_trip(tmp_path_factory, config, seed):
    plan, path = lower(random_model(seed, **config)), tmp_path_factory.mktemp("packed") / "a.npz"
    save_packed(path, plan)
    assert_same(load_packed(path), plan)


@pytest.mark.parametrize("name", ["bbcu", "bsrn", "srresnet", "vdsr"])
@pytest.mark.parametrize("binarizer", ["bam", "bbcu", "bnn", "dorefa", "abc", "bw", "none"])
def test_every_network_of_every_scheme(tmp_path, name, binarizer):
    plan = lower(random_model(7, name=name, scale=3, blocks=2, width=5, binarizer=binarizer))
    save_packed(tmp_path / "a.npz", plan)
    assert_same(load_packed(tmp_path / "a.npz"), plan)


UNITS = [{}, {"residual": 0.3}, {"residual": 0.3, "trunk": False, "last": 9}]
UNITS += [{"residual": 0.3, "tail": "direct"}, {"residual": 0.3, "flat": True}]


@pytest.mark.parametrize("options", UNITS, ids=str)
def test_units(tmp_path, options):
    plan = lower(random_model(7, name="bbcu", scale=4, blocks=2, width=5, binarizer="bbcu", **options))
    save_packed(tmp_path / "a.npz", plan)
    assert_same(load_packed(tmp_path / "a.npz"), plan)
    described = load_arrays(tmp_path / "a.npz")[1]["plan"]["blocks"][0]["steps"][0]
    assert ("amount" in described) == ("residual" in options)  # without it, as files had it before there was any


@pytest.fixture
def path(tmp_path):
    save_packed(tmp_path / "a.npz", lower(random_model(3, scale=4, blocks=1, width=20)))
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


def shrink(arrays, *names):
    """Filters of 1x1, for which a kernel has no room."""
    for name in names:
        arrays[f"{name}.weight"] = arrays[f"{name}.weight"][..., 1:2, 1:2]


def widen(arrays, name, margin):
    """Larger filters."""
    w = arrays[f"{name}.weight"]
    arrays[f"{name}.weight"] = np.pad(w, [(0, 0)] * 2 + [(margin, margin)] * 2)


def step(card, n=0):
    return card["plan"]["blocks"][0]["steps"][n]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, c: a.pop("slope"), "slope is missing"),
        (lambda a, c: a.pop("signs"), "signs is missing"),
        (lambda a, c: a.update({"signs": a["signs"].astype(np.int16)}), "signs is missing or of another shape"),
        (lambda a, c: a.update({"signs": a["signs"][:-1]}), "signs is missing or of another shape"),
        (lambda a, c: a.update({"signs": np.append(a["signs"], np.uint8(0))}), "signs is missing or of another"),
        (lambda a, c: a.update({"weight": a["weight"][:-1]}), "weight is missing or of another shape"),
        (lambda a, c: a.update({"weight": np.append(a["weight"], np.float32(0))}), "weight is missing or of another"),
        (lambda a, c: a.update({"weight": a["weight"][None]}), "weight is missing or of another"),
        (lambda a, c: a.update({"filters": a["weight"]}), "filters is missing or of another"),
        (lambda a, c: a.update({"shift": a["shift"] * np.float32(np.nan)}), "shift is missing"),
        (lambda a, c: a.update({"tail.3.bias": a["tail.3.bias"][:2]}), "tail.3.weight is missing or of another shape"),
        (lambda a, c: a.update({"tail.1.bias": a["tail.1.bias"][:-1]}), "tail.1.weight is missing or of another"),
        (lambda a, c: a.update({"head.weight": a["head.weight"][..., :2, :2]}), "head.bias is missing or of another"),
        (lambda a, c: a.update({"trunk.weight": a["trunk.weight"][:, :-1]}), "trunk.weight is missing or of another"),
        (lambda a, c: shrink(a, "trunk"), "trunk.weight is missing or of another"),
        (lambda a, c: shrink(a, "head"), "head.weight is missing or of another"),
        (lambda a, c: shrink(a, "tail.1", "tail.2", "tail.3"), "tail is missing or of another"),
        (lambda a, c: widen(a, "tail.1", 2), "tail is missing or of another"),
        (lambda a, c: c["plan"].update(blocks=[]), "blocks is missing"),
        (lambda a, c: c.pop("plan"), "plan is missing"),
        (lambda a, c: c.update(plan=[]), "plan is missing"),
        (lambda a, c: c["plan"].update(scale=3, shuffles=[3]), "is missing or of another shape"),
        (lambda a, c: c["plan"].update(shuffles=[4]), "is missing or of another shape"),
        (lambda a, c: c["plan"].update(shuffles=[2]), "shuffles is missing"),
        (lambda a, c: c["plan"].update(flat=1), "flat is missing"),
        (lambda a, c: c["plan"].update(gain=float("inf")), "gain is missing"),
        (lambda a, c: c["plan"]["blocks"].pop(), "is missing or of another shape"),
        (lambda a, c: c["plan"]["blocks"][0].update(statistic="median"), "statistic is missing"),
        (lambda a, c: c["plan"]["blocks"][0].update(steps=[]), "statistic is missing"),
        (lambda a, c: c["plan"]["blocks"][0].update(residual="1"), "residual is missing"),
        (lambda a, c: step(c).update(size=5), "size is missing"),
        (lambda a, c: step(c).update(bases=[1, 0]), "bases is missing"),
        (lambda a, c: step(c).update(terms=[1]), "terms is missing"),
        (lambda a, c: step(c, 1).update(terms=[0, -1]), "terms is missing"),
        (lambda a, c: step(c).update(pad=0), "pad is missing"),
        (lambda a, c: step(c).update(signs=False), "signs is missing"),
        (lambda a, c: step(c).update(floats=["factor", "weight"]), "shift is missing"),
        (lambda a, c: step(c).update(floats=["weight", "shift"]), "factor is missing"),
        (lambda a, c: step(c, 2).update(skip=True), "skip is missing"),
        (lambda a, c: step(c).update(amount=0.5), "amount is missing"),
        (lambda a, c: step(c).update(skip=True, amount="1"), "amount is missing"),
        (lambda a, c: c.update(packed=3), "is packed in version 3, this npbsrn reads up to 2; upgrade npbsrn"),
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
    expected = load_packed(path)
    arrays, card = load_arrays(path)
    arrays["trunk.weight"] = np.asfortranarray(arrays["trunk.weight"])
    save_arrays(path, arrays, card, compress=False)
    plan = load_packed(path)
    assert plan.trunk[0].flags.c_contiguous
    assert_same(plan, expected)
