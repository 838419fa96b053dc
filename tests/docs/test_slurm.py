"""The batch script of the docs: bash reads it, and it calls the command with options that there are."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from npbsrn.cli.parser import make_parser

SCRIPT = Path(__file__).parents[2] / "docs/slurm.sh"


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is missing")
def test_bash_reads_it():
    done = subprocess.run(["bash", "-n", SCRIPT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_its_commands_are_parsed():
    commands = re.findall(r"^\s*srun \S+ npbsrn train (.*)$", SCRIPT.read_text(), re.MULTILINE)
    assert len(commands) == 2
    for words in commands:
        make_parser("train").parse_args(words.replace('"', "").replace("$", "").split())


def test_slurm_reads_its_options_before_the_first_command():
    lines = SCRIPT.read_text().splitlines()
    last = max(n for n, line in enumerate(lines) if line.startswith("#SBATCH"))
    assert all(line.startswith("#") for line in lines[: last + 1])
