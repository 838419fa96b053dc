"""Small pictures of every kind that is read, as bytes: where the runs on pictures begin."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image, features

from tests.images import files

RAMP = np.random.default_rng(5).integers(0, 256, (5, 7, 4), np.uint8)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6" dc:title="a"/></x:xmpmeta>'


def seeds() -> dict[str, bytes]:
    """All of them, by a name."""
    return dict(_all())


def _all() -> Iterator[tuple[str, bytes]]:
    yield from _pngs()
    yield from _by_pillow()
    yield from _tiffs()
    yield from _by_hand()


def _pngs() -> Iterator[tuple[str, bytes]]:
    channels = {0: 1, 2: 3, 4: 2, 6: 4}
    for depth, colour in ((1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (8, 2), (16, 2), (8, 4), (16, 4), (8, 6), (16, 6)):
        samples = RAMP[:, :, : channels[colour]].astype(np.uint16) * (257 if depth == 16 else 1) >> max(0, 8 - depth)
        yield f"{depth}-{colour}.png", files.png(samples, depth, colour)
    exif = Image.Exif()
    exif[274], exif[270], exif[305] = 6, "a", "b"
    chunks = {
        "gamma": [(b"gAMA", struct.pack(">I", 100000))],
        "colour": [(b"cHRM", struct.pack(">8I", *range(30000, 38000, 1000))), (b"sRGB", b"\0"), (b"cICP", b"\1\r\0\1")],
        "profile": [files.iccp(files.profile(b"RGB "))],
        "key": [(b"tRNS", bytes(6))],
        "dpi": [(b"pHYs", struct.pack(">IIB", 3000, 3000, 1))],
        "exif": [(b"eXIf", exif.tobytes()[6:])],
        "texts": [
            (b"tEXt", b"Title\0a"),
            (b"zTXt", b"Comment\0\0" + zlib.compress(b"text")),
            (b"iTXt", b"a" + bytes(5)),
        ],
        "xmp": [(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + XMP)],
        "raw": [(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n 8\n4578696600004d4d\n"))],
        "animated": [
            (b"acTL", struct.pack(">II", 1, 0)),
            (b"fcTL", struct.pack(">5I2H2B", 0, 7, 5, 0, 0, 1, 10, 0, 0)),
        ],
    }
    for name, more in chunks.items():
        yield f"{name}.png", files.png(RAMP[:, :, :3], 8, 2, *more)


def _saved(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _by_pillow() -> Iterator[tuple[str, bytes]]:
    rgba = Image.fromarray(RAMP)
    rgb, grey = rgba.convert("RGB"), rgba.convert("L")
    exif = Image.Exif()
    exif[274], exif[270], exif[282], exif[0x8769] = 6, "a", 72.0, {0x9003: "2024:01:01 00:00:00", 0xA002: 7}
    tags = {"exif": exif.tobytes(), "icc_profile": files.profile(b"RGB ")}
    for mode in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "F", "LAB"):
        image = rgb.convert("L").convert(mode) if mode in ("I", "I;16", "F", "LA") else rgba.convert("RGB")
        image = Image.merge("LAB", [grey] * 3) if mode == "LAB" else image.convert(mode)
        for form in ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM", "GIF", "TGA", "PCX", "SGI", "JPEG2000", "ICO", "DIB"):
            try:
                yield f"{mode.replace(';', '')}.{form.lower()}", _saved(image, form)
            except (OSError, KeyError, ValueError):  # a mode that the format does not hold
                continue
    yield "progressive.jpg", _saved(rgb, "JPEG", progressive=True, xmp=XMP, dpi=(72, 72), comment=b"a", **tags)
    yield "exif.jpg", _saved(rgb, "JPEG", subsampling=2, **tags)
    yield "profile-cmyk.jpg", _saved(rgb.convert("CMYK"), "JPEG", icc_profile=files.profile(b"CMYK"))
    yield "pair.mpo", _saved(rgb, "MPO", save_all=True, append_images=[rgb])
    yield "lossless.webp", _saved(rgba, "WEBP", lossless=True, xmp=XMP, **tags)
    yield "frames.webp", _saved(rgba, "WEBP", save_all=True, append_images=[rgba.rotate(180)], duration=40)
    yield "frames.gif", _saved(rgb, "GIF", save_all=True, append_images=[rgb.rotate(180)], duration=40, comment=b"a")
    yield "frames.png", _saved(rgb, "PNG", save_all=True, append_images=[rgb.rotate(180)], duration=40)
    yield "interlaced.gif", _saved(grey, "GIF", interlace=1)
    yield "rle.tga", _saved(rgba, "TGA", compression="tga_rle")
    if features.check("avif"):
        yield "a.avif", _saved(rgba, "AVIF", quality=90, xmp=XMP, **tags)
        yield "frames.avif", _saved(rgb, "AVIF", save_all=True, append_images=[rgb.rotate(180)], speed=10)
    if features.check("jpg_2000"):
        yield "raw.j2k", _saved(rgba, "JPEG2000", no_jp2=True)
        yield "lossy.jp2", _saved(rgb, "JPEG2000", quality_layers=[20], irreversible=True)
    for kind in ("raw", "tiff_lzw", "tiff_deflate", "packbits", "jpeg", "tiff_adobe_deflate", "zstd", "lzma"):
        yield f"{kind}.tif", _saved(rgb, "TIFF", compression=kind, dpi=(72, 72), icc_profile=tags["icc_profile"])
    for kind in ("group3", "group4", "tiff_ccitt"):
        yield f"{kind}.tif", _saved(rgb.convert("1"), "TIFF", compression=kind)
    yield "pages.tif", _saved(rgb, "TIFF", save_all=True, append_images=[grey])


def _tiffs() -> Iterator[tuple[str, bytes]]:
    deep = RAMP.astype(np.uint16) * 257
    yield "deep.tif", files.tiff(deep[:, :, :3], photometric="rgb", compression="zlib", predictor=True)
    yield "deep-alpha.tif", files.tiff(deep, photometric="rgb", extrasamples=["unassalpha"], compression="lzw")
    yield "associated.tif", files.tiff(deep, photometric="rgb", extrasamples=["assocalpha"])
    yield "planes.tif", files.tiff(deep[:, :, :3].transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
    floats = (RAMP[:, :, :3] / 255).astype(np.float32)
    yield "floats.tif", files.tiff(floats, photometric="rgb", compression="zstd", predictor=True)
    yield "halves.tif", files.tiff(floats.astype(np.float16), photometric="rgb")
    yield "doubles.tif", files.tiff(floats[:, :, 0].astype(np.float64), photometric="minisblack", byteorder=">")
    yield "tiles.tif", files.tiff(deep[:, :, :3], photometric="rgb", tile=(16, 16), compression="deflate")
    yield "big.tif", files.tiff(deep[:, :, 0], photometric="minisblack", bigtiff=True, compression="packbits")
    yield "white.tif", files.tiff(deep[:, :, 0], photometric="miniswhite", byteorder=">")
    yield "signed.tif", files.tiff(RAMP[:, :, 0].astype(np.int16), photometric="minisblack")
    yield "whole.tif", files.tiff(RAMP[:, :, 0].astype(np.uint32), photometric="minisblack", resolution=(72, 72))
    yield "lzma.tif", files.tiff(deep[:, :, :3], photometric="rgb", compression="lzma", rowsperstrip=2)
    yield "jpeg2000.tif", files.tiff(deep[:, :, :3], photometric="rgb", compression="jpeg2000", tile=(16, 16))


def _by_hand() -> Iterator[tuple[str, bytes]]:
    """Kinds that Pillow reads and does not write."""
    yield "plain.ppm", b"P3\n# a\n2 1\n255\n1 2 3 4 5 6\n"
    yield "plain.pgm", b"P2 2 2 65535 1 2 3 65535"
    yield "plain.pbm", b"P1 3 1 1 0 1"
    yield "deep.ppm", b"P6 2 1 65535\n" + bytes(range(12))
    yield "little.pfm", b"Pf\n2 1\n-1.0\n" + struct.pack("<2f", 0.25, 0.5)
    yield "a.qoi", b"qoif" + struct.pack(">IIBB", 3, 2, 4, 0) + b"\xfe\1\2\3\xc4" + bytes(7) + b"\1"
    yield "a.psd", struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, 2, 3, 8, 3) + bytes(12) + bytes(2) + bytes(range(18))
    rows = b"\0" * 2 + struct.pack(">6H", *[2] * 6) + b"\xfe\7" * 6
    yield "rle.psd", struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, 2, 3, 8, 3) + bytes(12) + b"\0\1" + rows[2:]
    palette = struct.pack("<4B", 0, 0, 0, 0) + struct.pack("<4B", 255, 9, 0, 0)
    packed = b"\3\1\0\0\3\0\0\1"
    header = struct.pack("<IiiHHIIiiII", 40, 3, 2, 1, 8, 1, len(packed), 0, 0, 2, 2)
    yield "rle.bmp", struct.pack("<2sIHHI", b"BM", 62 + len(packed), 0, 0, 62) + header + palette + packed
