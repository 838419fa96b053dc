"""The batch script of the docs: bash reads it, and it calls the command with options that there are."""

import os
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


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is missing")
@pytest.mark.parametrize("resumed", [False, True])
def test_its_commands_are_parsed_and_a_task_that_dies_ends_the_others(tmp_path, resumed):
    srun, run = tmp_path / "srun", tmp_path / "a run"
    srun.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    srun.chmod(0o755)
    run.mkdir()
    if resumed:
        (run / "checkpoint.npz").touch()
    own = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "SLURM_CPUS_PER_TASK": "2"}
    done = subprocess.run(["bash", SCRIPT, "my photos", run], capture_output=True, text=True, check=True, env=own)
    before, words = done.stdout.splitlines()[:4], done.stdout.splitlines()[4:]
    assert before == ["--kill-on-bad-exit=1", "--cpus-per-task=2", "npbsrn", "train"]
    parsed = make_parser("train").parse_args(words)
    assert (parsed.output, parsed.resume) == (run, resumed)
    assert parsed.folder == (None if resumed else Path("my photos"))


def test_slurm_reads_its_options_before_the_first_command():
    lines = SCRIPT.read_text().splitlines()
    last = max(n for n, line in enumerate(lines) if line.startswith("#SBATCH"))
    assert all(line.startswith("#") for line in lines[: last + 1])
