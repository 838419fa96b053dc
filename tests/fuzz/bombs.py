"""Small files that claim, or hold, far more than they should: ``python -m tests.fuzz.bombs`` prints what each takes.

Each is read in a process of its own.
"""

import argparse
import io
import json
import lzma
import os
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from importlib import import_module

import numpy as np

from tests.images import files

HUGE = 2**31 - 1
SIDE = 16_000  # pixels: 256 million of them are what is opened unasked


def png_of(width: int, height: int, rows: bytes, *chunks: tuple[bytes, bytes], depth: int = 8, kind: int = 0) -> bytes:
    """A PNG whose header says anything."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", rows), (b"IEND", b"")]
    return files.SIGNATURE + b"".join(files.chunk(*part) for part in parts)


def webp_of(width: int, height: int) -> bytes:
    """A lossless WebP of one colour: codes of one symbol, which take no bits, so that a header is all there is."""
    bits = width - 1 | (height - 1) << 14  # then no alpha, version 0, no transform, no cache, one group of codes
    at = 32
    bits |= 0 << at
    at += 3
    for _ in range(5):  # simple, one symbol of 8 bits: 0
        bits |= 1 << at | 0 << at + 1 | 1 << at + 2
        at += 11
    body = b"\x2f" + bits.to_bytes(-(-at // 8), "little")
    chunk = b"VP8L" + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def tiff_of(*entries: tuple[int, int, int], data: bytes = b"", big: bool = False) -> bytes:
    """A TIFF of entries (tag, type 3, 4 or 16, value); the value -1 stands for where `data` lies."""
    form, start = ("<HHQQ", 16) if big else ("<HHII", 8)
    size = struct.calcsize(form) * len(entries)
    end = start + (8 if big else 2) + size + (8 if big else 4)
    head = b"II+\0\x08\0\0\0" + struct.pack("<Q", 16) if big else b"II*\0" + struct.pack("<I", 8)
    body = struct.pack("<Q" if big else "<H", len(entries))
    body += b"".join(struct.pack(form, tag, kind, 1, end if value == -1 else value) for tag, kind, value in entries)
    return head + body + bytes(8 if big else 4) + data


def _tiff(width: int, height: int, bits: int, *more: tuple[int, int, int], data: bytes = bytes(64)) -> bytes:
    entries = {256: (4, width), 257: (4, height), 258: (3, bits), 259: (3, 1), 262: (3, 1), 273: (4, -1), 277: (3, 1),
               278: (4, height), 279: (4, len(data))}  # fmt: skip
    entries |= {tag: (kind, value) for tag, kind, value in more}
    return tiff_of(*((tag, kind, value) for tag, (kind, value) in sorted(entries.items())), data=data)


def _tiled(side: int, tile: int, compression: int, data: bytes, bits: int = 32) -> bytes:
    entries = {256: (4, side), 257: (4, side), 258: (3, bits), 339: (3, 3), 259: (3, compression), 262: (3, 1),
               277: (3, 1), 322: (4, tile), 323: (4, tile), 324: (4, -1), 325: (4, len(data))}  # fmt: skip
    return tiff_of(*((tag, kind, value) for tag, (kind, value) in sorted(entries.items())), data=data)


def _npy(shape: tuple[int, ...], kind: str = "<f4", data: bytes = b"") -> bytes:
    header = repr({"descr": kind, "fortran_order": False, "shape": shape}).encode()
    header = header.ljust(-(-(len(header) + 11) // 64) * 64 - 11) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + data


def _npz(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def _card(text: str) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(text))
    return file.getvalue()


def _config(**options: object) -> bytes:
    """A weight file of no arrays, with a right sum, that wants a network of any size."""
    from npbsrn.storage.params import digest

    card = {"format": 1, "sha256": digest({}), "config": {"scale": 4, **options}}
    return _npz({"card.npy": _card(json.dumps(card))})


def pictures() -> dict[str, Callable[[], bytes]]:
    """Pictures, made when they are needed."""

    def many() -> bytes:
        return zlib.compress(bytes(64 << 20), 9)

    return {
        "png of 2^31 x 2^31": lambda: png_of(HUGE, HUGE, zlib.compress(b"")),
        "png of 256 MP, empty": lambda: png_of(SIDE, SIDE, zlib.compress(b"")),
        "png of 256 MP, 16 bits, empty": lambda: png_of(SIDE, SIDE, zlib.compress(b""), depth=16, kind=6),
        "png of 64 MB of zeros for 1 pixel": lambda: png_of(1, 1, many()),
        "png with a profile of 64 MB": lambda: png_of(1, 1, zlib.compress(b"\0\0"), (b"iCCP", b"a\0\0" + many())),
        "png with a text of 64 MB": lambda: png_of(1, 1, zlib.compress(b"\0\0"), (b"zTXt", b"a\0\0" + many())),
        "png with EXIF in a text of 64 MB": lambda: png_of(
            1, 1, zlib.compress(b"\0\0"), (b"zTXt", b"Raw profile type exif\0\0" + many())
        ),
        "png with XMP of 64 MB, packed": lambda: png_of(
            1, 1, zlib.compress(b"\0\0"), (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + many())
        ),
        "png with 256 KB of spaces as XMP": lambda: png_of(
            1, 1, zlib.compress(b"\0\0"), (b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + b" " * (1 << 18))
        ),
        "png of 200,000 chunks": lambda: png_of(1, 1, zlib.compress(b"\0\0"), *[(b"tEXt", b"a\0")] * 200_000),
        "webp of 256 MP": lambda: webp_of(16383, 16000),
        "webp of 16 MP": lambda: webp_of(4096, 4096),
        "gif of 65535 x 65535": lambda: (
            b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b",\0\0\0\0\1\0\1\0\0"
        ),
        "gif frame of 65535 x 65535": lambda: (
            b"GIF89a\1\0\1\0\x80\0\0" + bytes(6) + b"," + struct.pack("<4HB", 0, 0, 65535, 65535, 0) + b"\2\2D\1\0;"
        ),
        "bmp of 2^31": lambda: b"BM" + bytes(8) + struct.pack("<IIiiHHIIiiII", 54, 40, HUGE, HUGE, 1, 24, *[0] * 6),
        "ppm of 10^9 x 10^9": lambda: b"P6 1000000000 1000000000 255\n",
        "ppm of 256 MP": lambda: b"P6 16000 16000 255\n" + bytes(100),
        "qoi of 2^31": lambda: b"qoif" + struct.pack(">IIBB", HUGE, HUGE, 4, 0) + bytes(9),
        "qoi of 256 MP": lambda: b"qoif" + struct.pack(">IIBB", SIDE, SIDE, 4, 0) + b"\xfd" * 1000,
        "tga of 65535 x 4000, packed": lambda: (
            struct.pack("<BBB5xHHHHBB", 0, 0, 10, 0, 0, 65535, 4000, 24, 0) + b"\xff\1\2\3" * 50
        ),
        "psd of 30000 x 8000": lambda: struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, 8000, 30000, 8, 3) + bytes(14),
        "sgi of 65535 x 4000": lambda: struct.pack(">HBBHHHH", 474, 1, 1, 3, 65535, 4000, 3) + bytes(600),
        "pcx of 65535 x 4000": lambda: struct.pack("<BBBB4H", 10, 5, 1, 8, 0, 0, 65534, 3999) + bytes(200),
        "ico of a png of 256 MP": lambda: (
            (inner := png_of(SIDE, SIDE, zlib.compress(b"")))
            and struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 8, len(inner), 22) + inner
        ),
        "tiff of 2^31 x 2^31": lambda: _tiff(HUGE, HUGE, 16),
        "tiff of 256 MP, 16 bits, empty": lambda: _tiff(SIDE, SIDE, 16),
        "tiff of 256 MP, floats, packed": lambda: _tiff(
            SIDE, SIDE, 32, (339, 3, 3), (259, 3, 8), data=zlib.compress(bytes(1 << 20))
        ),
        "tiff of 100 MP of 16 doubles": lambda: _tiff(10_000, 10_000, 64, (339, 3, 3), (277, 3, 16), (262, 3, 2)),
        "tiff of 1 pixel in a tile of 2^30": lambda: _tiled(1, 1 << 30, 8, zlib.compress(bytes(1 << 20))),
        "tiff of 1 pixel in a tile of 40000": lambda: _tiled(1, 40_000, 8, zlib.compress(bytes(1 << 20))),
        "tiff of 1 pixel in a tile of 40000, lzma": lambda: _tiled(1, 40_000, 34925, lzma.compress(bytes(1 << 20))),
        "tiff of 16 MP in tiles of 1 pixel": lambda: _tiled(4000, 1, 8, zlib.compress(bytes(2))),
        "tiff of 16 MP in rows of strips": lambda: _tiff(1, 16_000_000, 32, (339, 3, 3), (278, 4, 1), (259, 3, 8)),
        "tiff of 1 pixel, 2^31 deep": lambda: _tiff(1, 1, 32, (339, 3, 3), (32997, 4, HUGE)),
        "tiff with webp of 256 MP in it": lambda: _tiff(
            1, 1, 32, (339, 3, 3), (259, 3, 50001), data=webp_of(16383, 16000)
        ),
        "tiff with webp of 256 MP in it, 8 bits": lambda: _tiff(1, 1, 8, (259, 3, 50001), data=webp_of(16383, 16000)),
        "tiff of 65535 samples": lambda: _tiff(100, 100, 32, (339, 3, 3), (277, 3, 65535)),
        "tiff that is its own next page": lambda: _looped(),
        "bigtiff of 2^62": lambda: tiff_of(
            (256, 16, 1 << 62), (257, 16, 1 << 62), (258, 3, 16), (262, 3, 1), (273, 16, -1), (279, 16, 8), big=True
        ),
        "jpeg of 65500 x 4000": lambda: _jpeg(False),
        "jpeg of 65500 x 4000, progressive": lambda: _jpeg(True),
    }


def _looped() -> bytes:
    data = bytearray(_tiff(1, 1, 16))
    struct.pack_into("<I", data, 8 + 2 + 12 * 9, 8)
    return bytes(data)


def _jpeg(progressive: bool) -> bytes:
    """A JPEG whose header says more than its data holds."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", progressive=progressive)
    data = bytearray(file.getvalue())
    at = data.find(b"\xff\xc2" if progressive else b"\xff\xc0")
    struct.pack_into(">HH", data, at + 5, 4000, 65500)
    return bytes(data)


