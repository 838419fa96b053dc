from pathlib import Path

import pytest

from npbsrn.errors import UsageError
from npbsrn.storage.caches import cache_folder


def test_where_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("NPBSRN_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("NPBSRN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "npbsrn"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache/npbsrn"


def test_who_has_no_home_is_told_what_to_do(monkeypatch):
    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("NPBSRN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", home)
    with pytest.raises(UsageError, match="name a folder by NPBSRN_CACHE"):
        cache_folder()
