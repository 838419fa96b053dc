import json
import shutil
from contextlib import ExitStack

import numpy as np
import pytest

from npbsrn.errors import DataError, TrainingDivergedError, UsageError
from npbsrn.reproduction import rows
from npbsrn.reproduction.rows import Task, complete, find_sets, read_result
from npbsrn.storage.files import lock
from npbsrn.storage.params import load_arrays
from tests.training.runs import interrupt_at, same


def run(tasks, folder, data, sets, **options):
    return complete(tasks, folder, data, sets, progress=False, **options)


def results(tasks, folder):
    """Without what depends on the machine."""
    read = [read_result(folder, task) for task in tasks]
    return [{k: v for k, v in result.items() if k not in ("minutes", "cpu")} for result in read]


def test_rows_are_trained_and_judged_once(tiny, two, tmp_path, photographs, sets):
    said = []
    assert run(two, tmp_path / "a", photographs, sets, say=said.append) == []
    assert len(said) == 2
    for task in two:
        result = read_result(tmp_path / "a", task)
        assert result["sets"].keys() == sets.keys()
        assert result["cpu"]
    assert run(two, tmp_path / "a", None, sets, say=said.append) == []
    assert len(said) == 2


def test_a_row_goes_on_where_it_was_interrupted(tiny, two, tmp_path, photographs, sets, monkeypatch):
    run(two, tmp_path / "whole", photographs, sets)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            run(two, tmp_path / "cut", photographs, sets)
    assert read_result(tmp_path / "cut", two[0]) is None
    run(two[::-1], tmp_path / "cut", photographs, sets)  # in another order
    assert results(two, tmp_path / "cut") == results(two, tmp_path / "whole")
    for task in two:
        a, b = (load_arrays(tmp_path / place / task.folder / "weights.npz")[0] for place in ("whole", "cut"))
        assert same(a, b)


def test_an_interrupt_while_judging_costs_no_training(tiny, two, tmp_path, photographs, sets, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rows, "evaluate", stop)
        with pytest.raises(KeyboardInterrupt):
            run(two[:1], tmp_path, photographs, sets)
    before = (tmp_path / two[0].folder / "weights.npz").read_bytes()
    run(two[:1], tmp_path, photographs, sets)
    assert (tmp_path / two[0].folder / "weights.npz").read_bytes() == before
    assert read_result(tmp_path, two[0])["sets"].keys() == sets.keys()


def test_a_row_that_another_process_has_is_left_to_it(tiny, two, tmp_path, photographs, sets):
    with lock(tmp_path / f".{two[0].folder}.lock", "held"):
        assert run(two, tmp_path, photographs, sets) == two[:1]
    assert read_result(tmp_path, two[0]) is None
    assert read_result(tmp_path, two[1]) is not None
    assert run(two, tmp_path, photographs, sets) == []


def test_the_result_and_packed_weights_are_enough_for_another_set(tiny, two, tmp_path, photographs, sets):
    first = {"Set5": sets["Set5"]}
    run(two[:1], tmp_path / "a", photographs, first)
    kept = tmp_path / "b" / two[0].folder
    kept.mkdir(parents=True)
    for name in ("result.json", "packed.npz"):
        shutil.copy(tmp_path / "a" / two[0].folder / name, kept)
    run(two[:1], tmp_path / "b", None, sets)
    run(two[:1], tmp_path / "a", None, sets)
    a, b = results(two[:1], tmp_path / "a"), results(two[:1], tmp_path / "b")
    assert a == b
    assert a[0]["sets"].keys() == sets.keys()


def test_seeds_differ(tiny, tmp_path, photographs, sets):
    tasks = [Task("bsrn", 4, 4, seed) for seed in (0, 1)]
    run(tasks, tmp_path, photographs, sets)
    a, b = (load_arrays(tmp_path / task.folder / "weights.npz")[0] for task in tasks)
    assert not np.array_equal(a["head.weight"], b["head.weight"])