def weights() -> dict[str, Callable[[], bytes]]:
    """Weight files."""
    return {
        "npz of 1 GB of zeros": lambda: _npz({"a.npy": _npy((1 << 28,), data=bytes(1 << 30))}),
        "npz of 1 GB of zeros, bzip2": lambda: _npz(
            {"a.npy": _npy((1 << 28,), data=bytes(1 << 30))}, zipfile.ZIP_BZIP2
        ),
        "npz of 256 MB of zeros, lzma": lambda: _npz(
            {"a.npy": _npy((1 << 26,), data=bytes(1 << 28))}, zipfile.ZIP_LZMA
        ),
        "npz of 2^40 numbers, by its header": lambda: _npz({"a.npy": _npy((1 << 40,))}),
        "npz of 2^63 x 2 numbers, by its header": lambda: _npz({"a.npy": _npy((1 << 63, 2))}),
        "npz of 2^28 numbers, by its header": lambda: _npz({"a.npy": _npy((1 << 28,))}),
        "npz of 2^30 empty rows": lambda: _npz({"a.npy": _npy((1 << 30, 0))}),
        "npz of 20,000 members": lambda: _npz({f"{n}.npy": b"" for n in range(20_000)}),
        "npz with a card of 2^28 letters": lambda: _npz({"card.npy": _npy((), "<U268435456")}),
        "npz with a card nested 10^5 deep": lambda: _npz({"card.npy": _card("[" * 100_000)}),
        "npz with a card of a number of 10^5 digits": lambda: _npz({"card.npy": _card("1" * 100_000)}),
        "npy of 2^40 numbers": lambda: _npy((1 << 40,)),
        "npy of 2^28 numbers": lambda: _npy((1 << 28,)),
        "npy of objects": lambda: _npy((1,), "|O", b"\x80\x04cos\nsystem\n."),
        "pickle": lambda: b"\x80\x04cos\nsystem\n(S'true'\ntR.",
        "weights of a network 10^6 wide": lambda: _config(width=10**6),
        "weights of a network of 10^12 blocks": lambda: _config(blocks=10**12),
        "weights of a network of 10^5 blocks, 64 wide": lambda: _config(name="bbcu", blocks=10**5),
    }


