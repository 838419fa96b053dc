"""What each format keeps of what a file says of its picture: every cell of a table of docs/pictures.md."""

import io
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from npbsrn.images.directory import (
    ASCII,
    BYTE,
    DETAILS,
    INTEROP,
    NOTE,
    PLACE,
    RATIONAL,
    SHORT,
    UNDEFINED,
    Entry,
    Exif,
    read_exif,
)  # fmt: skip
from npbsrn.images.fitting import fitted
from npbsrn.images.metadata import ORIENTATION, iptc_in
from npbsrn.images.picture import Picture, Tags
from npbsrn.images.png import text
from npbsrn.images.reading import read_picture
from npbsrn.images.saving import Saving, provenance
from npbsrn.images.writing import encode_picture, to_pillow
from tests.images.files import profile, ramp

DOCS = Path(__file__).parents[2] / "docs/pictures.md"
COLUMNS = {
    "PNG": [".png"], "TIFF": [".tif"], "JPEG": [".jpg"], "WebP": [".webp"], "AVIF": [".avif"], "GIF": [".gif"],
    "BMP": [".bmp"], "PPM": [".ppm", ".pgm"],
}  # fmt: skip
FULL = Tags(
    icc=profile(b"RGB "),
    exif=Exif(
        ">",
        {
            271: Entry(ASCII, b"Maker\0"),
            315: Entry(ASCII, "Jörg Müller".encode() + b"\0"),
            40091: Entry(BYTE, "名前".encode("utf-16-le")),
            DETAILS: {
                0x829A: Entry(RATIONAL, struct.pack(">2I", 1, 250)),
                0xA002: Entry(SHORT, struct.pack(">H", 999)),
                NOTE: Entry(UNDEFINED, bytes(range(100))),
                INTEROP: {1: Entry(ASCII, b"R98\0")},
            },
            PLACE: {1: Entry(ASCII, b"N\0"), 2: Entry(RATIONAL, struct.pack(">6I", 48, 1, 8, 1, 1, 3))},
        },
        400,
    ),
    xmp=(
        b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        b'xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        b'exif:PixelXDimension="999" xmp:Rating="4"/></rdf:RDF></x:xmpmeta>\n<?xpacket end="w"?>'
    ),
    iptc=b"\x1c\x02\x69\x00\x05title\x1c\x02\x05\x00\x01n",
    texts=(text("Title", "a title"), text("parameters", "名前" * 3)),
    comment=b"a comment",
    dpi=(300.0, 150.0),
)
MADE = provenance("1.2", "clean", 4, "0123abcd")


def exif_kept(again, _):
    """All entries as they were, in either byte order; but for the extents, which are the picture's."""
    expected = replace(FULL.exif, entries=FULL.exif.entries | {DETAILS: dict(FULL.exif.entries[DETAILS])})
    expected.entries[DETAILS][0xA002] = expected.entry(4, 9)
    for tag in (282, 283, 296, 305):  # resolution and software are rows of their own
        assert tag not in expected.entries
    return again.exif is not None and again.exif.in_order(">").entries == expected.entries


ROWS = {
    "ICC profile of RGB": (lambda again, _: again.icc == FULL.icc, "icc"),
    "EXIF": (exif_kept, "exif"),
    "XMP": (lambda again, _: again.xmp == FULL.xmp.replace(b'"999"', b'"9"'), "xmp"),
    "IPTC": (lambda again, _: again.iptc == FULL.iptc, "iptc"),
    "texts of a PNG": (lambda again, _: again.texts == FULL.texts, "texts"),
    "comment of a JPEG or GIF": (lambda again, _: again.comment == FULL.comment, "comment"),
    "resolution": (lambda again, _: again.dpi == pytest.approx(FULL.dpi, abs=0.1), "dpi"),
}


