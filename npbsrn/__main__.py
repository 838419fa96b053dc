"""``npbsrn`` and ``python -m npbsrn``: the command line in a process of its own."""

import sys

from npbsrn.interrupts import watched


def main() -> int:
    """Run one command, and let a signal end it at any moment; returns its exit code."""
    with watched():  # before anything is imported that takes time
        from npbsrn import cli

        return cli.main()


if __name__ == "__main__":
    sys.exit(main())