def tensors() -> dict[str, Callable[[], bytes]]:
    """Weight files as safetensors."""

    def file(header: bytes, data: bytes = b"", length: int | None = None) -> bytes:
        return (len(header) if length is None else length).to_bytes(8, "little") + header + data

    def of(shape: str, end: int, kind: str = "F32", card: str = "{}") -> Callable[[], bytes]:
        tensor = f'"a":{{"dtype":"{kind}","shape":{shape},"data_offsets":[0,{end}]}}'
        return lambda: file(f'{{"__metadata__":{{"card":"{card}"}},{tensor}}}'.encode(), bytes(4))

    def many() -> bytes:
        empty = b'{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
        return file(b"{" + b",".join(b'"%x":%s' % (n, empty) for n in range(1_700_000)) + b"}")

    return {
        "safetensors of 2^34 numbers, by its header": of(f"[{1 << 34}]", 1 << 36),
        "safetensors of 2^62 x 2^62 numbers": of(f"[{1 << 62},{1 << 62}]", 4),
        "safetensors of 2^62 empty rows": of(f"[{1 << 62},0]", 0),
        "safetensors of 5000 axes": of(f"[{','.join('1' * 5000)}]", 4),
        "safetensors of bfloat16": of("[2]", 4, "BF16"),
        "safetensors with a card nested 10^5 deep": of("[1]", 4, card="[" * 100_000),
        "safetensors with a card of a number of 10^5 digits": of("[1]", 4, card="1" * 100_000),
        "safetensors nested 10^5 deep": lambda: file(b'{"a":' + b"[" * 100_000),
        "safetensors with a header of 2^63 bytes": lambda: file(b"{}", length=1 << 63),
        "safetensors of 1.7 million empty tensors, 100 MB": many,
        "safetensors with a card of 90 MB": lambda: file(b'{"__metadata__":{"card":"%s"}}' % (b" " * 90_000_000)),
    }


