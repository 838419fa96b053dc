import numpy as np
import pytest

from npbsrn.errors import UsageError
from npbsrn.images.metrics import compare, luma, psnr, ssim


def test_luma_of_black_white_and_primaries():
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    np.testing.assert_allclose(luma(colours), [[16, 235, 81.481, 144.553, 40.966]])


def test_psnr():
    x = np.zeros((4, 4))
    assert psnr(x, x, 255) == float("inf")
    assert psnr(x, x + 255, 255) == pytest.approx(0)
    assert psnr(x, x + 2.55, 255) == pytest.approx(40)


def test_ssim_equals_its_definition_window_by_window(rng):
    x = rng.uniform(0, 255, (14, 13))
    y = x + rng.normal(0, 20, x.shape)
    axis = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(axis, axis) / np.outer(axis, axis).sum()
    values = []
    for i, j in np.ndindex(4, 3):
        a, b = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
        mean_a, mean_b = (window * a).sum(), (window * b).sum()
        var_a, var_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
        cov = (window * (a - mean_a) * (b - mean_b)).sum()
        c1, c2 = 2.55**2, 7.65**2
        values.append(
            (2 * mean_a * mean_b + c1) * (2 * cov + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
        )
    assert ssim(x, y, 255) == pytest.approx(np.mean(values))
    assert ssim(x, x, 255) == pytest.approx(1)


def test_ssim_without_a_valid_region_is_undefined():
    assert np.isnan(ssim(np.zeros((10, 30)), np.zeros((10, 30)), 1))


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_the_peak_of_floats_must_be_said(metric, rng):
    """Taken for 255 unasked, that of fractions would give an SSIM of nearly 1 for whatever is compared."""
    x, y = rng.integers(0, 256, (2, 12, 13), np.uint8)
    expected = metric(x / 255, y / 255, 1.0)
    assert metric(x, y) == pytest.approx(expected)
    assert metric(x * np.uint16(257), y * np.uint16(257)) == pytest.approx(expected)
    assert metric(x.astype(np.float32), y.astype(np.float32), 255) == pytest.approx(expected)
    for pair in ((x / 255, y / 255), (x, y / 255), (x, y.astype(np.uint16)), (x.astype(int), y.astype(int))):
        with pytest.raises(UsageError, match="say the peak of pictures of"):
            metric(*pair)


def test_borders_do_not_count(rng):
    x = rng.integers(0, 256, (30, 30, 3), np.uint8)
    y = x.copy()
    y[:4] = y[-4:] = 0
    y[:, :4] = y[:, -4:] = 0
    assert compare(x, y, 4)[0] == float("inf")
    assert compare(x, y, 3)[0] < float("inf")


def test_other_shapes_are_refused():
    with pytest.raises(UsageError, match=r"must have one shape, not \(2, 2\) and \(2, 3\)"):
        psnr(np.zeros((2, 2)), np.zeros((2, 3)))
