"""The pages of a TIFF, each read and written without a walk through all those before it."""

import struct
from typing import Any, BinaryIO

from PIL.TiffImagePlugin import AppendingTiffWriter


class Page:
    """A TIFF file whose first directory is that of one of its pages: so no reader walks through those before it.

    Parameters
    ----------
    file : binary file, open for reading
    at : int
        Of `pages_of`.
    """

    def __init__(self, file: BinaryIO, at: int) -> None:
        self.file = file
        file.seek(0)
        start = file.read(16)
        order, big = {b"II": "<", b"MM": ">"}[start[:2]], 43 in start[2:4]
        self.start = start[:8] + struct.pack(order + "Q", at) if big else start[:4] + struct.pack(order + "I", at)
        file.seek(0)

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        at = self.file.tell()
        data = self.file.read(size)
        return self.start[at : at + len(data)] + data[max(len(self.start) - at, 0) :]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)  # seek, tell, and what tells decoders where the file lies


class PageWriter(AppendingTiffWriter):
    """Pillow's writer of pages, which looks for the last directory from the first one on after each page.

    This one goes on from where it found the last but one.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.found: int | None = None
        super().__init__(file, new=True)

    def skipIFDs(self) -> None:
        """Find where the offset of the next page's directory is to be written."""
        if self.found is not None:
            self.f.seek(self.found)
        super().skipIFDs()
        self.found = self.whereToWriteNewIFDOffset

    def close(self) -> None:
        """End the last page; but not where an error has closed the file, and this writer is only forgotten."""
        if not self.f.closed:
            super().close()
