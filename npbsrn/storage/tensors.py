"""Weight files in the format safetensors, which other tools read and write.

The tensors have their dotted names; ``__metadata__`` holds one entry, the card, which is that of an ``.npz`` file. The
package `safetensors` does the rest: it refuses what is truncated or absurd, and executes nothing. But it takes headers
of up to 100 MB, which need ten times as much memory.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from npbsrn.errors import UsageError
from npbsrn.storage.files import whole_weights

Array = np.ndarray[Any, Any]

SUFFIX = ".safetensors"
CARD = "card"
CURE = "pip install 'npbsrn[safetensors]'"
LONGEST_HEADER = 16 << 20  # bytes; that of a network of 10,000 layers takes 2 MB, and a card is short


def write_tensors(path: Path, arrays: Mapping[str, Array], card: Mapping[str, Any]) -> None:
    """Write arrays and their card, completely or not at all; equal content gives equal bytes.

    Raises
    ------
    UsageError
        If the package safetensors is missing.
    WeightsError
        If the file cannot be written.
    """
    text = json.dumps(dict(card), sort_keys=True)
    data = _package().numpy.save({name: np.ascontiguousarray(x) for name, x in arrays.items()}, {CARD: text})
    with whole_weights(path) as file:
        file.write(data)


def read_tensors(path: Path) -> tuple[dict[str, Array], Array | None]:
    """Arrays, and the card's text, if there is one.

    Raises
    ------
    UsageError
        If the package safetensors is missing.
    Exception
        Of whatever kind, if the file is damaged.
    """
    with _opened(path) as file:
        text = (file.metadata() or {}).get(CARD)
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return arrays, None if text is None else np.array(text)


def read_card(path: Path) -> str:
    """The card's text alone; raises as `read_tensors`, and a KeyError where there is none."""
    with _opened(path) as file:
        return str(file.metadata()[CARD])


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A file whose header is no longer than an honest one."""
    package = _package()
    if not path.is_file():  # a pipe would be waited for
        raise ValueError("no file")
    with open(path, "rb") as file:
        if int.from_bytes(file.read(8), "little") > LONGEST_HEADER:
            raise ValueError("too long a header")
    with package.safe_open(path, "np") as file:
        yield file


def _package() -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        raise UsageError(f"files that end in {SUFFIX} need one more package: {CURE}") from None
    return safetensors
