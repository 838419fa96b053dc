"""PSNR and SSIM as the super-resolution literature reports them."""

from typing import Any

import numpy as np
from scipy.ndimage import correlate1d

from npbsrn.errors import UsageError

Array = np.ndarray[Any, Any]

# Rec. ITU-R BT.601, studio swing: Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255 for R, G, B in 0..255
BT601 = np.array([65.481, 128.553, 24.966])
PEAK = 255.0  # of the literature's figures, though Y ends at 235


def luma(picture: Array) -> Array:
    """Luma Y of BT.601.

    Parameters
    ----------
    picture : (H, W, 3) uint8

    Returns
    -------
    y : (H, W) float64, in [16, 235], not rounded
    """
    return 16.0 + picture.astype(np.float64) @ (BT601 / 255.0)


def psnr(x: Array, y: Array, peak: float | None = None) -> float:
    """Peak signal-to-noise ratio in dB; infinite for equal pictures.

    Parameters
    ----------
    x, y : arrays of one shape
    peak : float, optional
        The largest value that a pixel can take: by default the highest of the whole numbers' type. Floats do not tell
        it, so it must be given with them.
    """
    peak = _peak(x, y, peak)
    error = float(np.mean((np.asarray(x, np.float64) - np.asarray(y, np.float64)) ** 2))
    return float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))


def ssim(x: Array, y: Array, peak: float | None = None) -> float:
    """Structural similarity with an 11x11 Gaussian window (sigma 1.5), mean over the valid region.

    Parameters
    ----------
    x, y : (H, W) arrays of one shape; where an axis is shorter than 11 pixels there is no valid region and the
        result is NaN.
    peak : float, optional
        The largest value that a pixel can take: by default the highest of the whole numbers' type. Floats do not tell
        it, so it must be given with them (the ``data_range`` of scikit-image).

    References
    ----------
    Z. Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE TIP, 2004,
    eq. 13 with K1 = 0.01, K2 = 0.03.
    """
    peak = _peak(x, y, peak)
    if min(x.shape) < 11:
        return float("nan")
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    taps /= taps.sum()

    def blur(image: Array) -> Array:
        return correlate1d(correlate1d(image, taps, axis=0), taps, axis=1)[5:-5, 5:-5]

    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    above = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    below = (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    return float(np.mean(above / below))


def _peak(x: Array, y: Array, peak: float | None) -> float:
    """The peak that was given, or that of the type of two pictures that can be compared."""
    if x.shape != y.shape:
        raise UsageError(f"pictures to compare must have one shape, not {x.shape} and {y.shape}")
    if peak is not None:
        return float(peak)
    if x.dtype != y.dtype or x.dtype.kind != "u":
        raise UsageError(f"say the peak of pictures of {x.dtype} and {y.dtype}: the largest value of a pixel, as 255")
    return float(np.iinfo(x.dtype).max)


def compare(result: Array, truth: Array, scale: int) -> tuple[float, float]:
    """PSNR and SSIM of a result by the protocol of the literature: on Y, without `scale` pixels at each border.

    Parameters
    ----------
    result, truth : (H, W, 3) uint8
    scale : int

    Returns
    -------
    psnr : float, in dB
    ssim : float
        NaN where a cropped axis is shorter than the 11 pixels of the window.
    """
    inner = (slice(scale, -scale), slice(scale, -scale))
    y, y_truth = luma(result)[inner], luma(truth)[inner]
    return psnr(y, y_truth, PEAK), ssim(y, y_truth, PEAK)
