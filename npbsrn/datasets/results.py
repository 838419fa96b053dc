"""Pictures among data that npbsrn itself has made of others: nothing to learn from, or to be judged by."""

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

from npbsrn.images.reading import is_ours

RESULT = re.compile(r"(.+)-x\d+(?:\.\d+)?")  # a stem that a result beside its original has
NAMED = 3  # of what is left out


def without_results(files: Sequence[Path]) -> list[Path]:
    """The files but for results of `npbsrn upscale`, such as ``a-x4.jpg`` beside ``a.jpg``; a warning names some.

    A name alone may be chance, or that of an LR picture: the file must say that npbsrn made it.
    """
    stems = {(path.parent, path.stem) for path in files}

    def is_result(path: Path) -> bool:
        named = RESULT.fullmatch(path.stem)
        return named is not None and (path.parent, named[1]) in stems and is_ours(path)

    results = [path for path in files if is_result(path)]
    if results:
        more = f" and {len(results) - NAMED} more" if len(results) > NAMED else ""
        names = ", ".join(path.name for path in results[:NAMED])
        warnings.warn(f"left out, as npbsrn made them of pictures beside them: {names}{more}", stacklevel=4)
        left = set(results)
        return [path for path in files if path not in left]
    return list(files)
