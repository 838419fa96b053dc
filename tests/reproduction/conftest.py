import pytest

from npbsrn.reproduction import tables
from npbsrn.reproduction.rows import Task

TINY = {"blocks": 1, "width": 4, "batch": 2, "patch": 6, "validate_every": 4, "checkpoint_every": 2}


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """Rows that are trained in no time."""
    monkeypatch.setattr(tables, "RECIPE", TINY)
    monkeypatch.setenv("NPBSRN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def sets(tmp_path, photographs):
    """Two test sets of the training pictures."""
    found = {}
    for name, pictures in (("Set5", ("0.png", "1.png")), ("B100", ("3.png",))):
        found[name] = tmp_path / "sets" / name
        found[name].mkdir(parents=True)
        for picture in pictures:
            (found[name] / picture).write_bytes((photographs / picture).read_bytes())
    return found


@pytest.fixture
def two():
    """Two rows."""
    return [Task("bsrn", 4, 4), Task("bsrn-w2", 4, 4)]
