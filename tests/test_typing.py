"""The public names as a user's type checker sees them."""

import subprocess
import sys

import pytest

import npbsrn

SCRIPT = """
import numpy as np
import npbsrn
from npbsrn import Model, NpbsrnError

version: str = npbsrn.__version__
model: Model = npbsrn.load("mine.npz", scale=4)
size: tuple[int, int] = npbsrn.upscale_file("a.png", "b.png", 4, model, overwrite=True)
large = npbsrn.upscale(np.zeros((4, 5, 3), np.uint8), scale=2)
psnr: float = npbsrn.evaluate(model, "Set5").mean.psnr
try:
    trained: Model = npbsrn.train("DIV2K", scale=4, minutes=30)
except NpbsrnError as error:
    print(error)
"""
WRONG = """
import npbsrn

size: str = npbsrn.upscale_file("a.png", "b.png", 4)
npbsrn.load(scale="four")
"""


def check(tmp_path, text):
    (tmp_path / "script.py").write_text(text)
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--config-file=", "script.py"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_users_script_passes_the_strictest_check(tmp_path):
    done = check(tmp_path, SCRIPT)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_a_wrong_one_does_not(tmp_path):
    done = check(tmp_path, WRONG)
    assert done.returncode == 1
    assert done.stdout.count("error:") == 2


def test_the_version_is_that_of_the_command(capsys):
    from npbsrn.cli.parser import main

    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith(f"npbsrn {npbsrn.__version__}\n")
