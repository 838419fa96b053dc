"""Metadata as programs see it that are not ours: exiftool (at $EXIFTOOL, or on the path) and libpng's pngfix."""

import json
import os
import shutil
import subprocess

import numpy as np
import pytest

from npbsrn.images.fitting import fitted
from npbsrn.images.reading import read_picture
from npbsrn.images.saving import Saving
from npbsrn.images.writing import encode_picture
from tests.images.test_metadata import CASES, FULL, MADE, documented, picture_of

EXIFTOOL = os.environ.get("EXIFTOOL") or shutil.which("exiftool")
PNGFIX = shutil.which("pngfix")
FILES = sorted({(suffix, dtype) for _, _, suffix, dtype in CASES if suffix not in (".ppm", ".pgm")})  # not exiftool's

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*GIF holds 256 colours", "ignore:.* holds no (EXIF|XMP|IPTC)"),
]
needs_exiftool = pytest.mark.skipif(not EXIFTOOL, reason="exiftool is missing; npm pack exiftool-vendored.pl has it")
EXPECTED = {
    "EXIF": {
        "IFD0:Make": "Maker", "IFD0:Artist": "Jörg Müller", "IFD0:XPTitle": "名前",
        "ExifIFD:ExposureTime": 0.004, "ExifIFD:ExifImageWidth": 9, "InteropIFD:InteropIndex": "R98",
        "GPS:GPSLatitudeRef": "N",
    },
    "XMP": {"XMP-exif:ExifImageWidth": 9, "XMP-xmp:Rating": 4},
    "IPTC": {"IPTC:Headline": "title", "IPTC:ObjectName": "n"},
    "texts of a PNG": {"PNG:Title": "a title", "PNG:Parameters": "名前" * 3},
}  # fmt: skip

TASTE = {
    "[minor] Unrecognized MakerNotes",  # which are no maker's here
    "Non-standard format (undef) for IFD0 0x83bb IPTC-NAA",  # Adobe allows it, and it does not depend on byte order
}


def by_exiftool(path):
    command = [EXIFTOOL, "-json", "-G1", "-n", "-validate", "-warning", "-a", "-all", str(path)]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)[0]


@needs_exiftool
@pytest.mark.parametrize(("suffix", "dtype"), FILES)
def test_exiftool_sees_what_the_table_says(tmp_path, suffix, dtype):
    column = next(column for _, column, name, _ in CASES if name == suffix)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(
        encode_picture(fitted(picture_of(FULL, dtype), None, 1, Saving(format=suffix)), suffix, Saving(provenance=MADE))
    )
    seen = by_exiftool(path)
    for row, fields in EXPECTED.items():
        kept = documented()[row][column].startswith("yes")
        for name, value in fields.items():
            assert seen.get(name) == (value if kept else None), (name, seen)
    said = {value for name, value in seen.items() if name.endswith((":Warning", ":Error"))}
    assert said <= TASTE, said
    path.write_bytes(
        encode_picture(picture_of(FULL, dtype) if suffix != ".gif" else picture_of(FULL), suffix, Saving(strip=True))
    )
    assert not {name.split(":")[0] for name in by_exiftool(path)} & {"ExifIFD", "GPS", "IPTC", "Photoshop", "XMP-dc"}


@pytest.mark.skipif(not PNGFIX, reason="libpng's pngfix is missing")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_libpngs_checker_finds_nothing_to_mend(tmp_path, dtype):
    path = tmp_path / "a.png"
    path.write_bytes(encode_picture(picture_of(FULL, dtype), ".png", Saving(provenance=MADE)))
    done = subprocess.run(
        [PNGFIX, "--strip=none", f"--out={tmp_path / 'mended.png'}", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert [line.split()[1] for line in done.stdout.splitlines()] == ["OK"] * 3, done.stdout  # iCCP, zTXt, IDAT
    broken = path.read_bytes().replace(b"zTXt", b"zTXT", 1)
    path.with_name("broken.png").write_bytes(broken)
    assert subprocess.run([PNGFIX, path.with_name("broken.png")], capture_output=True, check=False).returncode
    np.testing.assert_array_equal(read_picture(tmp_path / "mended.png").colour, read_picture(path).colour)
