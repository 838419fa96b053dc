"""Directories of tags, written byte by byte: blocks of EXIF, and directories of a TIFF."""

import struct
from collections.abc import Mapping
from typing import BinaryIO

from npbsrn.images.directory import DETAILS, FAR, LONG, LONG8, NOTE, Directory, Entry, Exif


def block_of(exif: Exif) -> bytes:
    """A block of EXIF, without the name that JPEG puts before it. A maker's notes stay where they were, if they can."""
    note = exif.entries.get(DETAILS, {}).get(NOTE)
    block = bytearray(struct.pack(exif.order + "2sHI", b"II" if exif.order == "<" else b"MM", 42, 0))
    placed: dict[int, int] = {}
    if isinstance(note, Entry) and exif.note_at is not None and 8 <= exif.note_at <= FAR and len(note.data) > 4:
        block += bytes(exif.note_at - len(block)) + note.data
        placed[id(note)] = exif.note_at
    at = _append(block, 0, exif.order, exif.entries, placed)
    struct.pack_into(exif.order + "I", block, 4, at)
    return bytes(block)


def append_directory(block: bytearray, base: int, order: str, entries: Directory, big: bool = False) -> int:
    """Add a directory, and those within it, behind a block.

    Parameters
    ----------
    block : bytearray
        Is added to.
    base : int
        Where the block starts in its file.
    order : {"<", ">"}
        In which the entries are.
    entries : dict
    big : bool
        Whether offsets are of 64 bits, as in a BigTIFF.

    Returns
    -------
    at : int
        Where the directory starts in its file.
    """
    return _append(block, base, order, entries, {}, big)


def _append(
    block: bytearray, base: int, order: str, entries: Directory, placed: Mapping[int, int], big: bool = False
) -> int:
    """`append_directory`, where the values of entries in `placed` are somewhere already."""
    offset, number = (LONG8, "Q") if big else (LONG, "I")
    room = struct.calcsize("=" + number)

    def add(data: bytes) -> int:
        block.extend(bytes((base + len(block)) % 2))
        at = base + len(block)
        block.extend(data)
        return at

    rows = []
    for tag, entry in sorted(entries.items()):
        if isinstance(entry, dict):
            at = _append(block, base, order, entry, placed, big)
            kind, count, inline = offset, 1, struct.pack(order + number, at)
        else:
            kind, count, inline = entry.kind, entry.count, entry.data.ljust(room, b"\0")
            if len(entry.data) > room:
                inline = struct.pack(order + number, placed[id(entry)] if id(entry) in placed else add(entry.data))
        rows.append(struct.pack(order + "HH" + number, tag, kind, count) + inline)
    head = struct.pack(order + ("Q" if big else "H"), len(rows))
    return add(head + b"".join(rows) + bytes(room))


def add_entries(file: BinaryIO, exif: Exif) -> None:
    """Give the first page of a TIFF that was just written more tags; what it has goes before them.

    Parameters
    ----------
    file : file, open for reading and writing
        Of the classic kind: at most 4 GB.
    exif : Exif
        In any byte order.
    """

    def read(at: int, length: int) -> bytes:
        file.seek(at)
        return file.read(length)

    if not exif.entries:
        return
    file.flush()  # encoders write to the file beneath
    order = {b"II": "<", b"MM": ">"}[read(0, 2)]
    (start,) = struct.unpack(order + "I", read(4, 4))
    (count,) = struct.unpack(order + "H", read(start, 2))
    table = read(start + 2, 12 * count + 4)
    there = {struct.unpack_from(order + "H", table, 12 * n)[0]: table[12 * n : 12 * n + 12] for n in range(count)}
    added = {tag: entry for tag, entry in exif.in_order(order).entries.items() if tag not in there}
    base = file.seek(0, 2)
    block = bytearray()
    # The new directory is made with the added entries, and then with the rows of the old one merged into it.
    at = _append(block, base, order, added, {}) - base
    rows = {struct.unpack_from(order + "H", block, n)[0]: bytes(block[n : n + 12]) for n in _rows(at, len(added))}
    merged = sorted((there | rows).items())
    del block[at:]
    block += struct.pack(order + "H", len(merged)) + b"".join(row for _, row in merged) + table[-4:]
    file.write(block)
    file.seek(4)
    file.write(struct.pack(order + "I", base + at))
    file.seek(0, 2)


def _rows(at: int, count: int) -> range:
    return range(at + 2, at + 2 + 12 * count, 12)
