import io
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npbsrn.images.png import BehindHeader, as_raw_profile, keyword_of, scan, text, text_in
from tests.images.files import chunk, iccp, png, profile

PLAIN = np.zeros((2, 3, 3), np.uint8)
names = st.sampled_from([b"gAMA", b"cICP", b"iCCP", b"pHYs", b"eXIf", b"tIME"])


def test_facts_are_what_the_file_says():
    chunks = [(b"gAMA", b"\0\0\xb1\x8f"), (b"cICP", b"\1\r\0\1"), iccp(profile(b"RGB ")), (b"tRNS", b"\0\1\0\2\0\3")]
    xmp = (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x/>")
    long = (b"tEXt", b"Raw profile type exif\0" + bytes(1 << 16))
    facts, plain = scan(png(PLAIN, 16, 2, *chunks, xmp, (b"tEXt", b"a\0b"), long))
    assert (facts.depth, facts.colour_type, facts.transparent) == (16, 2, (1, 2, 3))
    assert facts.chunks == ((b"cICP", b"\1\r\0\1"), (b"gAMA", b"\0\0\xb1\x8f"))
    assert (facts.icc, facts.xmp) == (profile(b"RGB "), b"<x/>")
    assert (facts.texts, facts.raw) == (((b"tEXt", b"a\0b"),), {})
    assert plain == png(PLAIN, 16, 2, chunks[0], chunks[1], chunks[3], xmp)


@given(st.lists(st.tuples(names, st.binary(max_size=20)), max_size=3), st.integers(1, 100))
def test_chunks_are_put_behind_the_header_however_it_is_written(chunks, step):
    file = io.BytesIO()
    inserting, plain = BehindHeader(file, chunks), png(PLAIN, 8, 2)
    for at in range(0, len(plain), step):
        piece = plain[at : at + step]
        assert inserting.write(piece) == len(piece)
    assert file.getvalue() == png(PLAIN, 8, 2, *chunks)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20))
def test_a_text_comes_back(value):
    name, content = text("npbsrn:model", value)
    assert keyword_of(content) == b"npbsrn:model"
    assert text_in(name, content).decode("latin-1" if name == b"tEXt" else "utf-8") == value


@given(st.binary(min_size=1, max_size=300), st.sampled_from([b"tEXt", b"zTXt", b"iTXt"]))
def test_a_raw_profile_comes_back(content, kind):
    profile = as_raw_profile(b"iptc", content)
    packed = {b"tEXt": profile, b"zTXt": b"\0" + zlib.compress(profile), b"iTXt": b"\1\0\0\0" + zlib.compress(profile)}
    facts, _ = scan(png(PLAIN, 8, 2, (kind, b"Raw profile type iptc\0" + packed[kind])))
    assert (facts.raw, facts.texts) == ({b"iptc": content}, ())


@pytest.mark.parametrize("content", [b"", b"a", b"a\0", b"a\0\0no zlib", b"a\0\0" + zlib.compress(b"x" * 99)[:-5]])
def test_a_damaged_profile_is_none(content):
    assert scan(png(PLAIN, 8, 2, (b"iCCP", content)))[0].icc is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (png(PLAIN, 8, 2)[:-12], "it is cut short"),
        (png(PLAIN, 8, 2)[:20], "it is cut short"),
        (png(PLAIN, 8, 2)[:8] + chunk(b"IEND", b""), "its header is missing"),
        (png(PLAIN, 8, 2)[:8] + chunk(b"IHDR", b"") + chunk(b"IEND", b""), "its header is missing"),
    ],
)
def test_a_file_that_is_cut_is_damaged(data, message):
    with pytest.raises(ValueError, match=message):
        scan(data)


def test_sums_of_what_is_not_needed_do_not_matter():
    whole = bytearray(png(PLAIN, 8, 2, (b"tIME", bytes(7))))
    whole[whole.index(b"tIME") + 5] ^= 1
    assert scan(bytes(whole))[0].depth == 8


@pytest.mark.parametrize(("name", "content"), [(b"cHRM", b"\xff\xff"), (b"gAMA", b"\0\0\xb1"), (b"sRGB", b"")])
def test_a_chunk_on_colour_of_a_wrong_length_says_nothing(name, content):
    facts, plain = scan(png(PLAIN, 8, 2, (name, content)))
    assert facts.chunks == ()
    assert plain == png(PLAIN, 8, 2)


@pytest.mark.parametrize(("name", "content"), [(b"tRNS", bytes(6)), (b"gAMA", b"\0\0\xb1\x8f")])
def test_what_stands_behind_the_pixels_says_nothing_of_them(name, content):
    plain = png(PLAIN, 8, 2)
    at = plain.index(b"IEND") - 4
    facts, kept = scan(plain[:at] + chunk(name, content) + plain[at:])
    assert (facts.chunks, facts.transparent) == ((), ())
    assert kept == plain