def test_a_row_that_diverges_is_recorded_and_stops_no_other(tiny, two, tmp_path, photographs, sets, monkeypatch):
    inner = rows.train

    def train(data, scale, folder, **options):
        if folder.name == two[0].folder:
            raise TrainingDivergedError("the loss is nan at step 2")
        return inner(data, scale, folder, **options)

    monkeypatch.setattr(rows, "train", train)
    (tmp_path / two[0].folder).mkdir()
    run(two, tmp_path, photographs, sets)
    assert read_result(tmp_path, two[0])["diverged"] == "the loss is nan at step 2"
    assert "diverged" not in read_result(tmp_path, two[1])
    run(two, tmp_path, None, sets)  # it is not tried again


def test_other_steps_and_damage_are_refused(tiny, two, tmp_path, photographs, sets):
    run(two[:1], tmp_path, photographs, sets)
    with pytest.raises(UsageError, match="was trained for 4 steps, not 5; choose another folder"):
        run([Task("bsrn", 4, 5)], tmp_path, photographs, sets)
    path = tmp_path / two[0].folder / "result.json"
    good = json.loads(path.read_text())
    for text in ("", "{", "[]", json.dumps({"steps": 4}), json.dumps({"steps": 4, "sets": 3})):
        path.write_text(text)
        with pytest.raises(DataError, match="cannot be read; get a good copy, or remove it"):
            read_result(tmp_path, two[0])
    bad = [{"Set5": own} for own in (3, {"psnr": 30}, {"psnr": "30", "ssim": 1}, {"psnr": float("nan"), "ssim": 1})]
    for damage in (*({"sets": sets} for sets in [[], *bad]), {"minutes": None}, {"steps": "x"}):
        path.write_text(json.dumps(good | damage))
        with pytest.raises(DataError, match="cannot be read; get a good copy, or remove it"):
            read_result(tmp_path, two[0])
    path.write_text(json.dumps(good | {"row": "bsrn-w1"}))
    with pytest.raises(DataError, match="is of another row, bsrn-w1 x4, seed 0"):
        read_result(tmp_path, two[0])


def test_a_row_that_was_begun_for_other_steps_is_not_gone_on_with(tiny, two, tmp_path, photographs, sets, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_at(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            run(two[:1], tmp_path, photographs, sets)
    with pytest.raises(UsageError, match="was begun for 4 steps, not 6; choose another folder"):
        run([Task("bsrn", 4, 6)], tmp_path, photographs, sets)
    assert run(two[:1], tmp_path, photographs, sets) == []


def test_a_row_that_another_process_has_let_go_is_taken_at_the_end(tiny, two, tmp_path, photographs, sets):
    """As when that process was killed meanwhile."""
    with ExitStack() as stack:
        stack.enter_context(lock(tmp_path / f".{two[0].folder}.lock", "held"))
        assert run(two, tmp_path, photographs, sets, say=lambda words: stack.close()) == []
    assert all(read_result(tmp_path, task) is not None for task in two)


def test_training_pictures_are_asked_for(tiny, two, tmp_path, sets):
    said = []
    with pytest.raises(UsageError, match="is not trained yet; name a folder of training pictures"):
        run(two, tmp_path / "none", None, sets, say=said.append)
    assert not said
    assert not (tmp_path / "none").exists()


def test_sets_are_found_beside_the_training_pictures(sets, tmp_path):
    (sets["Set5"].parent / "BSD100").mkdir()
    shutil.rmtree(sets["B100"])
    (sets["Set5"].parent / "train").mkdir()
    found = find_sets(None, sets["Set5"].parent / "train")
    assert found == {"B100": sets["Set5"].parent / "BSD100", "Set5": sets["Set5"]}
    assert find_sets([sets["Set5"]], None) == {"Set5": sets["Set5"]}
    assert find_sets(None, None) == {}
    with pytest.raises(DataError, match="its name must be one of Set5"):
        find_sets([tmp_path], None)
