"""Directories of tags, as EXIF and TIFF have them: read byte by byte, so that every value stays as it was.

Pillow's own classes guess types and encodings anew, and move the notes of camera makers, whose offsets then lead
astray.

References
----------
Adobe, "TIFF Revision 6.0", 1992, section 2. CIPA DC-008, "Exif 2.32", section 4.
"""

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}  # bytes, by type
UNITS = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4, 16: 8}  # bytes that swap, by type
BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 1, 2, 3, 4, 5, 7, 16  # types; the last one of BigTIFF alone
LARGEST = 1 << 24  # bytes of one value
DETAILS, PLACE, INTEROP = 0x8769, 0x8825, 0xA005  # tags of directories: EXIF's own, GPS, interoperability
NOTE = 0x927C  # tag of the maker's own notes
INSIDE = {0: (DETAILS, PLACE), DETAILS: (INTEROP,), PLACE: (), INTEROP: ()}  # directories by the one that names them
MOST_PAGES = 1 << 12
MOST, LEAST = 1 << 26, 64  # bytes that are read of a block, where directories lead to each other; and of each part
FAR = 1 << 15  # bytes: as far as a maker's notes are kept where they were

Read = Callable[[int, int], bytes]


@dataclass(frozen=True)
class Entry:
    """One value, or several.

    Parameters
    ----------
    kind : int
        Type, of `SIZES`.
    data : bytes
        In the byte order of its `Exif`.
    """

    kind: int
    data: bytes

    @property
    def count(self) -> int:
        """How many values."""
        return len(self.data) // SIZES[self.kind]


Directory = dict[int, Any]  # of entries, and of directories, by tag


@dataclass(frozen=True)
class Exif:
    """A directory, with those within it.

    Parameters
    ----------
    order : {"<", ">"}
        Byte order, as of `struct`.
    entries : dict
        Entries and directories by tag.
    note_at : int, optional
        Where the maker's notes were, as some of their offsets count from the start of the block.
    """

    order: str = "<"
    entries: Directory = field(default_factory=dict)
    note_at: int | None = None

    def numbers(self, entry: Any) -> tuple[int, ...]:
        """Whole numbers of an entry; none where it has none, or is missing."""
        code = {SHORT: "H", LONG: "I", RATIONAL: "I", LONG8: "Q"}.get(entry.kind) if isinstance(entry, Entry) else None
        if code is None:
            return ()
        return struct.unpack(f"{self.order}{len(entry.data) // struct.calcsize('=' + code)}{code}", entry.data)

    def entry(self, kind: int, *numbers: int) -> Entry:
        """An entry of whole numbers; a rational has two each."""
        code = {SHORT: "H", LONG8: "Q"}.get(kind, "I")
        return Entry(kind, struct.pack(f"{self.order}{len(numbers)}{code}", *numbers))

    def in_order(self, order: str) -> "Exif":
        """The same with another byte order."""
        return self if order == self.order else Exif(order, _swapped(self.entries), None)


def _swapped(entries: Directory) -> Directory:
    def swap(entry: Any) -> Any:
        if isinstance(entry, dict):
            return _swapped(entry)
        unit = UNITS.get(entry.kind, 1)
        data = b"".join(entry.data[at : at + unit][::-1] for at in range(0, len(entry.data), unit))
        return Entry(entry.kind, data)

    return {tag: swap(entry) for tag, entry in entries.items()}


def read_exif(data: bytes) -> Exif | None:
    """The directory of a block of EXIF; None where it is damaged."""
    data = data.removeprefix(b"Exif\0\0")
    return read_at(lambda at, length: data[at : at + length], None)


def read_at(read: Read, at: int | None, tags: Collection[int] | None = None) -> Exif | None:
    """A directory of a TIFF, or of a block of EXIF; None where it is damaged.

    Parameters
    ----------
    read : (offset, length) -> bytes
        Shorter at the end. Entries that lead beyond it are left out.
    at : int, optional
        Its offset, of `pages_of`; None stands for the first.
    tags : collection of int, optional
        Only these are read.
    """
    head = _header(read)
    if head is None:
        return None
    order, big, first = head
    notes: list[int] = []
    try:
        entries = _read_directory(_within(read), order, big, first if at is None else at, 0, notes, tags)
    except EndlessError:
        return None
    return Exif(order, entries, notes[0] if notes else None)


class EndlessError(Exception):
    """Directories lead to more than a file holds."""


def _within(read: Read) -> Read:
    """The same, until it has read more than an honest block needs: entries may all lead to the same megabytes."""
    left = MOST

    def counted(at: int, length: int) -> bytes:
        nonlocal left
        data = read(at, length)
        left -= max(len(data), LEAST)
        if left < 0:
            raise EndlessError
        return data

    return counted


def _header(read: Read) -> tuple[str, bool, int] | None:
    """Byte order, whether offsets are of 64 bits, and the first directory's offset."""
    order = {b"II": "<", b"MM": ">"}.get(read(0, 2))
    if order is None:
        return None
    version, *_ = struct.unpack(order + "H", read(2, 2).ljust(2, b"\0"))
    big = version == 43
    start = read(8, 8) if big else read(4, 4)
    if version not in (42, 43) or len(start) < (8 if big else 4):
        return None
    return order, big, struct.unpack(order + ("Q" if big else "I"), start)[0]


def pages_of(read: Read) -> list[int]:
    """Offsets of a TIFF's directories, in their order."""
    head = _header(read)
    if head is None:
        return []
    order, big, at = head
    size, width, code = (8, 20, "Q") if big else (2, 12, "I")
    found: dict[int, None] = {}  # in their order
    while at and at not in found and len(found) < MOST_PAGES:
        start = read(at, size)
        if len(start) < size:
            break
        found[at] = None
        (count,) = struct.unpack(order + ("Q" if big else "H"), start)
        following = read(at + size + min(count, 1 << 16) * width, struct.calcsize(code))
        if len(following) < struct.calcsize(code):
            break
        (at,) = struct.unpack(order + code, following)
    return list(found)


def _read_directory(
    read: Read, order: str, big: bool, at: int, name: int, notes: list[int], tags: Collection[int] | None = None
) -> Directory:
    head, width, offset = ("Q", 20, "Q") if big else ("H", 12, "I")
    size = struct.calcsize(head)
    start = read(at, size)
    if len(start) < size:
        return {}
    (count,) = struct.unpack(order + head, start)
    table = read(at + size, min(count, 4096) * width)
    found: Directory = {}
    seen: set[int] = set()
    for row in (table[n : n + width] for n in range(0, len(table) - width + 1, width)):
        tag, kind, number, *_ = struct.unpack(order + "HH" + offset, row[: -struct.calcsize(offset)])
        inline, length = row[-struct.calcsize(offset) :], SIZES.get(kind, LARGEST + 1) * number
        (place,) = struct.unpack(order + offset, inline)
        if tag in seen or (tags is not None and tag not in tags):
            continue  # the first counts: directories that name one a thousand times would be read as often
        seen.add(tag)
        if tag in INSIDE[name]:
            if inside := _read_directory(read, order, big, place, tag, notes):
                found[tag] = inside
        elif 0 < length <= LARGEST:
            data = inline[:length] if length <= len(inline) else read(place, length)
            if len(data) == length:
                found[tag] = Entry(kind, data)
                if tag == NOTE and length > len(inline):
                    notes.append(place)
    return found
