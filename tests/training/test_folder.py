from contextlib import suppress

import pytest

from npbsrn.datasets.pairs import Pair
from npbsrn.errors import DataError, UsageError
from npbsrn.storage.files import atomic_write
from npbsrn.training.folder import check_folder, checkpoints, own_folder, refuse_mixing


def test_a_folder_is_made_and_kept_to_oneself(tmp_path):
    run = tmp_path / "runs/first"
    with own_folder(run, begun=False):
        refusal = "another training is at work in .*first; wait for its end, or choose another output folder"
        with pytest.raises(UsageError, match=refusal), own_folder(run, begun=False):
            pass
    with own_folder(run, begun=False):
        assert [path.name for path in run.iterdir()] == ["lock"]


def test_what_a_killed_training_left_half_written_is_removed(tmp_path):
    """But nothing of others, and nothing while another one is at work."""
    kept = [".packed.npz.0123456789abcdef.tmp", ".weights.npz.mine.tmp", "checkpoint.npz"]
    for name in kept:
        (tmp_path / name).touch()
    with own_folder(tmp_path, begun=True):
        for name in ("checkpoint-new.npz", "weights.npz", "metrics.csv"):
            with suppress(OSError), atomic_write(tmp_path / name):
                left = next(path for path in tmp_path.glob(f".{name}.*.tmp") if "mine" not in path.name)
                raise OSError
            left.touch()
        with pytest.raises(UsageError, match="another training is at work"), own_folder(tmp_path, begun=True):
            pass
        assert len(list(tmp_path.glob(".*.tmp"))) == 5
    with own_folder(tmp_path, begun=True):
        assert {path.name for path in tmp_path.iterdir()} == {*kept, "lock"}


def test_a_run_is_there_or_not(tmp_path):
    check_folder(tmp_path / "new", begun=False)
    for folder in (tmp_path, tmp_path / "new"):
        with pytest.raises(UsageError, match="holds no run to go on with; start one without resuming"):
            check_folder(folder, begun=True)
    for name in ("checkpoint-previous.npz", "checkpoint.npz"):
        (tmp_path / name).touch()
        check_folder(tmp_path, begun=True)
        with pytest.raises(UsageError, match="holds a run already; resume it, or choose another output folder"):
            check_folder(tmp_path, begun=False)
    assert [path.name for path in checkpoints(tmp_path)] == ["checkpoint.npz", "checkpoint-previous.npz"]
    assert not (tmp_path / "new").exists()


def test_a_run_that_began_meanwhile_is_not_overwritten(tmp_path, monkeypatch):
    """Between the look at the folder and its lock another training began, and ended."""
    from npbsrn.training import folder

    inner = folder.lock

    def lock_late(path, refusal):
        (tmp_path / "checkpoint.npz").touch()
        return inner(path, refusal)

    monkeypatch.setattr(folder, "lock", lock_late)
    with pytest.raises(UsageError, match="holds a run already"), own_folder(tmp_path, begun=False):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot write to .*run; choose another output folder"):
        check_folder(tmp_path / "file/run", begun=False)


@pytest.mark.parametrize("name", ["pictures/baby.png", "curves.png"])
def test_pictures_that_are_not_a_runs_are_not_overwritten(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    with pytest.raises(
        UsageError, match=r"\.png is there already and may be overwritten; choose another output folder"
    ):
        check_folder(tmp_path, begun=False)
    for own in ("config.json", "metrics.csv"):  # what is left of a run whose checkpoints were removed
        (tmp_path / own).touch()
    check_folder(tmp_path, begun=False)


@pytest.mark.parametrize(
    ("folder", "run", "picture", "refused"),
    [
        ("data", "run", "data/a.png", False),
        ("data", "data/run", "data/a.png", False),
        ("data", "data/run", "data/run/a.png", True),
        ("data", "data", "data/a.png", True),
        ("data", ".", "data/a.png", False),
        ("pictures", ".", "pictures/a.png", True),
        ("data", "run", "run/pictures/a.png", True),  # to be judged on
    ],
)
def test_a_runs_pictures_do_not_come_among_the_data(tmp_path, folder, run, picture, refused):
    pairs = [Pair("b", tmp_path / "b.png"), Pair("a", tmp_path / "b.png", tmp_path / picture)]
    if refused:
        with pytest.raises(UsageError, match="where the run's own pictures go; choose another output folder"):
            refuse_mixing(tmp_path / run, tmp_path / folder, pairs)
    else:
        refuse_mixing(tmp_path / run, tmp_path / folder, pairs)
