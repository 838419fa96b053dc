import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from npbsrn.images.directory import (
    ASCII,
    DETAILS,
    INTEROP,
    LONG,
    NOTE,
    PLACE,
    SHORT,
    SIZES,
    UNDEFINED,
    Entry,
    Exif,
    read_exif,
)  # fmt: skip
from npbsrn.images.directory_writing import add_entries, block_of
from tests.images.files import ramp, tiff

KINDS = sorted(SIZES)


@st.composite
def entries(draw):
    kind = draw(st.sampled_from(KINDS))
    size = SIZES[kind] * draw(st.integers(1, 5))
    return Entry(kind, draw(st.binary(min_size=size, max_size=size)))


def directories(*tags):
    own = st.integers(1, 65535).filter(lambda tag: tag not in (DETAILS, PLACE, INTEROP, NOTE))
    inside = {tag: directories(INTEROP) if tag == DETAILS else directories() for tag in tags}
    plain = st.dictionaries(own, entries(), min_size=1, max_size=5)
    return st.builds(
        lambda first, more: first | more, plain, st.fixed_dictionaries({}, optional=inside) if inside else st.just({})
    )


@given(directories(DETAILS, PLACE), st.sampled_from("<>"))
def test_what_is_written_is_read(found, order):
    exif = Exif(order, found)
    assert read_exif(b"Exif\0\0" + block_of(exif)) == exif


@given(directories(DETAILS, PLACE))
def test_the_order_of_bytes_does_not_change_values(found):
    exif = Exif("<", found)
    assert exif.in_order(">").in_order("<") == exif
    number = exif.entry(SHORT, 258)
    assert Exif("<", {5: number}).in_order(">").entries == {5: Entry(SHORT, b"\1\2")}


@given(directories(DETAILS, PLACE), st.binary(min_size=5, max_size=300), st.integers(0, 40000))
def test_a_makers_notes_stay_where_they_were(found, note, at):
    """Where they are far inside, they go where there is room."""
    found.setdefault(DETAILS, {})[NOTE] = Entry(UNDEFINED, note)
    block = block_of(Exif("<", found, at))
    again = read_exif(block)
    assert again.entries == found
    if 8 <= at <= 1 << 15:
        assert again.note_at == at
    assert block[again.note_at :].startswith(note)


@given(directories(DETAILS, PLACE))
def test_pillow_reads_the_same(found):
    exif = Exif(">", found | {271: Entry(ASCII, b"Maker\0"), 305: Entry(ASCII, b"Software\0")})
    theirs = Image.Exif()
    theirs.load(block_of(exif))
    assert (theirs[271], theirs[305]) == ("Maker", "Software")
    assert set(theirs) >= {tag for tag, entry in exif.entries.items() if isinstance(entry, Entry)}


@given(st.binary(max_size=120), st.sampled_from([b"II*\0", b"MM\0*", b"II+\0", b""]))
def test_any_bytes_are_read_or_left(data, head):
    exif = read_exif(head + data)
    assert exif is None or read_exif(block_of(exif)) is not None


@given(directories(DETAILS, PLACE), st.data())
def test_a_block_with_bytes_changed_is_read_or_left(found, data):
    block = bytearray(block_of(Exif("<", found)))
    for at in data.draw(st.lists(st.integers(0, len(block) - 1), max_size=4)):
        block[at] = data.draw(st.integers(0, 255))
    exif = read_exif(bytes(block))
    assert exif is None or len(block_of(exif)) < 1 << 20


def test_directories_that_contain_themselves_end():
    row = struct.pack("<HHII", DETAILS, LONG, 1, 8)
    assert read_exif(b"II*\0" + struct.pack("<IH", 8, 1) + row + bytes(4)).entries.keys() <= {DETAILS}


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", ["pillow", "tifffile"])
def test_a_tiff_gets_more_tags_and_keeps_what_it_has(order, kind):
    samples = ramp((7, 9, 3), np.uint8)
    file = io.BytesIO()
    if kind == "pillow":
        Image.fromarray(samples).save(file, "TIFF", dpi=(300, 300))
    else:
        file.write(tiff(samples, photometric="rgb", byteorder=order, resolution=(300, 300)))
    more = Exif(
        order, {271: Entry(ASCII, b"Maker\0"), 256: Entry(SHORT, b"\7\7"), DETAILS: {5: Entry(ASCII, b"abcdef\0")}}
    )
    add_entries(file, more)
    with Image.open(file) as image:
        np.testing.assert_array_equal(np.asarray(image), samples)
        assert (image.tag_v2[271], image.tag_v2[256], image.info["dpi"]) == ("Maker", 9, (300, 300))
        assert image.getexif().get_ifd(DETAILS) == {5: "abcdef"}
    before = file.getvalue()
    add_entries(file, Exif(order))
    assert file.getvalue() == before
