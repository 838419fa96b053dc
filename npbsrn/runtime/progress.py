"""How far a piece of work is, told to whoever waits for it."""

from collections.abc import Callable

Progress = Callable[[int, int], None]  # what is done, of how much


def part_of(progress: Progress | None, part: int, parts: int) -> Progress | None:
    """For one of several equal pieces of work in a row: a callback that passes on how far the whole is.

    Parameters
    ----------
    progress : callable, optional
        Of the whole. A piece is said in as many units as the whole.
    part : int
        Counted from 0.
    parts : int
    """
    if progress is None or parts == 1:
        return progress

    def tell(done: int, total: int) -> None:
        progress((part * total + done) // parts, total)

    return tell
