"""Both products of a picture as one long row against sums term by term, exactly: all values are small whole numbers."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npbsrn.kernels import long_row
from npbsrn.kernels.signed_sums import aligned, sums_of_five
from npbsrn.ops.conv import conv2d_ref
from tests.kernels.test_pixel_tables import pack

cases = st.tuples(
    st.integers(1, 7), st.integers(1, 40), st.sampled_from([16, 48, 80, 128]), st.sampled_from([16, 32]),
    st.integers(0, 999),
)  # fmt: skip


def draw(height, width, outputs, inputs, seed):
    rng = np.random.default_rng(seed)
    g = rng.integers(-4, 5, (outputs, height, width)).astype(np.float32)
    w = rng.choice(np.array([-1, 1], np.float32), (outputs, inputs, 1, 1))
    return g, w, rng.choice(np.array([-1, 1], np.float32), (inputs, height, width))


def as_row(g, length):
    """(C, H, W) as one row of lines of W + 2, zeros between them."""
    row = np.zeros((len(g), length), np.float32)
    lines = np.pad(g, ((0, 0), (0, 0), (0, 2))).reshape(len(g), -1)
    row[:, : lines.shape[1]] = lines
    return row


@settings(max_examples=25, deadline=None)
@given(cases)
def test_products_with_pixel_signs(case):
    height, width, outputs, inputs, _ = case
    g, w, x = draw(*case)
    line, blocks = width + 2, -(-height * (width + 2) // long_row.SPAN)
    pixels = (height + 2) * line
    length = long_row.index_length(pixels, line)
    indices = np.zeros(inputs * length, np.uint8)
    bits = np.append(pack(x), np.zeros(64, np.uint16))
    long_row.pixel_indices(bits, 0, inputs // 16, pixels, length, indices, 0)
    row, turned, tables = as_row(g, blocks * 60 + 16), aligned(64 * 16), aligned(12 * 512)
    dw = np.zeros(outputs * inputs, np.float32)
    for o, p in itertools.product(range(0, outputs, 16), range(0, blocks * 60, 60)):
        long_row.span_tables(row.ravel(), o * row.shape[1] + p, row.shape[1], turned, tables)
        long_row.add_products(indices, 0, length, inputs, tables, p, line, dw, o * inputs)
    _, pull = conv2d_ref(x[None], w, pad_value=1.0)
    products = dw.reshape(-1, inputs, 16).transpose(0, 2, 1).reshape(w.shape)
    np.testing.assert_array_equal(products, pull(g[None])[1])


@settings(max_examples=25, deadline=None)
@given(cases)
def test_products_with_filter_signs(case):
    height, width, outputs, inputs, seed = case
    g, w, x = draw(*case)
    line, vectors = width + 2, -(-height * (width + 2) // 16)
    scale = np.random.default_rng(seed).integers(1, 4, outputs).astype(np.float32)
    row, tables, indices = as_row(g, vectors * 16), aligned(13 * 512), long_row.filter_indices(w[..., 0, 0])
    length = row.shape[1] + 16
    out = np.zeros((inputs, length), np.float32)
    for p in range(0, row.shape[1], 16):
        first = start = 0
        for chunk in long_row.chunks_of(outputs):
            long_row.channel_tables(row.ravel(), p, row.shape[1], scale, first, chunk, tables)
            long_row.spread(tables, indices, start, chunk, inputs, p, length, out.reshape(-1))
            start += long_row.chunk_indices(w[first : first + 16 * chunk, :, 0, 0]).size
            first += 16 * chunk
    own = out[:, : height * line].reshape(inputs, height, line)[..., :width]
    _, pull = conv2d_ref(x[None], w)
    np.testing.assert_array_equal(own, pull((scale[:, None, None] * g)[None])[0][0])


def test_all_signs_of_five():
    values = np.repeat(np.array([1, 10, 100, 1000, 10000], np.float32), 16)
    out = aligned(512)
    fill(values, out)
    for n, entry in enumerate(out.reshape(32, 16)):
        np.testing.assert_array_equal(entry, sum(10**b * (-1) ** (n >> b & 1) for b in range(5)))


@long_row.kernel()
def fill(values, out):
    a, b, c = long_row.load(values, 0), long_row.load(values, 16), long_row.load(values, 32)
    sums_of_five(a, b, c, long_row.load(values, 48), long_row.load(values, 64), out, 0)


@pytest.mark.parametrize("vectors", range(1, 20))
def test_chunks(vectors):
    chunks = long_row.chunks_of(16 * vectors)
    assert sum(chunks) == vectors
    assert max(chunks) <= 4
    assert max(chunks) - min(chunks) <= 1
    assert len(chunks) == -(-vectors // 4)
