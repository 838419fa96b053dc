"""Files of every kind that is read by rows."""

import io

import numpy as np
from PIL import Image

from tests.images import files

HEIGHT, WIDTH = 23, 11


def _pillow(mode, form, **options):
    samples = files.ramp((HEIGHT, WIDTH, 4), np.uint8)
    if mode == "I;16":
        image = Image.fromarray(files.ramp((HEIGHT, WIDTH), np.uint16))
    else:
        image = Image.fromarray(samples).convert("RGB" if mode in ("P", "CMYK", "LAB", "YCbCr") else mode)
        image = image.quantize(50) if mode == "P" else image.convert(mode)
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _indices(depth):
    return np.random.default_rng(depth).integers(0, 1 << depth, (HEIGHT, WIDTH))


def _png(depth, kind, *chunks):
    channels = files.CHANNELS.get(kind, 1)
    shape = (HEIGHT, WIDTH, channels) if channels > 1 else (HEIGHT, WIDTH)
    samples = files.ramp(shape, np.uint16) >> (16 - depth) if kind != 3 else _indices(depth)
    return files.png(samples, depth, kind, *chunks)


PALETTE = b"PLTE", bytes(range(48))
PNGS = {
    **{f"grey {depth}": lambda depth=depth: _png(depth, 0) for depth in (1, 2, 4, 8, 16)},
    "grey 4, one transparent": lambda: _png(4, 0, (b"tRNS", b"\0\3")),
    "rgb 8, one transparent": lambda: _png(8, 2, (b"tRNS", b"\0\0\0\0\0\0")),
    **{f"palette {depth}": lambda depth=depth: _png(depth, 3, PALETTE) for depth in (1, 2, 4)},
    "palette, transparent": lambda: _png(4, 3, PALETTE, (b"tRNS", b"\0\x80\xff")),
    **{f"kind {kind} of {depth}": lambda k=kind, d=depth: _png(d, k) for kind in (2, 4, 6) for depth in (8, 16)},
    **{f"by Pillow: {mode}": lambda mode=mode: _pillow(mode, "PNG") for mode in ("L", "RGB", "RGBA", "P", "I;16")},
}
PPMS = {
    **{f"by Pillow: {mode}": lambda mode=mode: _pillow(mode, "PPM") for mode in ("L", "RGB", "I;16")},
    "of 10 levels": lambda: b"P6 # a word\n%d\n%d 9\n" % (WIDTH, HEIGHT) + bytes(_indices(3).astype(np.uint8)) * 3,
}
TIFFS = {
    **{
        f"by Pillow: {mode}, {how}": lambda mode=mode, how=how: _pillow(mode, "TIFF", compression=how)
        for mode in ("1", "L", "LA", "RGB", "RGBA", "P", "CMYK", "LAB", "I;16")
        for how in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")
        if (mode, how) != ("LAB", "packbits")
    },
    "jpeg": lambda: _pillow("YCbCr", "TIFF", compression="jpeg"),
    **{
        f"{np.dtype(kind).name} {shape}, {words}": lambda kind=kind, shape=shape, options=options: files.tiff(
            files.ramp(shape, kind), **{"photometric": "minisblack" if len(shape) == 2 else "rgb"} | options
        )
        for kind in (np.uint8, np.uint16, np.float32)
        for shape in ((HEIGHT, WIDTH), (HEIGHT, WIDTH, 3), (HEIGHT, WIDTH, 4))
        for words, options in {
            "one strip": {"rowsperstrip": HEIGHT},
            "strips of 3": {"rowsperstrip": 3, "compression": "zlib", "predictor": kind != np.float32},
            "tiles": {"tile": (16, 16), "compression": "lzw"},
            "big-endian": {"byteorder": ">", "rowsperstrip": 4},
            "big": {"bigtiff": True, "rowsperstrip": 4},
        }.items()
    },
    "planes": lambda: files.tiff(
        np.moveaxis(files.ramp((HEIGHT, WIDTH, 3), np.uint16), 2, 0), photometric="rgb", planarconfig="separate",
        rowsperstrip=5,
    ),
}  # fmt: skip
KINDS = {f"{form}: {words}": make for form, all_ in (("png", PNGS), ("ppm", PPMS), ("tiff", TIFFS))
         for words, make in all_.items()}  # fmt: skip