def documented():
    """The table of the docs: rows of cells by column."""
    section = DOCS.read_text().split("## What is kept of what the file says\n")[1].split("\n## ")[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return {row[0]: dict(zip(lines[0][1:], row[1:], strict=True)) for row in lines[2:]}


def picture_of(tags, dtype=np.uint8, suffix=".png"):
    samples = ramp((7, 9, 3), dtype)
    if suffix == ".pgm":  # which holds no colours, and so no picture that has a profile for them
        return Picture(samples[:, :, 0], None, replace(tags, icc=None))
    return Picture(samples, None, tags)


def saved(tags, suffix, dtype=np.uint8, saving=Saving()):  # noqa: B008
    """The tags of a file, as it is read again."""
    picture = fitted(picture_of(tags, dtype, suffix), None, 1, replace(saving, format=suffix))
    return read_picture(encode_picture(picture, suffix, saving)).tags


def test_the_table_has_all_formats_and_kinds():
    assert {*ROWS, "how it was made"} == set(documented())
    assert all(list(cells) == list(COLUMNS) for cells in documented().values())
    assert all(
        cell.split()[0].strip(",;") in ("yes", "no", "converted")
        for row in documented().values()
        for cell in row.values()
    )


CASES = [
    (row, column, suffix, dtype)
    for row in ROWS
    for column, suffixes in COLUMNS.items()
    for suffix in suffixes
    for dtype in {"PNG": ["uint8", "uint16"], "TIFF": ["uint8", "uint16", "float32"]}.get(column, ["uint8"])
]


@pytest.mark.filterwarnings("ignore:.*GIF holds 256 colours", "ignore:.* holds no (EXIF|XMP|IPTC)")
@pytest.mark.parametrize(("row", "column", "suffix", "dtype"), CASES)
def test_the_format_keeps_what_the_table_says(row, column, suffix, dtype):
    check, field = ROWS[row]
    kept = documented()[row][column].startswith("yes")
    for tags in (FULL, Tags(**{field: getattr(FULL, field)})):  # with all the others, and alone
        again = saved(tags, suffix, dtype)
        assert check(again, suffix) == kept
        assert kept or not getattr(again, field)
        assert not getattr(saved(tags, suffix, dtype, Saving(strip=True, provenance=MADE)), field) or row.startswith(
            "ICC"
        )


@pytest.mark.filterwarnings("ignore:.*GIF holds 256 colours", "ignore:.* holds no (EXIF|XMP|IPTC)")
@pytest.mark.parametrize(
    ("column", "suffix", "dtype"), sorted({(column, suffix, dtype) for _, column, suffix, dtype in CASES})
)
def test_how_a_picture_was_made_is_said_where_the_table_says_so_and_not_if_stripped(column, suffix, dtype):
    kept = documented()["how it was made"][column].startswith("yes")
    for tags in (FULL, Tags()):
        data = encode_picture(
            fitted(picture_of(tags, dtype, suffix), None, 1, Saving(format=suffix)), suffix, Saving(provenance=MADE)
        )
        assert all((word.encode() in data) == kept for word in ("npbsrn 1.2", "clean", "0123abcd"))
        again = read_picture(data).tags
        if column == "PNG":
            assert set(again.texts) >= {text("Software", "npbsrn 1.2"), text("npbsrn:model", "clean")}
        elif kept:
            assert again.exif.entries[305].data == b"npbsrn 1.2; model clean; scale 4; weights 0123abcd\0"
    assert b"npbsrn" not in encode_picture(picture_of(FULL), suffix, Saving(provenance=MADE, strip=True))


def test_a_png_has_the_software_once():
    tags = Tags(texts=(text("Software", "another"), text("Title", "stays")))
    assert saved(tags, ".png", saving=Saving(provenance=MADE)).texts == (
        text("Title", "stays"), text("Software", "npbsrn 1.2"), text("npbsrn:model", "clean"),
        text("npbsrn:scale", "4"), text("npbsrn:weights", "0123abcd"),
    )  # fmt: skip


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_what_turns_the_picture_and_its_thumbnail_are_left_out(tmp_path, suffix):
    """A camera's JPEG: orientation in EXIF and XMP, a thumbnail behind the EXIF, and a small one in the XMP."""
    exif = Image.Exif()
    exif[ORIENTATION], exif[271] = 6, "Maker"
    small = io.BytesIO()
    Image.new("RGB", (16, 12), "red").save(small, "JPEG")
    exif.get_ifd(1).update({513: 0, 514: len(small.getvalue())})
    block = exif.tobytes() + b"THUMBNAIL" + small.getvalue()
    turns = b"<xmp:Thumbnails>abc</xmp:Thumbnails><tiff:Orientation>6</tiff:Orientation>"
    xmp = b'<x><D tiff:Orientation="6" dc:a="b"/>' + turns + b"</x>"
    Image.fromarray(ramp((7, 9, 3), np.uint8)).save(tmp_path / "in.jpg", exif=block, xmp=xmp)
    picture = read_picture(tmp_path / "in.jpg")
    assert (picture.height, picture.width) == (9, 7)
    data = encode_picture(fitted(picture, None, 1, Saving(format=suffix)), suffix)
    again = read_picture(data)
    assert (again.height, again.width) == (9, 7)
    assert again.tags.exif.in_order("<").entries == {271: Entry(ASCII, b"Maker\0")}
    assert again.tags.xmp == b'<x><D dc:a="b"/></x>'
    assert b"THUMBNAIL" not in data


def test_descriptions_that_are_too_long_for_a_jpeg_are_left_out_and_it_is_said():
    tags = Tags(exif=Exif("<", {270: Entry(ASCII, b"x" * 70000)}), xmp=b"y" * 70000, iptc=b"\x1c" * 70000)
    with pytest.warns(UserWarning, match="EXIF and XMP and IPTC of more than 64 KB have no place in a JPEG; left out"):
        again = saved(tags, ".jpg")
    assert (again.exif, again.xmp, again.iptc) == (None, None, None)
    again = saved(tags, ".png")
    assert (again.exif, again.xmp, again.iptc) == (tags.exif, tags.xmp, tags.iptc)


@pytest.mark.parametrize(
    "fold", [lambda iptc: iptc, lambda iptc: b"Photoshop 3.0\0" + resources(iptc), lambda iptc: resources(iptc)]
)
def test_iptc_is_found_among_photoshops_resources(fold):
    assert iptc_in(fold(FULL.iptc)) == FULL.iptc


def resources(iptc):
    def block(number, name, content):
        named = bytes([len(name)]) + name + bytes((len(name) + 1) % 2)
        return (
            b"8BIM"
            + struct.pack(">H", number)
            + named
            + struct.pack(">I", len(content))
            + content
            + bytes(len(content) % 2)
        )

    return block(0x03ED, b"res", b"x" * 7) + block(0x0404, b"", iptc) + block(0x040C, b"ab", b"small")


def test_a_jpegs_resolution_need_not_be_whole():
    tags = Tags(dpi=(72.5, 72.5), exif=Exif("<", {271: Entry(ASCII, b"Maker\0")}))
    assert saved(tags, ".tif").dpi == pytest.approx((72.5, 72.5))
    assert saved(tags, ".webp").dpi == pytest.approx((72.5, 72.5))


@pytest.mark.parametrize(("exif_dpi", "expected"), [(180, 180), (None, 72)])
def test_a_jpegs_resolution_is_exifs_if_it_says_one(exif_dpi, expected):
    exif = Image.Exif()
    exif[271] = "Maker"
    if exif_dpi:
        exif[282], exif[283], exif[296] = exif_dpi, exif_dpi, 2
    file = io.BytesIO()
    Image.fromarray(ramp((7, 9, 3), np.uint8)).save(file, "JPEG", exif=exif, dpi=(72, 72))
    assert read_picture(file.getvalue()).tags.dpi == (expected, expected)


def test_a_pillow_image_has_what_an_opened_file_has():
    info = to_pillow(picture_of(FULL)).info
    assert info["icc_profile"] == FULL.icc
    assert info["xmp"] == FULL.xmp.replace(b'"999"', b'"9"')
    assert info["dpi"] == FULL.dpi
    assert info["comment"] == FULL.comment
    assert read_exif(info["exif"]).in_order(">").entries[DETAILS][0xA002].data == b"\0\0\0\x09"
    assert not to_pillow(Picture(ramp((7, 9, 3), np.uint8))).info
