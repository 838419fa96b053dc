"""Start a target's worker until it has run as many inputs as are wanted, and sum up what it found."""

import argparse
import json
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib import import_module
from pathlib import Path

from tests.fuzz.watch import LARGEST

DEATHS = 50  # of a worker, after which a run ends


def main(module: str) -> int:
    """Run a target by its module's name; the exit code is 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description="A coverage-guided run.")
    parser.add_argument("--runs", type=int, default=10_000, help="inputs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for corpus and findings; goes on with what it holds")
    parser.add_argument("--more", type=Path, nargs="*", default=[], help="folders of further seeds")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = arguments.keep or Path(temporary)
        for name in ("corpus", "faults"):
            (place / name).mkdir(parents=True, exist_ok=True)
        sow(module, place / "corpus", arguments.more)
        began = time.monotonic()
        deaths, covered = _run(module, place, arguments.runs, arguments.seed)
        return _sum_up(module, place, time.monotonic() - began, deaths, covered)


def sow(module: str, corpus: Path, more: list[Path]) -> None:
    """Write a target's seeds, and files of other folders, to its corpus."""
    for name, data in import_module(module).seeds().items():
        (corpus / f"seed-{name}").write_bytes(data)
    for path in (path for folder in more for path in folder.rglob("*") if path.is_file()):
        if path.stat().st_size <= LARGEST:
            shutil.copy(path, corpus / f"more-{path.name}")


def _run(module: str, place: Path, runs: int, seed: int) -> tuple[list[str], str]:
    """How workers died, and the last line on coverage."""
    deaths: list[str] = []
    covered, begun = "", _counts(place)[0]
    while (left := runs - (_counts(place)[0] - begun)) > 0 and len(deaths) < DEATHS:
        with (place / "log").open("w") as log:
            number = str(seed + len(deaths))
            command = [sys.executable, "-m", "tests.fuzz.worker", module, str(left), number, str(place)]
            code = subprocess.run(command, stdout=log, stderr=log, check=False).returncode
        text = (place / "log").read_text(errors="replace")
        covered = [covered, *re.findall(r"cov: \d+ ft: \d+ corp: \d+", text)][-1]
        if code:
            deaths.append(f"exit code {code}: {text[-300:]}")
            shutil.copy(place / "last", place / "faults" / f"death-{time.time_ns()}.input")
            print(f"{module}: the worker died, {deaths[-1]}", flush=True)
    return deaths, covered


def _counts(place: Path) -> tuple[int, int, float]:
    path = place / "counts"
    return struct.unpack("qqd", path.read_bytes()) if path.exists() else (0, 0, 0.0)


def _sum_up(module: str, place: Path, seconds: float, deaths: list[str], covered: str) -> int:
    done, memory, longest = _counts(place)
    outcomes: Counter[str] = Counter()
    for path in place.glob("outcomes-*"):
        outcomes.update(json.loads(path.read_text()))
    print(f"{module}: {done} inputs, {seconds:.0f} s; {covered}")
    print(f"  at most {memory / 1e6:.0f} MB and {longest:.1f} s of CPU for one; {dict(outcomes.most_common())}")
    faults = sorted((place / "faults").glob("*.txt"))
    for path in faults:
        print(f"  FAULT {path.stem}: {path.read_text().strip().splitlines()[-1][:200]}")
    return 1 if faults or deaths else 0
