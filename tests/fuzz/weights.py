"""Weight files, packed files and checkpoints, changed: ``python -m tests.fuzz.weights --runs 50000``.

What loads as a packed network enlarges a small picture, by the engine and by the plain reference. Members of an archive
are changed and packed again with a right sum, so that a change reaches what reads them.
"""

import io
import json
import random
import sys
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from npbsrn.errors import NpbsrnError
from npbsrn.images.samples import to_fractions
from npbsrn.inference.runners import PlanReference
from npbsrn.models import Model, is_packed, load, save_model
from npbsrn.networks.base import make_network
from npbsrn.packed.engine import Engine
from npbsrn.packed.format import load_packed, save_packed
from npbsrn.packed.lower import lower
from npbsrn.packed.plan import Plan
from npbsrn.storage.params import CARD, digest
from npbsrn.training.checkpoint import Origin, load_checkpoint, save_checkpoint
from npbsrn.training.config import make_config
from npbsrn.training.step import first_state

Basic = Callable[[bytes], bytes]
NETWORKS: tuple[dict[str, Any], ...] = (
    {"name": "bsrn", "blocks": 1, "width": 2},
    {"name": "bbcu", "blocks": 1, "width": 2, "tail": "direct", "flat": True},
    {"name": "srresnet", "blocks": 1, "width": 1, "binarizer": "abc"},
    {"name": "vdsr", "blocks": 1, "width": 1, "binarizer": "none"},
    {"name": "bbcu", "blocks": 2, "width": 1, "binarizer": "dorefa", "last": 9},
)
PICTURE = np.random.default_rng(3).integers(0, 256, (6, 5, 3), np.uint8)
HALF = 1e-3  # of a level: how near to the middle between two a sum of floats is that another order takes across
TAME = 1e3  # weights whose products do not overflow
VALUES = (None, True, 0, -1, 1, 2, 3, 1.5, 1e308, float("nan"), float("inf"), 2**31, 2**63, 10**400, "", "a",
          "\x1b[31m", [], [[]], [1], [0, -1], {}, {"name": "bnn"}, {"a": 1})  # fmt: skip


@cache
def seeds() -> dict[str, bytes]:
    """Files of each kind, of networks as small as can be."""
    import tempfile

    made = written("a.npz")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.npz"
        np.savez(path, a=np.zeros(3))
        made["foreign"] = path.read_bytes()
        np.save(path.with_suffix(".npy"), np.zeros(3))
        made["npy"] = path.with_suffix(".npy").read_bytes()
    return made


def written(name: str) -> dict[str, bytes]:
    """What npbsrn writes to a file of such a name: weights, packed files, a checkpoint."""
    import tempfile

    made = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        for n, options in enumerate(NETWORKS):
            network = make_network({"scale": 2 + n % 3, **options})
            model = Model(network, network.init(n), {"name": "a"})
            save_model(path, model)
            made[f"float-{n}"] = path.read_bytes()
            save_packed(path, lower(model))
            made[f"packed-{n}"] = path.read_bytes()
        config = make_config(2, "default", {"blocks": 1, "width": 1, "steps": 5})
        save_checkpoint(path, first_state(make_network(config.network), 0), config, Origin("/a", ("/b",)), True)
        made["checkpoint"] = path.read_bytes()
    return made


def run(data: bytes, folder: Path, name: str = "a.npz") -> str:
    """Read a file of such a name as all that it may be."""
    path = folder / name
    path.write_bytes(data)
    try:
        kind = "packed" if is_packed(path) else "float"
        if kind == "packed":
            _enlarge(load_packed(path))
        else:
            load(path)
    except NpbsrnError:
        kind = "refused"
    try:
        load_checkpoint(path)
    except NpbsrnError:
        return kind
    return "checkpoint"


