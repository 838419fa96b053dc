"""How a picture is to be written, where its format leaves a choice."""

from collections.abc import Mapping
from dataclasses import dataclass

QUALITY = 95  # of JPEG and lossy WebP

Colour = tuple[int, int, int]
WHITE: Colour = (255, 255, 255)


@dataclass(frozen=True)
class Saving:
    """Choices for one file.

    Parameters
    ----------
    quality : int, optional
        Of JPEG, and of WebP and AVIF, which are then lossy: 1 to 100. By default `QUALITY`, and a lossless WebP stays
        lossless.
    background : (red, green, blue), optional
        Each 0..255. Where the format holds no transparency, the picture is laid over this colour; without it, such a
        picture is refused.
    strip : bool
        Whether everything but the samples and what gives them their colour is left out: EXIF, XMP, IPTC, texts, dpi,
        and `provenance`.
    provenance : mapping of str to str, optional
        How the picture came about; see `provenance`.
    format : str, optional
        A suffix, such as "png" or ".png", that counts instead of the file's own.
    make_folder : bool
        Whether the file's folder is made where it is missing, when there is something to write into it. By default a
        file in a missing folder is refused.
    """

    quality: int | None = None
    background: Colour | None = None
    strip: bool = False
    provenance: Mapping[str, str] | None = None
    format: str | None = None
    make_folder: bool = False


def provenance(version: str, model: str, scale: float, digest: str | None = None) -> dict[str, str]:
    """How an enlargement came about, in the form that `Saving` takes.

    Parameters
    ----------
    version : str
        Of this package.
    model : str
        A name, or a file's name.
    scale : float
    digest : str, optional
        Hash of the weights.

    Returns
    -------
    entries : dict of str to str
        "Software" becomes a PNG's text and EXIF's tag of this name; of the others, a PNG gets ``npbsrn:NAME``, and
        EXIF's tag all in one line.
    """
    entries = {"Software": f"npbsrn {version}", "model": model, "scale": f"{scale:g}"}
    return entries | ({"weights": digest} if digest else {})
