"""Enlarge the pictures of a folder, as `npbsrn.cli.batch.plan` has paired them with files to write."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from npbsrn.cli.batch import Batch
from npbsrn.cli.say import say
from npbsrn.errors import ExistsError, PictureError, TooLargeError


def enlarge_folder(batch: Batch, target: Path, enlarge: Callable[[Path, Path], object]) -> int:
    """Enlarge what is to be done; a picture that cannot be enlarged stops none of the others."""
    make_folder(target)
    failed, there = 0, len(batch.existing)
    for picture, result in tqdm(batch.jobs, unit="picture", disable=len(batch.jobs) < 2 or None, leave=False):
        try:
            make_folder(result.parent)
            enlarge(picture, result)
        except ExistsError:  # another process has written it meanwhile
            there += 1
        except (PictureError, TooLargeError) as error:
            failed += 1
            words = error if isinstance(error, PictureError) else f"{picture}: {error}"
            tqdm.write(f"npbsrn: {words}", file=sys.stderr)
    if batch.others:
        say(f"left out, as what is not taken from folders: {_names(batch.others)}")
    done = len(batch.jobs) + len(batch.existing) - there - failed
    left = f"; {there} existed already and are left alone, --overwrite replaces them" if there else ""
    if failed and failed == len(batch.jobs):
        say(f"none of {failed} pictures could be enlarged{left}")
    elif failed:
        say(f"{failed} of {len(batch.jobs)} pictures could not be enlarged; the others are in {target}{left}")
    else:
        print(f"{target}: {done} picture{'' if done == 1 else 's'}{left}")
    return 2 if failed else 0


def _names(paths: Sequence[Path]) -> str:
    """The first ten of some paths."""
    more = f" and {len(paths) - 10} more" if len(paths) > 10 else ""
    return ", ".join(str(path) for path in paths[:10]) + more


def make_folder(folder: Path) -> None:
    """Make a folder for results."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PictureError(f"cannot make the folder {folder}: {error.strerror}; choose another place") from None
