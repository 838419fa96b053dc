import pytest
from hypothesis import given
from hypothesis import strategies as st

from npbsrn.errors import NpbsrnError, PictureError, printable


@given(st.text(st.characters(), max_size=20))
def test_any_text_becomes_one_line_that_can_be_printed(text):
    shown = printable(text)
    shown.encode("utf-8")
    assert len(shown.splitlines()) <= 1
    assert not any(ord(letter) < 32 for letter in shown)
    assert str(PictureError(text)) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Müller/名前/👩\u200d🚀.png", "Müller/名前/👩\u200d🚀.png"),
        ("a\nb\tc\x1b[31m\u2028", r"a\nb\tc\x1b[31m\u2028"),
        (b"caf\xe9".decode("utf-8", "surrogateescape"), r"caf\xe9"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text, shown):
    assert printable(text) == shown
    assert str(NpbsrnError(text)) == shown
