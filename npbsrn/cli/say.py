"""What the commands say to the user."""

import sys

from npbsrn.errors import printable


def say(message: object) -> None:
    """Print a sentence to the error stream."""
    print(f"npbsrn: {printable(message)}", file=sys.stderr)
