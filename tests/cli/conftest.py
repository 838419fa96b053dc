import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a picture, as the working folder."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.arange(96, dtype=np.uint8).reshape(4, 8, 3) * 2).save("a.png")
    return tmp_path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A folder of its own for what is kept on disk."""
    monkeypatch.setenv("NPBSRN_CACHE", str(tmp_path / "cache"))
