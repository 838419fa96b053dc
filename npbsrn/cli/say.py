"""What the commands say to the user."""

import sys


def say(message: object) -> None:
    """Print a sentence to the error stream."""
    print(f"npbsrn: {message}", file=sys.stderr)
