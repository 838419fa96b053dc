"""Weights, packed files and checkpoints as safetensors, changed: ``python -m tests.fuzz.tensors --runs 20000``.

Such a file is the length of a header, the header in JSON, with type, shape and place of each tensor and the card, and
the tensors' bytes.
"""

import json
import random
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from npbsrn.storage.params import CARD, digest
from tests.fuzz import weights

Basic = Callable[[bytes], bytes]
TYPES = (
    "F32",
    "F64",
    "F16",
    "BF16",
    "F8_E4M3",
    "F8_E5M2",
    "F4",
    "C64",
    "I64",
    "U64",
    "I8",
    "U8",
    "BOOL",
    "X",
    "",
    None,
)
SIZES = (0, 1, 2, 3, 7, -1, 1.5, 1 << 16, 1 << 31, 1 << 32, 1 << 62, 1 << 63, 1 << 64, 10**30, "1", None, [1])
METADATA = "__metadata__"


@cache
def seeds() -> dict[str, bytes]:
    """What npbsrn writes, and files of other tools."""
    tensor = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    return weights.written("a.safetensors") | {
        "foreign": joined({"a": tensor}, bytes(4)),
        "empty": joined({}, b""),
        "no card": joined({METADATA: {"format": "pt"}, "a": tensor}, bytes(4)),
    }


def run(data: bytes, folder: Path) -> str:
    """Read a file as all that it may be."""
    return weights.run(data, folder, "a.safetensors")


def joined(header: Any, body: bytes, length: int | None = None) -> bytes:
    """A file of a header, as JSON or as bytes, whose length may be a wrong one."""
    text = header if isinstance(header, bytes) else _json(header)
    return (len(text) if length is None else length).to_bytes(8, "little") + text + body


def mutate(data: bytes, rng: random.Random, basic: Basic) -> bytes:
    """Change length, header, card or bytes; mostly with a right sum, so that a change reaches what reads it."""
    length = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + length])
        names = [name for name in header if name != METADATA and isinstance(header[name], dict)]
    except Exception:  # of a damaged header
        return basic(data)
    body = data[8 + length :]
    match rng.randrange(10):
        case 0:
            return basic(data)
        case 1:
            wrong = rng.choice([0, 1, length - 1, length + 1, 10**8, 1 << 31, -1]) % (1 << 64)
            return joined(_json(header), body, wrong)
        case 2:
            return joined(basic(_json(header)), body)
        case 3:
            return joined(header, basic(body) if rng.random() < 0.5 else body[: rng.randrange(len(body) + 1)])
        case 4 | 5 | 6:
            _change_card(header, rng, basic)
        case _ if names:
            _change_tensor(header, names, rng, basic)
    if rng.random() < 0.9:
        _sum_again(header, body)
    return joined(header, body)


def _change_card(header: dict[str, Any], rng: random.Random, basic: Basic) -> None:
    """Something in the card, the card, or what is around it."""
    held = header.get(METADATA)
    match rng.randrange(8):
        case 0:
            header[METADATA] = rng.choice([None, {}, [], "a", {CARD: None}, {CARD: {}}, {CARD: 1}])
        case 1 if isinstance(held, dict):
            held[CARD] = rng.choice(
                ["", "[]", "null", "{}", '{"format": 1}', "[" * 30_000, "1" * 30_000, "\0", "\ud800"]
            )
        case 2 if isinstance(held, dict):
            held[rng.choice(["a", "format", CARD])] = "pt" * rng.choice([0, 1, 10_000])
        case _:
            card = _card_of(header)
            weights.change(card, rng, basic)
            header[METADATA] = {CARD: _json(card).decode("utf-8", "replace")}


def _change_tensor(header: dict[str, Any], names: list[str], rng: random.Random, basic: Basic) -> None:
    """Type, shape or place of one, or its name."""
    name = rng.choice(names)
    own = header[name]
    shape, place = own.get("shape"), own.get("data_offsets")
    match rng.randrange(9):
        case 0:
            own["dtype"] = rng.choice(TYPES)
        case 1 if isinstance(shape, list) and shape:
            shape[rng.randrange(len(shape))] = rng.choice(SIZES)
        case 2:
            own["shape"] = rng.choice([[], [0], [0, 1 << 62], [1 << 32] * 2, [1] * 70, [1] * 5000, None, "a"])
        case 3 if isinstance(place, list) and place:
            place[rng.randrange(len(place))] = rng.choice(SIZES)
        case 4 if isinstance(place, list) and place and all(isinstance(at, int) for at in place):
            own["data_offsets"] = [at + rng.choice([-4, -1, 1, 4, 1 << 20]) for at in place]
        case 5:  # two at one place
            own["data_offsets"] = header[rng.choice(names)].get("data_offsets")
        case 6:
            header[basic(name.encode()).decode("utf-8", "replace")] = header.pop(name)
        case 7:
            header[rng.choice(["a", "", "a.b.c", CARD, METADATA, "\x1b[2J", "a" * 5000])] = own
        case _ if own:
            del own[rng.choice(sorted(own))]


def _card_of(header: dict[str, Any]) -> Any:
    try:
        return json.loads(header[METADATA][CARD])
    except Exception:  # of a damaged card
        return {"format": 1}


def _sum_again(header: dict[str, Any], body: bytes) -> None:
    """The sum of the tensors as they are now, if they can be read, in the card."""
    from safetensors.numpy import load

    card = _card_of(header)
    if not isinstance(card, dict) or not isinstance(header.get(METADATA), dict):
        return
    try:
        card["sha256"] = digest({name: np.asarray(value) for name, value in load(joined(header, body)).items()})
    except Exception:  # whatever safetensors refuses
        return
    header[METADATA] = {CARD: _json(card).decode("utf-8", "replace")}


def _json(value: Any) -> bytes:
    try:
        return json.dumps(value).encode("utf-8", "replace")
    except (ValueError, RecursionError):  # a number of too many digits
        return b"{}"


if __name__ == "__main__":
    from tests.fuzz.guided import main

    sys.exit(main("tests.fuzz.tensors"))
