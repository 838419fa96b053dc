"""Hypothesis strategies of all tests."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

sides = st.integers(1, 9)


@st.composite
def integer_arrays(draw: Any, *shape: st.SearchStrategy[int] | int) -> np.ndarray:
    """Float64 arrays of small whole numbers, in which every sum is exact."""
    extents = tuple(s if isinstance(s, int) else draw(s) for s in shape)
    return draw(hnp.arrays(np.float64, extents, elements=st.integers(-9, 9).map(float)))


@st.composite
def convolutions(
    draw: Any, sizes: tuple[int, ...] = (1, 3, 5), width: int = 9
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """A batch, filters, biases and a value for padding, all whole numbers."""
    n, c, o, h, w = draw(
        st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), sides, st.integers(1, width))
    )
    size = draw(st.sampled_from(sizes))
    x = draw(integer_arrays(n, c, h, w))
    kernel = draw(integer_arrays(o, c, size, size))
    return x, kernel, draw(integer_arrays(o)), float(draw(st.integers(-1, 1)))


@st.composite
def pictures(draw: Any, max_side: int = 24) -> np.ndarray:
    """8-bit pictures: grey, colour, or colour with alpha."""
    side = st.integers(1, max_side)
    shape = draw(st.tuples(side, side)) + draw(st.sampled_from([(), (3,), (4,)]))
    seed = draw(st.integers(0, 1000))
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


leaf_names = st.text("abc_1", min_size=1, max_size=4)
flat_params = st.dictionaries(
    st.lists(leaf_names, min_size=1, max_size=3).map(".".join),
    hnp.arrays(np.float32, hnp.array_shapes(max_dims=3, max_side=3), elements=st.floats(-1, 1, width=32)),
    min_size=1,
    max_size=6,
).filter(lambda flat: not any(b.startswith(a + ".") for a in flat for b in flat))

seeds = st.integers(0, 2**32 - 1)

# Around the ends of words of 16 channels, and of the three words that a kernel holds at once.
PLANE_CHANNELS = (1, 4, 15, 16, 17, 47, 48, 63, 64, 65, 130)
plane_channels = st.sampled_from(PLANE_CHANNELS)
tile_widths = st.sampled_from([1, 31, 32, 33, 63, 64, 65, 96, 128, 129, 130]) | st.integers(1, 130)

bam_options = st.fixed_dictionaries(
    {
        "alpha": st.sampled_from(["learned", "one"]),
        "beta": st.sampled_from(["learned", "one"]),
        "accumulate_filters": st.booleans(),
        "accumulate_activations": st.booleans(),
        "statistic": st.sampled_from(["abs", "mean", "none"]),
    }
)
packable_networks = st.fixed_dictionaries(
    {
        "scale": st.sampled_from([2, 3, 4]),
        "blocks": st.integers(1, 2),
        "width": st.sampled_from([4, 16, 20]),
        "activation": st.sampled_from(["prelu", "none"]),
        "residual": st.sampled_from([0.03, 1.0]),
        "input_gain": st.sampled_from([1.0, 2.5]),
        "binarizer": bam_options,
    }
)

# Shapes of float32 feature maps, which `drawn` fills.
map_shapes = st.tuples(st.integers(1, 6), st.integers(1, 20), st.integers(1, 9), st.integers(1, 50))


def drawn(shape, seed=0):
    """Normal numbers, of which each seed has its own."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
