"""Sample values of pictures: whole numbers of 8 or 16 bits, and fractions."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

BAND = 64  # rows
PEAKS = {"uint8": 255.0, "uint16": 65535.0}  # what stands for 1


def peak_of(dtype: Any) -> float:
    """What stands for 1: that of whole numbers, or 1."""
    return PEAKS.get(np.dtype(dtype).name, 1.0)


def to_fractions(samples: Array) -> Array:
    """Numbers of a picture as float32, in [0, 1]."""
    return samples.astype(np.float32) / np.float32(peak_of(samples.dtype))


def to_samples(fractions: Array, dtype: Any) -> Array:
    """Fractions clipped to [0, 1] and, if `dtype` is of whole numbers, rounded halves up."""
    peak = peak_of(dtype)
    samples = np.empty(fractions.shape, dtype)
    for top in range(0, len(fractions), BAND):  # so that no second float copy of a large picture is there
        clipped = np.clip(fractions[top : top + BAND], 0, 1)
        samples[top : top + BAND] = clipped if peak == 1 else np.floor(clipped * np.float32(peak) + np.float32(0.5))
    return samples


def cast(samples: Array, dtype: Any) -> Array:
    """Samples of another dtype, rounded."""
    return samples if samples.dtype == dtype else to_samples(to_fractions(samples), dtype)
