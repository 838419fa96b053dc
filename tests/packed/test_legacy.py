"""Packed files of the first version give what they gave."""

from pathlib import Path

import numpy as np
import pytest

import npbsrn
from npbsrn.errors import WeightsError
from npbsrn.packed.format import load_packed, save_packed
from npbsrn.packed.lower import lower
from npbsrn.packed.plan import Plan
from npbsrn.storage.params import load_arrays, save_arrays
from tests.packed.models import random_model
from tests.packed.plans import assert_same


def first_version(plan: Plan) -> tuple[dict, dict]:
    """Arrays and card as the first version wrote them."""
    channels, blocks = plan.channels, plan.blocks
    signs = [np.stack([block.steps[n].signs[0] for block in blocks]) for n in range(3)]
    arrays = {f"signs.{n}": np.packbits(w < 0) for n, w in enumerate(signs, 1)}
    weight = np.zeros((len(blocks), 3, 3, channels), np.float32)
    for b, block in enumerate(blocks):
        for n, step in enumerate(block.steps):
            weight[b, n, list(step.terms)] = step.weight[0]
    arrays["weight"] = weight
    arrays["shift"] = np.stack([[step.shift[0] for step in block.steps] for block in blocks])
    arrays["scale"] = np.stack([[step.factor[0, 0] for step in block.steps] for block in blocks])
    if blocks[0].steps[0].slope is not None:
        arrays["slope"] = np.stack([[step.slope for step in block.steps[:2]] for block in blocks])
    ends = {"head": plan.head, "trunk": plan.trunk} | {f"tail.{n}": own for n, own in enumerate(plan.tail, 1)}
    for name, (w, bias) in ends.items():
        arrays |= {f"{name}.weight": w, f"{name}.bias": bias}
    return arrays, {"kind": "packed", "config": plan.config}


CONFIGS = [
    {"scale": 4},
    {"scale": 3, "base": "none", "activation": "none", "input_gain": 2.5},
    {"scale": 2, "binarizer": {"accumulate_activations": False, "statistic": "none"}, "residual": 1.0},
]


@pytest.mark.parametrize("config", CONFIGS)
def test_a_file_of_the_first_version(tmp_path, config):
    plan = lower(random_model(3, blocks=2, width=17, **config))
    arrays, card = first_version(plan)
    save_arrays(tmp_path / "a.npz", arrays, card, compress=True)
    assert_same(load_packed(tmp_path / "a.npz"), plan)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_shipped_files_are_read_and_written_anew(tmp_path, scale):
    plan = load_packed(Path(npbsrn.__file__).parent / "weights" / f"bsrn-x{scale}-packed.npz")
    save_packed(tmp_path / "a.npz", plan)
    assert_same(load_packed(tmp_path / "a.npz"), plan)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("slope"), "slope is missing"),
        (lambda a: a.pop("signs.2"), "signs.2 is missing"),
        (lambda a: a.update({"signs.2": a["signs.2"].astype(np.int16)}), "signs.2 is missing or of another shape"),
        (lambda a: a.update({"signs.1": a["signs.1"][:-1]}), "signs.1 is missing or of another shape"),
        (lambda a: a.update({"signs.1": np.append(a["signs.1"], np.uint8(0))}), "signs.1 is missing or of another"),
        (lambda a: a.update({"weight": a["weight"][:1]}), "weight is missing or of another shape"),
        (lambda a: a.update({"shift": a["shift"] * np.float32(np.nan)}), "shift is missing"),
        (lambda a: a.update({"tail.3.bias": a["tail.3.bias"][:2]}), "tail.3.bias is missing or of another shape"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, change, message):
    arrays, card = first_version(lower(random_model(3, scale=4, blocks=1, width=20)))
    change(arrays)
    save_arrays(tmp_path / "a.npz", arrays, card, compress=False)
    with pytest.raises(WeightsError, match=message):
        load_packed(tmp_path / "a.npz")


def test_arrays_of_another_order_are_read_in_ours(tmp_path):
    plan = lower(random_model(3, scale=4, blocks=1, width=20))
    arrays, card = first_version(plan)
    arrays["weight"] = np.asfortranarray(arrays["weight"])
    save_arrays(tmp_path / "a.npz", arrays, card, compress=False)
    assert load_arrays(tmp_path / "a.npz")[0]["weight"].flags.f_contiguous
    assert_same(load_packed(tmp_path / "a.npz"), plan)
