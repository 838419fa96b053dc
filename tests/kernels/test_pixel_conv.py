"""Convolutions of pixels against the plain sum."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npbsrn.kernels.pixel_conv import CHUNK, convolve, convolve_column, workspace_for
from npbsrn.kernels.winograd import MOST, SIZES, plain, transformed, vectors_of
from tests.strategies import PLANE_CHANNELS, plane_channels, seeds

GROUP = 16 * MOST  # outputs that are computed together


def correlation(x, w):
    """(R + k - 1, L, C) by (O, C, k, k) to (R, L - k + 1, O), in float64."""
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), w.shape[2:], axis=(0, 1))
    return np.einsum("hwcij,ocij->hwo", windows, w)


def make_case(rng, size, channels, outputs, rows, chunks=1):
    x = rng.standard_normal((rows + size - 1, CHUNK * chunks + size + 15, channels)).astype(np.float32)
    w = rng.standard_normal((outputs, channels, size, size)) / (size * np.sqrt(channels))
    bias = np.zeros(16 * vectors_of(outputs), np.float32)
    bias[:outputs] = rng.standard_normal(outputs)
    return x, w, bias


def assert_near(y, x, w, bias):
    """Rounding errors grow with the sum of the terms' magnitudes, however small the sum itself is."""
    rows, columns = y.shape[:2]
    exact, most = (correlation(a, b)[:rows, :columns] + c for a, b, c in ((x, w, bias), map(np.abs, (x, w, bias))))
    steps = 4 if w.shape[2] == 7 else 8  # two complex points halve the errors; see `npbsrn.kernels.winograd`
    assert np.abs(y - exact).max() <= steps * np.finfo(np.float32).eps * most.max()


def run(x, w, bias, size, y, first):
    convolve(x, w, bias, size, y, first, workspace_for(len(x), x.shape[2], size))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("outputs", PLANE_CHANNELS)
def test_any_number_of_outputs(size, outputs):
    check_outputs(size, outputs)


def check_outputs(size, outputs):
    x, w, bias = make_case(np.random.default_rng(outputs), size, 5, outputs, 3)
    y = np.full((3, CHUNK, len(bias)), np.nan, np.float32)
    run(x, transformed(w), bias, size, y, 0)
    assert_near(y[:, :, :outputs], x, w, bias[:outputs])
    assert not y[:, :, outputs:].any()


@settings(max_examples=30)
@given(st.sampled_from(SIZES), plane_channels, st.integers(1, 50), st.integers(1, 20), st.integers(1, 3), seeds)
def test_any_extents(size, channels, outputs, rows, chunks, seed):
    x, w, bias = make_case(np.random.default_rng(seed), size, channels, outputs, rows, chunks)
    y = np.full((rows, 3 + CHUNK * chunks + 7, len(bias) + 3), np.nan, np.float32)
    run(x, transformed(w), bias, size, y, 3)
    inside = y[:, 3 : 3 + CHUNK * chunks]
    assert_near(inside[:, :, :outputs], x, w, bias[:outputs])
    assert np.isnan(y[:, :3]).all()
    assert np.isnan(y[:, 3 + CHUNK * chunks :]).all()
    assert np.isnan(inside[:, :, len(bias) :]).all()


@pytest.mark.parametrize("size", SIZES)
def test_rounding_errors_are_small(rng, size):
    """Against those of the plain sum in float32, over many inputs."""
    x, w, bias = make_case(rng, size, 51, 48, 4)
    y = np.empty((4, CHUNK, len(bias)), np.float32)
    run(x, transformed(w), bias, size, y, 0)
    exact = correlation(x, w.astype(np.float32).astype(np.float64))[:, :CHUNK]
    plain_sum = np.empty_like(y)
    for column in range(CHUNK):
        convolve_column(x, plain(w), bias, size, plain_sum, column)
    rms = [np.sqrt(np.mean((z - bias - exact) ** 2)) for z in (y, plain_sum)]
    assert rms[0] < 3 * rms[1]


@pytest.mark.parametrize("size", SIZES)
def test_rows_and_chunks_do_not_matter(rng, size):
    x, w, bias = make_case(rng, size, 20, 40, 7, 3)
    filters = transformed(w)
    whole = np.empty((7, 3 * CHUNK, len(bias)), np.float32)
    run(x, filters, bias, size, whole, 0)
    for r in range(7):
        for chunk in range(3):
            part = np.empty((1, CHUNK, len(bias)), np.float32)
            pixels = x[r : r + size, chunk * CHUNK : (chunk + 1) * CHUNK + size + 15]
            run(np.ascontiguousarray(pixels), filters, bias, size, part, 0)
            assert part.tobytes() == whole[r : r + 1, chunk * CHUNK : (chunk + 1) * CHUNK].tobytes()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("above", "below"), [(0, 1), (1, 0), (1, 1), (2, 1)])
def test_rows_of_zeros_are_left_out(rng, size, above, below):
    """In the first group of outputs; the others have no such rows. It is not to be seen in any byte."""
    x, w, bias = make_case(rng, size, 20, 3 * GROUP, 7)
    w[:GROUP, :, :above] = w[:GROUP, :, size - below :] = 0
    filters, y = transformed(w), np.empty((2, 7, CHUNK, len(bias)), np.float32)
    first = [above, size - below] if above + below < size else [0, 0]
    assert filters.rows.tolist() == [first, [0, size], [0, size]]
    assert filters.used * 3 * size == filters.values.size * (first[1] - first[0] + 2 * size)
    everything = filters._replace(rows=np.full_like(filters.rows, [0, size]))
    for own, out in zip((filters, everything), y, strict=True):
        run(x, own, bias, size, out, 0)
    assert y[0].tobytes() == y[1].tobytes()


@pytest.mark.parametrize("size", SIZES)
@given(st.integers(1, 20), st.integers(1, 100), st.integers(1, 19), st.integers(0, 9), seeds)
@settings(max_examples=20)
def test_one_column(size, channels, outputs, rows, column, seed):
    check_column(size, channels, outputs, rows, column, seed)


def check_column(size, channels, outputs, rows, column, seed):
    x, w, bias = make_case(np.random.default_rng(seed), size, channels, outputs, rows)
    y = np.full((rows, CHUNK, len(bias)), np.nan, np.float32)
    convolve_column(x, plain(w), bias, size, y, column)
    np.testing.assert_allclose(y[:, column, :outputs], correlation(x, w)[:, column] + bias[:outputs], atol=2e-5)
    assert np.isnan(np.delete(y, column, axis=1)).all()
    alone = np.empty_like(y[-1:])
    convolve_column(x[-size:], plain(w), bias, size, alone, column)
    assert alone[:, column].tobytes() == y[-1:, column].tobytes()
