"""Unusable pictures: a run leaves them out and says so once."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from npbsrn.datasets.pairs import Pair
from npbsrn.errors import DataError, PictureError

T = TypeVar("T")

TRAINING = ""  # the name of the training pictures among the sets
SHOWN = 10  # names in a message


class Sieve:
    """Read pictures, and leave out those that are damaged, unreadable, too small, or of the wrong size.

    Parameters
    ----------
    before : mapping of str to list of str, optional
        What a run that goes on began without, by the name of the set. It stays out, though it may have been mended
        meanwhile: the run has the same pictures from begin to end.
    """

    def __init__(self, before: Mapping[str, Sequence[str]] | None = None) -> None:
        self.before = before or {}
        self.reasons: dict[str, dict[str, str]] = {}  # by set and name

    def read(self, own: str, pairs: Iterable[Pair], read: Callable[[Pair], T]) -> Iterator[tuple[Pair, T]]:
        """Read the pairs of the set `own`: yields what can be used.

        Raises
        ------
        DataError
            If a picture that the run was judged on cannot be used any more: means over fewer pictures do not compare.
        """
        reasons = self.reasons.setdefault(own, {})
        for pair in pairs:
            if pair.name in self.before.get(own, ()):
                reasons[pair.name] = f"{pair.name} was left out when the run began"
                continue
            try:
                with warnings.catch_warnings(record=True) as heard:
                    result = read(pair)
            except PictureError as error:
                reasons[pair.name] = reason = _reason(pair, str(error))
                if own != TRAINING and own in self.before:
                    raise DataError(
                        f"this run was judged on the pictures of {own}, but {reason}; mend it, or remove it if new"
                    ) from None
                continue
            for said in heard:  # of a picture that is left out the reason says enough
                warnings.warn_explicit(said.message, said.category, said.filename, said.lineno)
            yield pair, result

    def left_out(self) -> dict[str, list[str]]:
        """Names of what the run does without, by set: what it began with counts."""
        return {own: list(reasons) for own, reasons in self.reasons.items()} | {
            own: list(names) for own, names in self.before.items()
        }

    def new(self, own: str) -> list[str]:
        """Reasons for what has been left out of a set only now."""
        before = self.before.get(own, ())
        return [reason for name, reason in self.reasons.get(own, {}).items() if name not in before]

    def summary(self) -> str | None:
        """One line about all that was left out, or None where there is nothing to say."""
        reasons = [
            reason if own == TRAINING else f"{own}: {reason}"
            for own, by_name in self.reasons.items()
            for reason in by_name.values()
        ]
        if not reasons:
            return None
        count = "1 picture is" if len(reasons) == 1 else f"{len(reasons)} pictures are"
        return f"{count} left out: {listing(reasons)}"


def listing(reasons: Sequence[str]) -> str:
    """The first reasons, and how many more there are."""
    more = [f"and {len(reasons) - SHOWN} more"] if len(reasons) > SHOWN else []
    return "; ".join([*reasons[:SHOWN], *more])


def _reason(pair: Pair, message: str) -> str:
    """What is wrong with a pair in one short line: without folders, and without advice."""
    words = " ".join(message.partition("; ")[0].split())
    if words.startswith(f"{pair.hr} "):
        return f"{pair.name} {words.removeprefix(f'{pair.hr} ')}"
    if pair.lr is not None:
        words = words.replace(str(pair.lr), f"its partner {pair.lr.name}")
    return f"{pair.name}: {words.replace(str(pair.hr), 'it')}"