GROUPS = {"pictures": pictures, "weights": weights, "tensors": tensors}


def look(group: str, name: str) -> int:
    """Read one, and print what it took; 1 if anything is wrong."""
    from tests.fuzz import watch

    data, target = GROUPS[group]()[name](), import_module(f"tests.fuzz.{group}")
    looking = watch.Watch(target.run)
    looking.warm_up(list(target.seeds().values())[:9])
    watch.limit_addresses()
    seen = looking.look(data)
    faults = "; ".join(f"{name}: {story.strip().splitlines()[-1][:100]}" for name, story in seen.faults.items())
    print(f"{name:46} {len(data):9,} B  {seen.memory / 1e6:6.0f} MB {seen.seconds:6.2f} s  {seen.outcome} {faults}")
    return 1 if seen.faults else 0


def main() -> int:
    """Look at all of them; the exit code is 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", default="", help="part of the names")
    arguments = parser.parse_args()
    wrong = 0
    for group, kinds in GROUPS.items():
        for name in (name for name in kinds() if arguments.only in name):
            sys.stdout.flush()
            child = os.fork()
            if child == 0:
                wrong_here = look(group, name)
                sys.stdout.flush()
                os._exit(wrong_here)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if code:
                wrong += 1
                print(f"{name}: exit code {code}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
