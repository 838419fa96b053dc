import numpy as np
import pytest
from numba.core import config

from npbsrn.cli.parser import main
from npbsrn.kernels import jit


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A folder of kernels and one of decoded pictures, with what is npbsrn's and what is not."""
    kernels, pictures = tmp_path / "numba" / "kernels_0", tmp_path / "pictures"
    monkeypatch.setattr(jit, "FOLDERS", {str(kernels)})
    monkeypatch.setattr(jit, "SOURCES", [])
    monkeypatch.setenv("NPBSRN_CACHE", str(pictures))
    (pictures / "2").mkdir(parents=True)
    kernels.mkdir(parents=True)
    ours = [kernels / "ends.run-1.py311.nbi", kernels / "ends.run-1.py311.1.nbc"]
    ours += [kernels.parent / f"kernel-{'0af1' * 4}.txt"]
    ours += [pictures / "2" / f"{'0af1' * 8}-{kind}.npy" for kind in ("lr", "hr", "errors-32")]
    others = [
        kernels / "ends.pyc",
        kernels.parent / "kernel-notes.txt",
        pictures / "notes.npy",
        pictures / "2" / "mine.npy",
        tmp_path / "x.nbi",
    ]
    for path in ours + others:
        path.write_bytes(bytes(500_000))
    return ours, others


def test_it_shows_places_and_sizes(places, capsys):
    ours, others = places
    assert main(["cache"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert "1.5 MB, 3 files" in first
    assert first.endswith(str(ours[0].parent.parent))
    assert "1.5 MB, 3 files" in second
    assert all(path.exists() for path in ours + others)


def test_it_clears_what_is_its_own(places, capsys):
    ours, others = places
    assert main(["cache", "--clear"]) == 0
    assert "removed" in capsys.readouterr().out
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in others)


def test_folders_go_unless_they_hold_something_else(places):
    ours, others = places
    kernels, pictures = ours[0].parent.parent, ours[-1].parent.parent
    assert main(["cache", "--clear"]) == 0
    assert kernels.is_dir()
    assert (pictures / "2").is_dir()
    for path in others:
        path.unlink()
    assert main(["cache", "--clear"]) == 0
    assert not kernels.exists()
    assert not pictures.exists()


def test_kernels_of_other_installations_go_too(tmp_path, monkeypatch, capsys):
    """In the package's own cache; elsewhere they may be another package's."""
    monkeypatch.setattr(jit, "FOLDERS", {str(tmp_path / "numba" / "kernels_0")})
    monkeypatch.setattr(jit, "SOURCES", [])
    monkeypatch.setenv("NPBSRN_CACHE", str(tmp_path / "own"))
    old, foreign = tmp_path / "own/kernels/kernels_1/a.nbi", tmp_path / "numba/kernels_1/a.nbi"
    for path in (old, foreign):
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(500_000))
    assert main(["cache", "--clear"]) == 0
    assert "0.5 MB, 1 files, removed" in capsys.readouterr().out
    assert not (tmp_path / "own").exists()
    assert foreign.exists()


def test_nothing_is_kept_yet(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(jit, "FOLDERS", set())
    monkeypatch.setattr(jit, "SOURCES", [])
    monkeypatch.setenv("NPBSRN_CACHE", str(tmp_path / "none"))
    assert main(["cache", "--clear"]) == 0
    assert "0 files" in capsys.readouterr().out


def test_kernels_and_pictures_are_named_as_it_expects(tmp_path, monkeypatch, photographs):
    """What the package itself writes is found."""
    from npbsrn.cli.cache import _files, kept
    from npbsrn.datasets.pairs import Pair
    from npbsrn.kernels.cpu import keep_choice
    from npbsrn.training.cache import decoded

    monkeypatch.setenv("NPBSRN_CACHE", str(tmp_path))
    monkeypatch.setattr(jit, "FOLDERS", set())
    monkeypatch.setattr(jit, "SOURCES", [])
    decoded(Pair("0.png", photographs / "0.png", None), 2, tmp_path)
    *_, (_, _, (pictures,), pattern) = kept()
    assert len(list(pictures.iterdir())) == len(_files(pictures, pattern)) == 2
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setattr(config, "CACHE_DIR", "")
    jit.kernel()(_double)(np.zeros(1))
    assert keep_choice("portable")
    (_, folder, folders, pattern), _ = kept()
    assert folder == tmp_path / "kernels"
    for within in folders:
        there = {path for path in within.iterdir() if path.is_file()}
        assert there
        assert there == set(_files(within, pattern))


def _double(x):
    x[0] += x[0]
