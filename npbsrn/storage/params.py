"""Nested dictionaries of arrays: map over them, name their leaves, store them in files.

A network's parameters are a nested dict whose leaves are arrays; a leaf's dotted name is its path, as in
``body.3.1.conv2.weight``. Gradients have the same structure.
"""

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from npbsrn.errors import UsageError, WeightsError
from npbsrn.storage.files import whole_weights
from npbsrn.storage.tensors import SUFFIX, read_card, read_tensors, write_tensors

Array = np.ndarray[Any, Any]
Params = dict[str, Any]  # nested: str -> Array or Params

FORMAT = 1  # of the file; raised when an older package could not read a newer file
CARD = "card"

# A file of a few bytes may unpack to gigabytes. Trained weights hardly shrink by packing, and a card is short.
UNPACKED, RATIO = 64 << 20, 100  # bytes that any file may unpack to, and those for each byte of a larger file
LONGEST_CARD = 16 << 20  # bytes, 4 for each letter
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others pack zeros more densely still


def leaves(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Array]]:
    """Walk over ``(dotted name, array)`` in the order of insertion."""
    for key, value in params.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def nest(flat: Mapping[str, Array]) -> Params:
    """Build the nested dict again from dotted names."""
    params: Params = {}
    for name, array in flat.items():
        *path, last = name.split(".")
        inner = params
        for key in path:
            inner = inner.setdefault(key, {})
        inner[last] = array
    return params


def map_leaves(function: Callable[..., Array], params: Params, *others: Params) -> Params:
    """Apply ``function(leaf, *leaves of others)`` at every leaf of `params`."""
    return {
        key: map_leaves(function, value, *(other[key] for other in others))
        if isinstance(value, dict)
        else function(value, *(other[key] for other in others))
        for key, value in params.items()
    }


def digest(arrays: Mapping[str, Array]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes of `arrays`, in the order of their names."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"{name} {array.dtype.str} {array.shape};".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def save_arrays(path: Path | str, arrays: Mapping[str, Array], card: Mapping[str, Any], compress: bool) -> None:
    """Write arrays and a card to one file, completely or not at all; equal content gives equal bytes.

    Parameters
    ----------
    path : path
        The file to write, an ``.npz``, or one that ends in ``.safetensors``; an existing one is replaced.
    arrays : dict of arrays by dotted name
    card : dict that JSON can hold
        What the arrays are; the format's version and the arrays' digest are added.
    compress : bool
        Deflate the arrays: smaller and slower, for files that are kept.

    Raises
    ------
    WeightsError
        If the file cannot be written; an older file of that name is still there.
    """
    whole_card = {**card, "format": FORMAT, "sha256": digest(arrays)}
    if Path(path).suffix == SUFFIX:
        return write_tensors(Path(path), arrays, whole_card)
    text = np.array(json.dumps(whole_card, sort_keys=True))
    write: Callable[..., None] = np.savez_compressed if compress else np.savez
    with whole_weights(path) as file:
        write(file, **{CARD: text}, **arrays)


def load_arrays(path: str | PathLike[str]) -> tuple[dict[str, Array], dict[str, Any]]:
    """Read what `save_arrays` wrote, and verify it.

    Returns
    -------
    arrays : dict of arrays by dotted name
    card : dict

    Raises
    ------
    WeightsError
        If the file is missing, truncated, changed, foreign, or of a newer format.
    """
    if not Path(path).is_file():
        raise WeightsError(f"there is no weight file {path}; name one, a run's folder, or bicubic")
    try:
        arrays, text = read_tensors(Path(path)) if Path(path).suffix == SUFFIX else _read_archive(path)
    except PermissionError:
        raise WeightsError(f"{path} may not be read; check its permissions") from None
    except UsageError:
        raise
    except Exception:  # a damaged archive provokes errors of zipfile, zlib, NumPy's header parser, ...
        raise WeightsError(f"{path} is truncated or no npbsrn file; get a good copy of it") from None
    card = _read_card(path, text)
    if card.get("sha256") != digest(arrays):
        raise WeightsError(f"{path} is damaged: its arrays do not match its checksum; get a good copy of it")
    return arrays, card


def peek_card(path: str | PathLike[str]) -> dict[str, Any]:
    """A file's card, not verified; empty if the file is not what `save_arrays` writes."""
    try:
        if Path(path).suffix == SUFFIX:
            card = json.loads(read_card(Path(path)))
        else:
            with _archive(path) as archive:
                card = json.loads(str(archive[CARD]))
    except Exception:  # of whatever kind, as in `load_arrays`, which will say what is wrong
        return {}
    return card if isinstance(card, dict) else {}


@contextmanager
def _archive(path: str | PathLike[str]) -> Iterator[Any]:
    """A file's arrays by name, unpacked when they are asked for, and never unpickled.

    Raises
    ------
    Exception
        Of whatever kind, if the file is damaged or would unpack to more than an honest one.
    """
    if not Path(path).is_file():  # a pipe would be waited for
        raise ValueError("no file")
    size = Path(path).stat().st_size
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
        members = archive.zip.infolist()
        if any(member.compress_type not in METHODS for member in members):
            raise ValueError("a method that is not ours")
        if sum(member.file_size for member in members) > UNPACKED + RATIO * size:
            raise ValueError("too much to unpack")
        if any(member.filename == f"{CARD}.npy" and member.file_size > LONGEST_CARD for member in members):
            raise ValueError("too long a card")
        yield archive


def _read_archive(path: str | PathLike[str]) -> tuple[dict[str, Array], Array | None]:
    with _archive(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    return arrays, arrays.pop(CARD, None)


def _read_card(path: object, text: Array | None) -> dict[str, Any]:
    try:
        card = json.loads(str(text)) if text is not None else None
    except (ValueError, RecursionError):  # no JSON, a number of too many digits, no letters; nested too deeply
        card = None
    if not isinstance(card, dict) or not isinstance(card.get("format"), int):
        raise WeightsError(f"{path} was not written by npbsrn: it has no card")
    if card["format"] > FORMAT:
        raise WeightsError(f"{path} has format {card['format']}, this npbsrn reads up to {FORMAT}; upgrade npbsrn")
    return card