def _enlarge(plan: Plan) -> None:
    """By the engine, whose kernels read memory without looking at its bounds, and by the plain reference.

    Trunk and tail add up in another order there: what lies between two levels may become the other one.
    """
    with np.errstate(all="ignore"):
        expected = PlanReference(plan).run(PICTURE)
        found = Engine(plan).run(PICTURE, threads=1)
        exact = 255 * PlanReference(plan).run(to_fractions(PICTURE))
    if np.max(np.abs(np.concatenate([part.ravel() for end in (plan.head, *plan.tail) for part in end]))) < TAME:
        between = abs(exact - np.minimum(found, expected) - 0.5) < HALF
        either = between & (abs(found.astype(int) - expected) == 1)
        np.testing.assert_array_equal(np.where(either, expected, found), expected)


def mutate(data: bytes, rng: random.Random, basic: Basic) -> bytes:
    """Change the archive, or a member of it, or the card in it; mostly with a right sum."""
    if rng.random() < 0.15:
        return basic(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(info.file_size for info in archive.infolist()) > 1 << 20:
                return basic(data)
            members = {info.filename: archive.read(info) for info in archive.infolist()}
    except Exception:  # of a damaged archive
        return basic(data)
    if not members:
        return basic(data)
    name = f"{CARD}.npy" if rng.random() < 0.6 else rng.choice(sorted(members))
    if name == f"{CARD}.npy":
        card = _card_of(members)
        members.pop(name, None)
        change(card, rng, basic)
        return _packed(members, card, rng)
    match rng.randrange(4):
        case 0:
            del members[name]
        case 1:
            members[name[:-4] + rng.choice([".a.npy", "x.npy", ".txt", "\n.npy"])] = members[name]
        case _:
            members[name] = basic(members[name])
    card = _card_of(members)
    members.pop(f"{CARD}.npy", None)
    return _packed(members, card, rng)


def _card_of(members: dict[str, bytes]) -> Any:
    try:
        return json.loads(str(np.load(io.BytesIO(members[f"{CARD}.npy"]), allow_pickle=False)))
    except Exception:  # of a damaged member
        return {"format": 1}


def _packed(members: dict[str, bytes], card: Any, rng: random.Random) -> bytes:
    """An archive whose sum is that of its arrays, where they can be read."""
    arrays = {}
    for name, member in members.items():
        try:
            arrays[name.removesuffix(".npy")] = np.load(io.BytesIO(member), allow_pickle=False)
        except Exception:  # of a damaged member
            break
    if isinstance(card, dict) and rng.random() < 0.98:
        card["sha256"] = digest(arrays)
    try:
        text = json.dumps(card)
    except ValueError:  # a number of too many digits
        text = "{}"
    file = io.BytesIO()
    np.save(file, np.array(text if rng.random() < 0.97 else text[:-1]))
    packed = io.BytesIO()
    method = rng.choice([zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, member in [*members.items(), (f"{CARD}.npy", file.getvalue())]:
            archive.writestr(name, member)
    return packed.getvalue()


def change(card: Any, rng: random.Random, basic: Basic) -> None:
    """Change something somewhere in a card."""
    place = card
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place))) if isinstance(place, list) else []
        if not keys:
            return
        key = rng.choice(keys)
        if isinstance(place[key], dict | list) and place[key] and rng.random() < 0.8:
            place = place[key]
            continue
        break
    match rng.randrange(8):
        case 0:
            del place[key]
        case 1 if isinstance(place, list):
            place.append(place[key])
        case 1:
            place[rng.choice(["a", "name", "scale", "binarizer", "flat", "packed"])] = place[key]
        case 2 if isinstance(place[key], str):
            place[key] = basic(place[key].encode()).decode("utf-8", "replace")
        case 3 if isinstance(place[key], int):
            place[key] += rng.choice([-1, 1, 1 << 20])
        case 4:
            place[key] = [place[key]] * rng.choice([0, 1, 2, 1000])
        case _:
            place[key] = rng.choice(VALUES)


if __name__ == "__main__":
    from tests.fuzz.guided import main

    sys.exit(main("tests.fuzz.weights"))
