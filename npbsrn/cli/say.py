"""What the commands say to the user: nothing else prints, so that no name of a file reaches a terminal as it is."""

import sys

from npbsrn.errors import printable


def say(message: object) -> None:
    """Print a sentence to the error stream."""
    print(f"npbsrn: {printable(message)}", file=sys.stderr)


def tell(line: object, flush: bool = False) -> None:
    """Print a line of a result to the output stream, with escapes for letters that its encoding does not have."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(printable(line).encode(encoding, "backslashreplace").decode(encoding), flush=flush)
