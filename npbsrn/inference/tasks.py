"""What is to be done with a picture file, and how much memory that takes."""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from npbsrn.errors import PictureError, UsageError
from npbsrn.images.animation import MUXED
from npbsrn.images.fitting import check_output, fitted, format_for, refuse_full_disk
from npbsrn.images.frames import Frames, read_frames
from npbsrn.images.layout import Layout, layout_at
from npbsrn.images.opening import MAX_PIXELS, name_of
from npbsrn.images.picture import Picture
from npbsrn.images.resample import enlarged_side
from npbsrn.images.saving import Saving
from npbsrn.images.strips.base import Rows
from npbsrn.inference.needs import needed_bytes, refuse_need
from npbsrn.inference.runners import Runner
from npbsrn.inference.strips import why_not
from npbsrn.inference.upscaling import enlarge
from npbsrn.runtime.memory import available_bytes
from npbsrn.runtime.progress import Progress
from npbsrn.storage.files import refuse_existing

READ = 8  # bytes of a pixel that decoders take beside its samples, at most
SMALL_TILE = 256  # pixels of a side: the packed engine takes no smaller tiles by itself


def check_target(source: Path | bytes, target: Path, overwrite: bool, saving: Saving) -> None:
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

    def needed_bytes(self, layout: Layout, moving: bool = False) -> int:
        """Memory for enlarging a picture, or frame of an animation, and writing the result; beside itself."""
        muxed = int(layout.width * layout.height * self.runner.scale**2 * MUXED) if moving else 0
        return needed_bytes(layout, self.runner, self.threads, self.tile, self.ensemble) + muxed

    def fits(self, need: int) -> bool:
        """Whether there is as much memory, and strips are not asked for."""
        available = available_bytes()
        return self.strip is None and (available is None or need <= available)


@dataclass(frozen=True)
class Task:
    """One file to enlarge; `npbsrn.inference.jobs.begin` begins the work on it.

    Parameters
    ----------
    source : path, or bytes
    target : path, optional
        None stands for memory, or standard output; `saving` names the format then.
    how : How
    saving : Saving
    overwrite, first_frame : bool
    max_pixels : int, optional
        See `npbsrn.inference.files.upscale_file`.
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

    @property
    def label(self) -> object:
        """What messages call the source."""
        return name_of(self.source) if self.name is None else self.name

    @property
    def why_whole(self) -> str:
        """What is to be changed that the result could be written strip by strip; empty if it can."""
        return why_not(self.target, self.saving, self.how.runner, self.how.ensemble)

    def refuse_full_disk(self, extents: Picture | Rows, sample: Picture, by_rows: bool) -> None:
        """Refuse a result for which the disk has no room."""
        width, height = (enlarged_side(side, self.how.runner.scale) for side in (extents.width, extents.height))
        form = format_for(self.target, self.saving)
        refuse_full_disk(self.target, form, width, height, sample, by_rows)

    def several(self) -> Frames | None:
        """The pictures of a file of several; None of any other."""
        with suppress(PictureError):  # of what Pillow cannot open; `read_picture` may, or says why not
            frames = read_frames(self.source, self.max_pixels, self.name)
            return frames if len(frames) > 1 else None
        return None

    def refuse_need(self, layout: Layout, cure: str, moving: bool = False) -> None:
        """Refuse a picture, or a frame of an animation, that needs more memory than there is, in the smallest tiles."""
        how = replace(self.how, tile=self.how.tile or SMALL_TILE)
        refuse_need(layout, how.needed_bytes(layout, moving), how.runner.scale, cure)

    def fitted(self, picture: Picture, by_rows: bool = False) -> Picture:
        """A picture as the target can hold it."""
        return fitted(picture, self.target, self.how.runner.scale, self.saving, by_rows)

    def needed_bytes(self) -> int:
        """Memory for all of the work, by the file's header; 0 where that cannot be read.

        Of a picture as a whole: one that passes in strips takes less.
        """
        frames = None if self.first_frame else self.several()
        layout = layout_at(self.source) if frames is None else frames.layout()
        return 0 if layout is None else self.bytes_for(layout, frames is not None and frames.moving)

    def bytes_for(self, layout: Layout, moving: bool = False) -> int:
        """Memory for all of the work, reading included, on a picture or frame of this layout."""
        return layout.size + layout.width * layout.height * READ + self.how.needed_bytes(layout, moving)
