import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npbsrn.images.png import before_data, scan, with_chunks
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
    assert plain == png(PLAIN, 16, 2, chunks[0], chunks[1], chunks[3], xmp)


@given(st.lists(st.tuples(names, st.binary(max_size=20)), max_size=3))
def test_chunks_that_are_put_in_come_back(chunks):
    whole = with_chunks(png(PLAIN, 8, 2), chunks)
    assert before_data(whole) == chunks
    assert whole == png(PLAIN, 8, 2, *chunks)


@pytest.mark.parametrize("content", [b"", b"a", b"a\0", b"a\0\0no zlib", b"a\0\0" + zlib.compress(b"x" * 99)[:-5]])
def test_a_damaged_profile_is_none(content):
    assert scan(png(PLAIN, 8, 2, (b"iCCP", content)))[0].icc is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (png(PLAIN, 8, 2)[:-12], "it ends before its end"),
        (png(PLAIN, 8, 2)[:20], "it ends before its end"),
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
