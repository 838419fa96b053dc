"""Enlarge a picture file into another."""

from os import PathLike
from pathlib import Path

from npbsrn.images.opening import MAX_PIXELS
from npbsrn.images.saving import Saving
from npbsrn.inference.any_scale import runner_for
from npbsrn.inference.choose import Source
from npbsrn.inference.jobs import begin
from npbsrn.inference.tasks import How, Task, check_target
from npbsrn.inference.upscaling import check_threads, check_tile
from npbsrn.runtime.progress import Progress


def upscale_file(
    source: str | PathLike[str],
    target: str | PathLike[str],
    scale: float | None = None,
    model: Source = None,
    *,
    engine: str = "auto",
    tile: int | str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
    ensemble: bool = False,
    saving: Saving | None = None,
    first_frame: bool = False,
    max_pixels: int | None = MAX_PIXELS,
    progress: Progress | None = None,
) -> tuple[int, int]:
    """Enlarge a picture file into another, with all that both formats hold: 16-bit samples, profile, EXIF, XMP, dpi.

    A picture that would not fit into memory is read, enlarged and written in strips, where its formats allow that:
    docs/pictures.md says which.

    Parameters
    ----------
    source, target : path
        The format of `target` follows its suffix.
    scale, model, engine, tile, threads, ensemble, progress
        As for `upscale`.
    overwrite : bool
        Whether an existing `target` is replaced. The source itself never is.
    saving : `npbsrn.images.saving.Saving`, optional
        Quality, background, and what is written beside the samples.
    first_frame : bool
        Whether only the first picture of an animation, or of several pages, is enlarged.
    max_pixels : int, optional
        A picture with more pixels is refused before it is decoded; None allows any.

    Returns
    -------
    width, height : int
        Of the result, in pixels.

    Raises
    ------
    UsageError, PictureError, WeightsError
        As `upscale`; and if `target` is `source`, cannot be written, or cannot hold the picture.
    ExistsError
        If `target` exists and is not to be replaced.

    Warns
    -----
    UserWarning
        If more than 8 bits per channel are reduced to 8.
    """
    saving = saving or Saving()
    check_target(Path(source), Path(target), overwrite, saving)  # before weights are read
    how = How(runner_for(model, scale, engine), check_threads(threads), check_tile(tile), ensemble)
    return begin(Task(Path(source), Path(target), how, saving, overwrite, first_frame, max_pixels)).write(progress)
