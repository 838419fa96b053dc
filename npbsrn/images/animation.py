"""Write several pictures into one file: animations, and pages of TIFF."""

import os
from collections.abc import Iterable, Iterator

from PIL import Image

from npbsrn.errors import ExistsError, PictureError
from npbsrn.images.fitting import PLAIN, Target, check_output, format_for
from npbsrn.images.frames import Frame
from npbsrn.images.saving import Saving
from npbsrn.images.writing import pillow_image
from npbsrn.storage.files import atomic_write

MOVING = ("GIF", "WEBP", "PNG", "AVIF")  # formats of animations


def check_frames(moving: bool, target: Target, saving: Saving = PLAIN) -> None:
    """Refuse a target that cannot hold several pictures, before any work is done.

    Parameters
    ----------
    moving : bool
        Whether they are an animation, and not pages.
    target : path, optional
    saving : Saving

    Raises
    ------
    PictureError
        If it cannot.
    """
    form = check_output(target, saving)
    if form.name not in (MOVING if moving else ("TIFF",)):
        what, where = ("animation", ".png, .webp or .gif") if moving else ("pages", ".tif")
        raise PictureError(f"{target}: {form.name} holds no {what}; write a {where}, or take the first picture alone")


def write_frames(
    frames: Iterable[Frame],
    target: str | os.PathLike[str],
    overwrite: bool = True,
    saving: Saving = PLAIN,
    loop: int = 0,
) -> None:
    """Write an animation, or pages of a TIFF, whole or not at all.

    Parameters
    ----------
    frames : iterable of Frame
        Each as `fitted` gives it; taken one after another.
    target : path
    overwrite, saving
        As for `npbsrn.images.writing.write_picture`.
    loop : int
        How often an animation runs; 0 stands for ever.

    Raises
    ------
    PictureError
        If the file cannot be written.
    ExistsError
        If it is there already and not to be replaced.
    """
    form = format_for(target, saving)
    durations: list[float] = []

    def images() -> Iterator[Image.Image]:
        for frame in frames:
            durations.append(frame.duration)
            image = pillow_image(frame.picture)
            image.info["duration"] = frame.duration

            yield image

    try:
        with atomic_write(target, overwrite, follow=False) as file:
            rest = images()
            first = next(rest)
            first.save(file, form.name, save_all=True, append_images=rest, loop=loop, duration=durations)
    except FileExistsError:
        raise ExistsError(target) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PictureError(f"cannot write {target}: {reason}; nothing was left behind") from None
