"""How far a GIF's frames reach.

Frames lie within the screen that the header names; Pillow lets a later one enlarge it, and takes memory for that before
anybody sees how much.

References
----------
CompuServe, "Graphics Interchange Format, Version 89a", 1990.
"""

import struct
from typing import BinaryIO

SIGNATURES = (b"GIF87a", b"GIF89a")
EXTENSION, FRAME, END = b"!", b",", (b";", b"")


def reach_of(file: BinaryIO) -> tuple[int, int]:
    """Width and height of the screen and of all frames together; none is decoded."""
    file.seek(0)
    width, height, flags = struct.unpack("<HHB", file.read(11)[6:].ljust(5, b"\0"))
    file.read(2)
    _skip_palette(file, flags)
    while (sign := file.read(1)) not in END:
        if sign == EXTENSION:
            file.read(1)
            _skip_blocks(file)
        elif sign == FRAME:
            left, top, across, down, flags = struct.unpack("<4HB", file.read(9).ljust(9, b"\0"))
            width, height = max(width, left + across), max(height, top + down)
            _skip_palette(file, flags)
            file.read(1)  # bits of the first codes
            _skip_blocks(file)
    file.seek(0)
    return width, height


def _skip_palette(file: BinaryIO, flags: int) -> None:
    if flags & 128:
        file.read(3 << (flags & 7) + 1)


def _skip_blocks(file: BinaryIO) -> None:
    while length := file.read(1):
        if length == b"\0":
            return
        file.read(length[0])
