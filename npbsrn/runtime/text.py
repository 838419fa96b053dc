"""Text as a terminal may see it."""

import re

# C0, DEL and C1, which move the cursor, colour, name the window, or end a line; separators of lines and paragraphs;
# marks that turn the direction of what follows; and bytes of a name that are no UTF-8, as Python holds them.
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
NAMES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def printable(text: object) -> str:
    r"""Text in one line without control characters, which stand there as a program would write them: ``\x1b``, ``\n``.

    Names of files, and what a file says, are somebody else's: printed as they are, they could rewrite what stands on
    the terminal, or look like a message.
    """
    return UNSEEN.sub(_written, str(text))


def _written(match: re.Match[str]) -> str:
    sign = match.group()
    code = ord(sign)
    if 0xDC80 <= code <= 0xDCFF:  # a byte
        return f"\\x{code - 0xDC00:02x}"
    return NAMES.get(sign) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")
