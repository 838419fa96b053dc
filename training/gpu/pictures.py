"""Pictures on a device, and batches of patches that are a pure function of seed and step."""

import io
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from npbsrn.datasets.pairs import Pair, find_pairs, read_pair
from npbsrn.errors import PictureError
from npbsrn.training.config import TrainConfig
from npbsrn.training.degrade import degrade
from npbsrn.training.places import CELL, least_error, window_errors

Array = np.ndarray[Any, Any]
Tensor = torch.Tensor
Map = Callable[..., Iterable[Any]]  # such as `map`, or a pool's

JUDGED = 75  # quality of the JPEG files of which networks for degraded pictures are judged


def read(pair: Pair, scale: int, variant: int | None) -> tuple[Array, Array] | None:
    """LR and HR of a pair, LR degraded in a way of its own for each `variant`; None if it cannot be used."""
    try:
        lr, hr = read_pair(pair, scale)
    except PictureError as error:
        print(f"left out: {error}", flush=True)
        return None
    if variant is not None:
        lr = degrade(lr, np.random.default_rng((zlib.crc32(pair.name.encode()), variant)))
    return lr, hr


def _read_errors(arguments: tuple[Pair, int, int | None, int]) -> tuple[Array, Array, Array] | None:
    """A pair and its `window_errors`."""
    pair, scale, variant, side = arguments
    found = read(pair, scale, variant)
    if found is None or min(found[0].shape[:2]) < side:
        return None
    return *found, window_errors(*found, scale, side)


@dataclass(frozen=True)
class Pictures:
    """All pictures on a device, one behind the other, and the places that patches are drawn from.

    Parameters
    ----------
    low, high : (pixels, 3) uint8
    offset, width : (pictures,) int64
        First pixel and width of each LR picture.
    places : (places, 3) int64
        Picture, top, left.
    scale : int
    """

    low: Tensor
    high: Tensor
    offset: Tensor
    width: Tensor
    places: Tensor
    scale: int

    def tensors(self) -> tuple[Tensor, ...]:
        """What `batch` takes."""
        return self.low, self.high, self.offset, self.width, self.places


def load_pictures(folders: list[Path], config: TrainConfig, variants: int, device: str, every: Map = map) -> Pictures:
    """Read the pictures of some folders; of each, with ``config.degrade``, so many variants."""
    scale, side = config.scale, config.patch
    kinds = range(variants) if config.degrade else [None]
    tasks = [(pair, scale, kind, side) for folder in folders for pair in find_pairs(folder, scale) for kind in kinds]
    found = [one for one in every(_read_errors, tasks) if one is not None]
    if not found:
        raise ValueError("no picture is as large as a patch")
    counts = sum(np.bincount(errors.ravel(), minlength=2**16) for _, _, errors in found)
    least = least_error(np.asarray(counts), config.keep)
    places = [np.insert(np.argwhere(errors >= least) * CELL, 0, n, axis=1) for n, (_, _, errors) in enumerate(found)]
    areas = [lr.shape[0] * lr.shape[1] for lr, _, _ in found]
    arrays = (
        np.concatenate([lr.reshape(-1, 3) for lr, _, _ in found]),
        np.concatenate([hr.reshape(-1, 3) for _, hr, _ in found]),
        np.cumsum([0, *areas[:-1]]),
        np.array([lr.shape[1] for lr, _, _ in found]),
        np.concatenate(places),
    )
    print(f"x{scale}: {len(found)} pictures, {sum(areas) / 1e6:.1f} MP, {len(arrays[4])} places", flush=True)
    return Pictures(*(torch.from_numpy(array).to(device) for array in arrays), scale)


def _jpeg(picture: Array) -> Array:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=JUDGED)
    return np.asarray(Image.open(file)).copy()


def load_held(folders: list[Path], config: TrainConfig, device: str) -> dict[str, list[tuple[Tensor, Tensor]]]:
    """Held-out pictures by the name of their folder; with ``config.degrade``, those of the first as JPEG, too."""
    held = {}
    for folder in folders:
        pairs = (read(pair, config.scale, None) for pair in find_pairs(folder, config.scale))
        held[folder.name] = [pair for pair in pairs if pair is not None]
    if config.degrade and folders:
        held["jpeg"] = [(_jpeg(lr), hr) for lr, hr in held[folders[0].name]]
    return {
        name: [(torch.from_numpy(lr).to(device), torch.from_numpy(hr).to(device)) for lr, hr in pairs]
        for name, pairs in held.items()
    }


def mix(x: Tensor) -> Tensor:
    """A hash of whole numbers (splitmix64, Steele et al., OOPSLA 2014): 0 to 2**62 - 1."""
    x = x * -7046029254386353131
    x = (x ^ ((x >> 30) & ((1 << 34) - 1))) * -4658895280553007687
    x = (x ^ ((x >> 27) & ((1 << 37) - 1))) * -7723592293110705685
    return (x ^ ((x >> 31) & ((1 << 33) - 1))) & ((1 << 62) - 1)


def batch(
    low: Tensor, high: Tensor, offset: Tensor, width: Tensor, places: Tensor, step: Tensor, scale: int,
    config: TrainConfig,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The patches of a step, (size, 3, patch, patch) in [0, 1], and their targets.

    A function of pictures, seed and step alone, as npbsrn's batches are, but of other patches: a graph on a device
    cannot ask NumPy's generator. Not to be compiled: what PyTorch 2.13 makes of it on a CPU gives other patches.
    """
    n = torch.arange(config.batch, device=step.device)
    key = mix(step * 4096 + n + config.seed * 1_000_003)
    picture, top, left = places[key % len(places)].T
    turn = mix(key + 1) % 8
    start, across = offset[picture], width[picture]

    def cut(factor: int, pixels: Tensor) -> Tensor:
        side = config.patch * factor
        line = torch.arange(side, device=step.device)
        i, j = line[None, :, None].expand(1, side, side), line[None, None, :].expand(1, side, side)
        t = turn[:, None, None]
        i, j = torch.where(t % 2 == 1, side - 1 - i, i), torch.where(t // 2 % 2 == 1, side - 1 - j, j)
        i, j = torch.where(t // 4 == 1, j, i), torch.where(t // 4 == 1, i, j)
        row, column = top[:, None, None] * factor + i, left[:, None, None] * factor + j
        at = start[:, None, None] * factor**2 + row * (across * factor)[:, None, None] + column
        return planes(pixels[at])

    x, y = cut(1, low), cut(scale, high)
    if config.flat_patches:
        colour = torch.stack([mix(key + 3 + c) % 256 for c in range(3)], 1).float()[:, :, None, None] / 255
        flat = (n < config.flat_patches)[:, None, None, None]
        x, y = torch.where(flat, colour, x), torch.where(flat, colour, y)
    return x, y


def planes(pixels: Tensor) -> Tensor:
    """(..., H, W, 3) uint8 to (..., 3, H, W) in [0, 1]."""
    return pixels.movedim(-1, -3).float() / 255


def psnr(x: Tensor, high: Tensor, border: int) -> Tensor:
    """PSNR on Y without a border, as `npbsrn.images.metrics.compare`: x (3, H, W) in [0, 1], high (H, W, 3) uint8."""

    def luma(p: Tensor) -> Tensor:
        return 16 + (65.481 * p[0] + 128.553 * p[1] + 24.966 * p[2]) / 255

    wrong = luma(torch.round(x.clamp(0, 1) * 255).double()) - luma(high.permute(2, 0, 1).double())
    return 10 * torch.log10(255**2 / wrong[border:-border, border:-border].square().mean())
