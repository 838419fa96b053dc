"""Give files of all kinds, whole and damaged, to ``npbsrn upscale``, and look at what it does with them.

    python -m tests.fuzz.command DIR [DIR ...] [--mutants 3] [--seed 0]

Each file, and copies of it that are cut, have bytes changed, or have grown, is enlarged in a process of its own. It
must end with exit code 0 or 2; with one line for each thing that it says; without a traceback; without a file
half-written or left behind. Where the exit code is 0, what was read is compared with what an independent decoder reads
(ImageMagick's ``convert``, at $CONVERT). Files that differ are listed, to be looked at: decoders differ in taste.
"""

import argparse
import io
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from npbsrn.cli.parser import main as npbsrn
from npbsrn.images.reading import read_picture
from npbsrn.images.samples import cast

SECONDS, MEMORY = 60, 6 << 30  # what one file may take
CONVERT = os.environ.get("CONVERT", "/usr/bin/convert")  # ImageMagick's
FAR = 40  # levels of a mean difference between decoders that is more than taste


def mutants(data: bytes, count: int, rng: random.Random) -> dict[str, bytes]:
    """Copies of a file: cut short, with bytes changed, and grown."""
    made = {}
    for n in range(count):
        made[f"cut{n}"] = data[: rng.randrange(len(data))]
        changed = bytearray(data)
        for _ in range(rng.choice([1, 3, 30])):
            changed[rng.randrange(min(len(data), rng.choice([64, 1024, 1 << 30])))] = rng.randrange(256)
        made[f"changed{n}"] = bytes(changed)
        at = rng.randrange(len(data))
        made[f"grown{n}"] = data[:at] + rng.randbytes(rng.choice([1, 16, 4096])) + data[at:]
    return made


def enlarge(source: Path, target: Path) -> tuple[int, str]:
    """Exit code and what was said, by a process of its own; -1 if it was killed."""
    report = target.parent.parent / "said.txt"
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        said, code = io.StringIO(), -2
        try:
            with redirect_stderr(said), redirect_stdout(said):
                code = npbsrn(["upscale", "-i", str(source), "-o", str(target), "-s", "2", "-m", "bicubic"])
        except BaseException:
            traceback.print_exc(file=said)
        report.write_text(said.getvalue())
        os._exit(code if code >= 0 else 99)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code, report.read_text() if report.exists() and code >= 0 else ""


def faults_of(code: int, said: str, folder: Path) -> list[str]:
    """What is wrong with an ending."""
    left = sorted(path.name for path in folder.iterdir())
    found = []
    if code not in (0, 2):
        found.append(f"exit code {code}")
    if "Traceback" in said or "unexpected" in said:
        found.append("a traceback")
    if any(not line.startswith(("npbsrn: ", str(folder))) for line in said.splitlines()):
        found.append("a line that is not npbsrn's")
    if code == 0 and left != ["out.png"]:
        found.append(f"there is {left}")
    if code != 0 and left:
        found.append(f"left behind: {left}")
    return found


def independent(path: Path) -> np.ndarray | None:
    """The picture's 8-bit RGBA by ImageMagick, upright, or None where it cannot read it."""
    command = [CONVERT, f"{path}[0]", "-auto-orient", "-colorspace", "sRGB", "-depth", "8", "PAM:-"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=SECONDS)
    header, _, body = done.stdout.partition(b"ENDHDR\n")
    if not body:
        return None
    fields = dict(line.split(b" ", 1) for line in header.splitlines() if b" " in line)
    height, width, depth = (int(fields[name]) for name in (b"HEIGHT", b"WIDTH", b"DEPTH"))
    samples = np.frombuffer(body, np.uint8)[: height * width * depth].reshape(height, width, depth)
    return rgba(samples[:, :, 0] if depth < 3 else samples[:, :, :3], samples[:, :, -1] if depth in (2, 4) else None)


def rgba(colour: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Multiplied by alpha, so that what is hidden does not count."""
    shown = np.repeat(colour[:, :, None], 3, axis=2) if colour.ndim == 2 else colour
    share = np.full(shown.shape[:2], 255, np.uint8) if alpha is None else alpha
    return np.dstack([shown * (share[:, :, None] / 255), share]).astype(float)


def difference(path: Path) -> str | None:
    """How far the two decoders are from each other, if that is far."""
    picture: Any = read_picture(path)
    theirs = independent(path)
    if theirs is None:
        return None
    ours = rgba(cast(picture.colour, np.uint8), None if picture.alpha is None else cast(picture.alpha, np.uint8))
    if ours.shape != theirs.shape:
        return f"{ours.shape[1]}x{ours.shape[0]} against {theirs.shape[1]}x{theirs.shape[0]}"
    apart = np.abs(ours - theirs) * (255 / max(ours[:, :, :3].max(), theirs[:, :, :3].max(), 1))  # in the dark, too
    return f"mean {apart.mean():.1f}, at most {apart.max():.0f}" if apart.mean() > 2 or apart.max() > FAR else None


def main() -> int:
    """Run; the exit code is 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--mutants", type=int, default=1, help="of each of three kinds")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    tally: Counter[str] = Counter()
    Image.init()
    files = sorted(path for folder in arguments.folders for path in folder.rglob("*") if path.is_file())
    with tempfile.TemporaryDirectory() as place:
        for path in files:
            data = path.read_bytes()
            for kind, content in {"whole": data, **(mutants(data, arguments.mutants, rng) if data else {})}.items():
                look_at(path, kind, content, Path(place), tally)
    print(", ".join(f"{name}: {count}" for name, count in sorted(tally.items())))
    return 1 if tally["wrong"] else 0


def look_at(path: Path, kind: str, content: bytes, place: Path, tally: "Counter[str]") -> None:
    """One file, in one form."""
    source, folder = place / f"in{path.suffix}", place / "out"
    source.write_bytes(content)
    folder.mkdir()
    code, said = enlarge(source, folder / "out.png")
    tally[f"exit {code}"] += 1
    wrong = faults_of(code, said, folder)
    if wrong:
        tally["wrong"] += 1
        print(f"WRONG {path} {kind}: {'; '.join(wrong)}: {said[-600:]}", flush=True)
        shutil.copy(source, f"{tempfile.gettempdir()}/wrong-{tally['wrong']}{path.suffix}")
    elif code == 0 and Path(CONVERT).exists():
        try:
            apart = difference(source)
        except subprocess.TimeoutExpired:
            apart = None
        tally["compared"] += 1
        if apart:
            tally["apart"] += 1
            print(f"apart {path} {kind}: {apart}: {said.strip()[-200:]}", flush=True)
    shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
