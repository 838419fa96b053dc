"""Enlarge a picture file into another, in three steps that may run beside those of other files."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

from npbsrn.errors import PictureError, UsageError
from npbsrn.images.animation import check_frames, write_frames
from npbsrn.images.fitting import check_output, fitted, format_for, refuse_full_disk
from npbsrn.images.frames import Frame, Frames, read_frames
from npbsrn.images.opening import MAX_PIXELS, name_of
from npbsrn.images.picture import Picture
from npbsrn.images.reading import read_picture
from npbsrn.images.resample import enlarged_side
from npbsrn.images.saving import Saving
from npbsrn.images.strips.base import Rows, Whole
from npbsrn.images.strips.fitting import FittedRows
from npbsrn.images.strips.opening import extents_of, rows_of
from npbsrn.images.writing import encode_picture, write_picture
from npbsrn.inference.any_scale import runner_for
from npbsrn.inference.choose import Source
from npbsrn.inference.needs import Kind, kind_of, needed_bytes, refuse_need
from npbsrn.inference.runners import Runner
from npbsrn.inference.strips import Strips, why_not
from npbsrn.inference.upscaling import check_threads, check_tile, enlarge
from npbsrn.runtime.memory import available_bytes
from npbsrn.runtime.progress import Progress, span_of
from npbsrn.storage.files import refuse_existing

READ = 8  # bytes of a pixel that decoders take beside its samples, at most
SMALL_TILE = 256  # pixels of a side: the packed engine takes no smaller tiles by itself


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
    refuse_target(Path(source), Path(target), overwrite, saving)  # before weights are read
    how = How(runner_for(model, scale, engine), check_threads(threads), check_tile(tile), ensemble)
    job = FileJob(Path(source), Path(target), how, saving, overwrite, first_frame, max_pixels)
    job.read()
    job.enlarge(progress)
    return job.write()


def refuse_target(source: Path | bytes, target: Path, overwrite: bool, saving: Saving) -> None:
    """Refuse a target that is the source itself, or that exists and is not to be replaced."""
    if isinstance(source, Path) and not source.exists():
        raise PictureError(f"there is no file {source}; name a picture or a folder of pictures")
    check_output(target, saving)
    if isinstance(source, Path) and target.exists() and target.samefile(source):
        raise UsageError(f"{target} is the input itself; write to another file, so that the original stays")
    refuse_existing(target, overwrite)


@dataclass(frozen=True)
class How:
    """How pictures are enlarged; see `npbsrn.inference.upscaling.enlarge`.

    Parameters
    ----------
    runner : Runner
    threads, tile : int, optional
    ensemble : bool
    strip : int, optional
        Rows of a picture to be read, enlarged and written at once, wherever that can be done. By default that is done
        where the whole would not fit into memory, with as many rows as do.
    """

    runner: Runner
    threads: int | None = None
    tile: int | None = None
    ensemble: bool = False
    strip: int | None = None

    def enlarge(self, picture: Picture, progress: Progress | None = None) -> Picture:
        """Enlarge a picture."""
        return enlarge(picture, self.runner, self.threads, self.tile, self.ensemble, progress)

    def needed_bytes(self, kind: Kind) -> int:
        """Memory for enlarging a picture and for writing the result, in addition to the picture itself."""
        return needed_bytes(kind, self.runner, self.threads, self.tile, self.ensemble)

    def fits(self, need: int) -> bool:
        """Whether there is as much memory, and strips are not asked for."""
        available = available_bytes()
        return self.strip is None and (available is None or need <= available)


@dataclass
class FileJob:
    """One file to enlarge: `read`, then `enlarge`, then `write`. Only `enlarge` uses the engine.

    An animation, or several pages, would not fit into memory as a whole: its pictures are read, enlarged and written
    one after another, all by `enlarge`. So are the strips of a picture that does not fit.

    Parameters
    ----------
    source : path, or bytes
    target : path, optional
        None stands for memory: see `encoded`.
    how : How
    saving : Saving
    overwrite, first_frame : bool
    max_pixels : int, optional
        See `upscale_file`.
    name : object, optional
        What messages call the source, where it is no path.
    """

    source: Path | bytes
    target: Path | None
    how: How
    saving: Saving = field(default_factory=Saving)
    overwrite: bool = False
    first_frame: bool = False
    max_pixels: int | None = MAX_PIXELS
    name: object = None
    picture: Picture | None = None  # what has been read; then what it has become
    frames: Frames | None = None
    strips: Strips | None = None
    size: tuple[int, int] = (0, 0)
    flattened: bool = False  # whether transparency has been laid over the background
    content: bytes = b""

    @property
    def label(self) -> object:
        """What messages call the source."""
        return name_of(self.source) if self.name is None else self.name

    def read(self) -> None:
        """Decode the picture, as what is to be written can hold it; refuse what cannot be done before any work."""
        if self.target is not None:
            refuse_target(self.source, self.target, self.overwrite, self.saving)
        rows = self._rows()
        if rows is not None:
            self._begin_strips(rows)
            return
        frames = self._several()
        if frames is None:
            self._take(read_picture(self.source, self.max_pixels, self.name))
        elif self.first_frame:
            self._take(next(iter(frames)).picture)
        else:
            check_frames(frames.moving, self.target, self.saving)
            self.frames = frames

    @property
    def by_rows(self) -> bool:
        """Whether the result could be written strip by strip."""
        return not why_not(self.target, self.saving, self.how.runner, self.how.ensemble)

    def _rows(self) -> Rows | None:
        """The picture to be read by rows, where the whole would not fit; None where it does, or must be read whole."""
        extents = extents_of(self.source, self.label) if self.by_rows else None
        if extents is None or self.how.fits(self._need(Kind(*extents, 4, False, True, True))):
            return None
        rows = rows_of(self.source, self.label, self.max_pixels)
        if rows is None:
            return None
        sample = rows.sample
        has_alpha = sample.alpha is not None
        kind = Kind(rows.width, rows.height, sample.colour.itemsize, sample.grey, has_alpha, has_alpha)
        return None if self.how.fits(self._need(kind)) else rows

    def _need(self, kind: Kind) -> int:
        """Memory for all, from reading on."""
        return kind.width * kind.height * (kind.channels * kind.itemsize + READ) + self.how.needed_bytes(kind)

    def _take(self, picture: Picture) -> None:
        """Go on with a picture that is in memory."""
        self.picture = self._fitted(picture, self.by_rows)
        kind = kind_of(self.picture)
        size = kind.width * kind.height * kind.channels * kind.itemsize * self.how.runner.scale**2
        large = size > format_for(self.target, self.saving).most
        if self.by_rows and (large or not self.how.fits(self.needed_bytes())):
            flattened, rows, self.picture = self.flattened, Whole(self.picture), None
            self._begin_strips(rows)
            self.flattened = flattened
        elif self.picture is not None:
            self._refuse_full_disk(self.picture, self.picture, False)

    def _begin_strips(self, rows: Rows) -> None:
        how = self.how
        fitting = FittedRows(rows, self.label, self.target, how.runner.scale, self.saving)
        self._refuse_full_disk(rows, fitting.sample, True)
        self.strips = Strips(fitting, how.runner, how.threads, how.tile, how.strip)
        self.flattened = fitting.flattened

    def _several(self) -> Frames | None:
        """The pictures of a file of several."""
        with suppress(PictureError):  # of what Pillow cannot open; `read_picture` may, or says why not
            frames = read_frames(self.source, self.max_pixels, self.name)
            return frames if len(frames) > 1 else None
        return None

    def enlarge(self, progress: Progress | None = None) -> None:
        """Compute the result; of several pictures, and of strips, write it, too."""
        if self.strips is not None and self.target is not None:
            self.size = self.strips.write(self.target, self.overwrite, self.saving, progress)
        elif self.frames is not None and self.target is not None:
            write_frames(
                self._enlarged(self.frames, progress), self.target, self.overwrite, self.saving, self.frames.loop
            )
        elif self.frames is not None:
            with TemporaryDirectory() as folder:
                place = Path(folder) / "result"
                write_frames(self._enlarged(self.frames, progress), place, True, self.saving, self.frames.loop)
                self.content = place.read_bytes()
        elif self.picture is not None:
            self._refuse_need()
            self.picture = self.how.enlarge(self.picture, progress)
            self.size = self.picture.width, self.picture.height

    def needed_bytes(self) -> int:
        """Memory for `enlarge` and `write`, behind `read`; of several pictures, for those of the first one's size."""
        if self.strips is not None:
            return self.strips.need
        return 0 if self.picture is None else self.how.needed_bytes(kind_of(self.picture))

    def write(self) -> tuple[int, int]:
        """Write the result, whole or not at all; returns its width and height."""
        if self.picture is not None and self.target is not None:
            write_picture(self.picture, self.target, self.overwrite, self.saving)
            self.picture = None
        return self.size

    def encoded(self) -> bytes:
        """The result as the content of a file of the format that `saving` names."""
        if self.picture is None or self.saving.format is None:
            return self.content
        return encode_picture(self.picture, self.saving.format, self.saving)

    def _refuse_full_disk(self, extents: Picture | Rows, sample: Picture, by_rows: bool) -> None:
        width, height = (enlarged_side(side, self.how.runner.scale) for side in (extents.width, extents.height))
        form = format_for(self.target, self.saving)
        refuse_full_disk(self.target, form, width, height, sample, by_rows)

    def _refuse_need(self) -> None:
        """Refuse, before the work, a picture that needs more memory than there is, in the smallest tiles."""
        assert self.picture is not None
        cure = why_not(self.target, self.saving, self.how.runner, self.how.ensemble)
        how = replace(self.how, tile=self.how.tile or SMALL_TILE)
        refuse_need(kind_of(self.picture), how.needed_bytes(kind_of(self.picture)), how.runner.scale, cure)

    def _fitted(self, picture: Picture, by_rows: bool = False) -> Picture:
        result = fitted(picture, self.target, self.how.runner.scale, self.saving, by_rows)
        self.flattened = picture.alpha is not None and result.alpha is None and not picture.opaque()
        return result

    def _enlarged(self, frames: Frames, progress: Progress | None) -> Iterator[Frame]:
        count, total = len(frames), 0
        for n, frame in enumerate(frames):
            picture = self._fitted(frame.picture)
            total = total or int(picture.width * picture.height * self.how.runner.scale**2) * count
            enlarged = self.how.enlarge(picture, span_of(progress, n / count, (n + 1) / count, total))
            self.size = enlarged.width, enlarged.height
            yield replace(frame, picture=enlarged)
