"""Picture files of kinds that Pillow does not write, made byte by byte or by a peer."""

import io
import struct
import zlib
from functools import cache

import numpy as np
from PIL import ImageCms

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # by PNG's colour type


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(samples, depth, colour_type, *chunks):
    """A PNG of samples (H, W) or (H, W, channels), with more chunks before its data."""
    height, width = samples.shape[:2]
    if depth == 16:
        rows = samples.astype(">u2").reshape(height, -1).view(np.uint8)
    else:
        bits = np.unpackbits(samples.astype(np.uint8).reshape(height, -1, 1), axis=2)[:, :, 8 - depth :]
        rows = np.packbits(bits.reshape(height, -1), axis=1)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return SIGNATURE + b"".join(
        [chunk(b"IHDR", header), *(chunk(*part) for part in chunks), chunk(b"IDAT", data), chunk(b"IEND", b"")]
    )


@cache  # a profile holds the time at which it was made
def profile(space):
    """A colour profile of sRGB, or, by its header alone, of another colour space."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return srgb[:16] + space + srgb[20:]


def iccp(content):
    return b"iCCP", b"profile\0\0" + zlib.compress(content)


def tiff(samples, **options):
    """A TIFF by tifffile."""
    import tifffile

    file = io.BytesIO()
    tifffile.imwrite(file, samples, **{"metadata": None, "software": ""} | options)
    return file.getvalue()


def ramp(shape, dtype, low=0.0, high=1.0):
    """Samples that differ from place to place and from channel to channel."""
    y, x = np.mgrid[: shape[0], : shape[1]] / max(shape[:2])
    parts = [y, x, (x + y) / 2, 0.2 + 0.8 * y]
    fractions = np.stack(parts[: shape[2]], axis=2) if len(shape) == 3 else (x + 2 * y) / 3
    fractions = low + (high - low) * fractions
    peak = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    return (fractions * peak).astype(dtype)


def given_back(samples):
    """As (H, W, C), of what was read."""
    return samples if samples.ndim == 3 else samples[:, :, None]
