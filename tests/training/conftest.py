import pytest

import npbsrn

TINY = {"blocks": 1, "width": 4, "batch": 2, "patch": 6, "progress": False, "validate_every": 4, "checkpoint_every": 2}


@pytest.fixture
def train(photographs, tmp_path):
    def run(output="run", scale=4, **options):
        options = TINY | {"steps": 8} | options
        return npbsrn.train(photographs, scale, tmp_path / output, cache=tmp_path / "cache", **options)

    return run


@pytest.fixture
def second(tmp_path, photographs):
    """Another validation folder, of two pictures."""
    folder = tmp_path / "second, small"
    folder.mkdir()
    for name in ("0.png", "1.png"):
        (folder / name).write_bytes((photographs / name).read_bytes())
    return folder
