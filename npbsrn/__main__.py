"""The command line, ``npbsrn`` or ``python -m npbsrn``, as a process of its own."""

import signal
import sys


def main() -> int:
    """Run one command, and let a signal end it at any moment; returns its exit code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # which shows no traceback; the import below takes a moment
    from npbsrn.runtime.interrupts import watched

    with watched():
        from npbsrn.cli import parser

        return parser.main()


if __name__ == "__main__":
    sys.exit(main())
