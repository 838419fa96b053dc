import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npbsrn.runtime.text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a.png", "a.png"),
        (
            "Überraschung \u3000 \u6f22\u5b57 \U0001f469\u200d\U0001f680",
            "Überraschung \u3000 \u6f22\u5b57 \U0001f469\u200d\U0001f680",
        ),
        ("a\nnpbsrn: done", r"a\nnpbsrn: done"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("\x9b31m\x7f\r\t", r"\x9b31m\x7f\r\t"),
        ("a\u202egnp.exe\u2028", r"a\u202egnp.exe\u2028"),
        (b"\xff\xfe.png".decode("utf-8", "surrogateescape"), r"\xff\xfe.png"),
        (ValueError("a\0"), r"a\x00"),
    ],
)
def test_control_characters_are_written_out(text, shown):
    assert printable(text) == shown


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_what_is_printed_is_one_line_that_can_be_encoded(text):
    shown = printable(text)
    shown.encode()
    assert len(shown.splitlines() or [""]) == 1
    assert printable(shown) == shown
    assert not any(ord(sign) < 32 or 127 <= ord(sign) < 160 for sign in shown)


def test_every_character_that_python_takes_for_the_end_of_a_line_is_written_out():
    ends = [chr(code) for code in range(sys.maxunicode + 1) if len(f"a{chr(code)}b".splitlines()) > 1]
    assert all(printable(end) != end for end in ends)
    assert len(ends) > 5
