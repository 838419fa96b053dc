"""The process that `tests.fuzz.guided` starts: libFuzzer's loop over one target, by Atheris.

    python -m tests.fuzz.worker MODULE RUNS SEED FOLDER

It may die by an input, as decoders are native code; what it has noted by then is in FOLDER.
"""

import json
import mmap
import os
import random
import struct
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path

import atheris

from tests.fuzz.watch import LARGEST, Seen, Watch, limit_addresses

PACKAGES = ["PIL", "npbsrn", "tifffile"]  # what the coverage is of
ROOT = Path(__file__).parents[2] / "npbsrn"
AFRESH = 0.2  # share of inputs that are a whole file with one change: of others most are refused
HANGS = 120  # seconds after which an input ends the process


class Notes:
    """What a target did, in files that outlive the process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outcomes: Counter[str] = Counter()
        path = folder / "counts"
        if not path.exists():
            path.write_bytes(bytes(24))
        with path.open("r+b") as file:
            self.counts = mmap.mmap(file.fileno(), 24)
        self.known = {path.stem for path in (folder / "faults").iterdir()}

    def note(self, data: bytes, seen: Seen) -> None:
        """Add one input: counts, and what was wrong for the first time."""
        done, memory, seconds = struct.unpack("qqd", self.counts[:])
        self.counts[:] = struct.pack("qqd", done + 1, max(memory, seen.memory), max(seconds, seen.seconds))
        self.outcomes[seen.outcome] += 1
        if done % 500 == 0 or seen.faults:
            (self.folder / f"outcomes-{os.getpid()}").write_text(json.dumps(self.outcomes))
        for name, story in seen.faults.items():
            stem = "".join(c if c.isalnum() else "-" for c in name)[:100]
            if stem not in self.known:
                self.known.add(stem)
                (self.folder / "faults" / f"{stem}.input").write_bytes(data)
                (self.folder / "faults" / f"{stem}.txt").write_text(story, errors="backslashreplace")


def compiled() -> list[str]:
    """Modules that Numba compiles, from the bytecode that Atheris would change."""
    found = []
    for path in ROOT.rglob("*.py"):
        text = path.read_text()
        if "numba" in text or "npbsrn.kernels" in text:
            found.append(".".join(path.relative_to(ROOT.parent).with_suffix("").parts))
    return found


def main() -> None:
    """Run until all is done or the process dies."""
    module, runs, seed, place = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    with atheris.instrument_imports(include=PACKAGES, exclude=compiled()):
        target = import_module(module)
    watch, notes = Watch(target.run), Notes(place)
    watch.warm_up(target.seeds().values())
    (place / "last").write_bytes(b"")

    def one(data: bytes) -> None:
        (place / "last").write_bytes(data)  # whatever ends the process
        notes.note(data, watch.look(data))

    whole = list(target.seeds().values())

    def mutate(data: bytes, largest: int, number: int) -> bytes:
        rng = random.Random(number)
        data = rng.choice(whole) if rng.random() < AFRESH else data
        changed = target.mutate(data, rng, lambda part: atheris.Mutate(part, len(part) + 64))
        return bytes(changed[:largest])

    limit_addresses()
    options = [f"-runs={runs}", f"-seed={seed}", f"-max_len={LARGEST}", f"-timeout={HANGS}", "-rss_limit_mb=0"]
    atheris.Setup(
        [module, str(place / "corpus"), *options, f"-artifact_prefix={place}/", "-len_control=0"], one,
        custom_mutator=mutate,
    )  # fmt: skip
    atheris.Fuzz()


if __name__ == "__main__":
    main()
