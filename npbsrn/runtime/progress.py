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


def span_of(progress: Progress | None, begin: float, end: float, total: int) -> Progress | None:
    """For a piece of work that has its own total: a callback that passes on how far the whole is.

    Parameters
    ----------
    progress : callable, optional
        Of the whole.
    begin, end : float
        Which part of the whole is done before and behind the piece, from 0 to 1.
    total : int
        Of the whole.
    """
    if progress is None:
        return None
    return lambda done, all_: progress(int(total * (begin + (end - begin) * done / all_)), total)
