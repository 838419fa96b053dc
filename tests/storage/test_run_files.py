import pytest

from npbsrn.storage.run_files import holds_run, is_run
from tests.training.conftest import TINY


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("checkpoint.npz", True),
        ("a.png checkpoint-previous.npz", True),
        ("checkpoint-new.npz", True),
        ("config.json metrics.csv", True),
        ("config.json a.png", False),
        ("metrics.csv a.png lock", False),
        ("a.png weights.npz", False),
        ("", False),
    ],
)
def test_a_run_is_known_by_its_files(tmp_path, names, expected):
    for name in names.split():
        (tmp_path / name).touch()
    assert is_run(names.split()) is expected
    assert holds_run(tmp_path) is expected
    assert not holds_run(tmp_path / "nowhere")


def test_a_run_is_known_before_it_writes_a_picture(photographs, tmp_path, monkeypatch):
    import npbsrn
    from npbsrn.training.records import Records

    seen = []
    monkeypatch.setattr(Records, "picture", lambda self, *_: seen.append(holds_run(self.folder)))
    monkeypatch.setattr(Records, "checkpoint", lambda self, *_, **__: seen.append(holds_run(self.folder)))
    npbsrn.train(photographs, 4, tmp_path / "run", validation=photographs, steps=1, cache=tmp_path / "cache", **TINY)
    assert len(seen) > 2
    assert all(seen)
