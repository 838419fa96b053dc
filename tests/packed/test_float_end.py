"""Float ends of all kinds against the layers, in float64."""

from itertools import pairwise

import numpy as np
import pytest

from npbsrn.kernels.bits import TILE
from npbsrn.kernels.winograd import STEP
from npbsrn.networks.base import FACTORS, MIDDLE
from npbsrn.ops.conv import conv2d
from npbsrn.ops.enlarge import enlarge
from npbsrn.ops.shuffle import pixel_shuffle
from npbsrn.packed.float_end import FloatEnd
from tests.other_cpus import CPUS, run_held

# Trunk, size of the skip's head, scale (of which 1 has no stages), size of the last convolution, base, channels.
# A last convolution of 1x1 stands behind a direct tail.
ENDS = {
    "bsrn x2": (True, 3, 2, 3, "bicubic", 20),
    "bsrn x3": (True, 3, 3, 3, "none", 16),
    "bsrn x4": (True, 3, 4, 3, "bicubic", 17),
    "srresnet x2": (True, 9, 2, 9, "none", 16),
    "srresnet x3": (True, 9, 3, 9, "bicubic", 20),
    "srresnet x4": (True, 9, 4, 9, "none", 17),
    "vdsr": (False, 0, 1, 3, "picture", 20),
    "last of 9x9 alone": (False, 0, 1, 9, "none", 5),
    "no trunk": (False, 0, 2, 9, "bicubic", 16),
    "no trunk x3": (False, 0, 3, 3, "none", 20),
    "no trunk x4": (False, 0, 4, 5, "bicubic", 17),
    "no skip": (True, 0, 2, 3, "none", 16),
    "direct x2": (False, 0, 2, 1, "bicubic", 16),
    "direct x3 with a trunk": (True, 3, 3, 1, "bicubic", 20),
    "direct x4": (False, 0, 4, 1, "bicubic", 17),
    "direct x4 without base": (False, 0, 4, 1, "none", 16),
    "no stages": (True, 3, 1, 7, "picture", 16),
}
EXTENTS = [(1, 1), (2, 3), (3, 33), (6, 70)]


def filters(rng, outputs, inputs, size):
    w = rng.standard_normal((outputs, inputs, size, size)) / (size * np.sqrt(inputs))
    return w.astype(np.float32), rng.standard_normal(outputs).astype(np.float32)


def stream_of(x):
    """(C, H, W) to the stream, with what must not be looked at behind each row's end."""
    channels, height, width = x.shape
    tiles = -(-width // TILE)
    padded = np.pad(x, ((0, 0), (0, 0), (0, tiles * TILE - width)), constant_values=np.nan)
    whole = padded.reshape(channels, height, tiles, TILE).transpose(1, 2, 0, 3)
    return np.ascontiguousarray(whole).reshape(height, tiles, channels * TILE)


class Case:
    """A float end, and a picture for it."""

    def __init__(self, name, height, width, seed=0):
        rng = np.random.default_rng(seed)
        trunk, head, scale, last, base, channels = ENDS[name]
        self.name, self.height, self.width, self.base_kind = name, height, width, base
        self.factors, colours = ((scale,), 3) if last == 1 else (FACTORS.get(scale, ()), channels)
        self.trunk = filters(rng, channels, channels, 3) if trunk else None
        self.head = filters(rng, channels, 3, head) if head else None
        stages = [filters(rng, colours * r * r, channels, 3) for r in self.factors]
        self.tail = [*stages, filters(rng, 3, colours, last)]
        self.end = FloatEnd(self.trunk, self.head, self.tail, self.factors, base, channels)
        self.looks = 0 if self.head is None else self.head[0].shape[-1] // 2
        self.x = rng.standard_normal((channels, height, width)).astype(np.float32)
        self.picture = rng.random((3, height, width), np.float32)
        self.put(self.x, self.picture)

    def put(self, x, picture):
        """Run on this."""
        self.stream, (_, self.height, self.width) = stream_of(x), x.shape
        around = ((0, 0), *[(self.looks,) * 2] * 2)
        self.image = np.pad(picture - np.float32(MIDDLE), around)
        around = ((0, 0), *[(self.end.base_margin,) * 2] * 2)
        self.base = picture[:0] if self.base_kind == "none" else np.pad(picture, around, mode="symmetric")

    def run(self, rows=None):
        """(R, W, 3 * s * s)."""
        rows = rows or (0, self.height)
        y = self.end.run(self.stream, rows, self.width, self.image, self.base)
        assert y.dtype == np.float32
        assert y[0, self.width :].size >= 15
        return y[:, : self.width, : 3 * self.end.scale**2].copy()

    def expected(self):
        """By the layers, in float64."""
        x, picture = self.x[None].astype(np.float64), self.picture[None].astype(np.float64)
        w, s = [[a.astype(np.float64) for a in own] for own in self.tail], self.end.scale
        if self.trunk is not None:
            own = [a.astype(np.float64) for a in self.trunk]
            more = 0 if self.head is None else conv2d(picture - MIDDLE, *(a.astype(np.float64) for a in self.head))[0]
            x = conv2d(x, *own)[0] + more
        for (weight, bias), r in zip(w, (*self.factors, 1), strict=True):
            x = pixel_shuffle(conv2d(x, weight, bias)[0], r)[0]
        y = x
        y += MIDDLE if self.base_kind == "none" else enlarge(picture, s)[0] if s > 1 else picture
        phases = y[0].reshape(3, self.height, s, self.width, s).transpose(1, 3, 2, 4, 0)
        return phases.reshape(self.height, self.width, -1)


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("extents", EXTENTS)
def test_equals_the_layers(name, extents):
    check_layers(name, *extents)


def check_layers(name, *extents):
    case = Case(name, *extents)
    expected = case.expected()
    np.testing.assert_allclose(case.run(), expected, atol=2e-6 * abs(expected).max(), rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("cpu", CPUS)
def test_lesser_cpus_equal_the_layers(tmp_path, cpu):
    names = "srresnet x2", "vdsr", "last of 9x9 alone"
    run_held(cpu, tmp_path, f"from {__name__} import check_layers\nfor name in {names}: check_layers(name, 5, 70)")


@pytest.mark.parametrize("name", ENDS)
def test_bands_change_nothing(name):
    case = Case(name, 9, 37)
    whole = case.run()
    for cuts in ((0, 1, 4, 9), (0, 7, 8, 9), range(10)):
        bands = [case.run(rows) for rows in pairwise(cuts)]
        assert np.concatenate(bands).tobytes() == whole.tobytes()


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize(("rows", "columns"), [((0, 3), (0, 5)), ((10, 12), (23, 31)), ((25, 30), (50, 57))])
def test_tiles_with_a_margin_change_nothing(name, rows, columns):
    case = Case(name, 30, 57)
    whole = case.run()
    margin = case.end.margin + case.looks  # of the stream, which the head makes of the picture
    outer = [slice(max(a - margin, 0) // STEP * STEP, b + margin) for a, b in (rows, columns)]
    case.put(case.x[:, *outer], case.picture[:, *outer])
    (top, bottom), (left, right) = (
        (a - own.start, b - own.start) for (a, b), own in zip((rows, columns), outer, strict=True)
    )
    tile = case.run((top, bottom))[:, left:right]
    assert tile.tobytes() == whole[slice(*rows), slice(*columns)].tobytes()


@pytest.mark.parametrize("name", ENDS)
def test_rows_beyond_the_reach_are_not_looked_at(name):
    case = Case(name, 20, 5)
    whole = case.run((9, 11))
    case.stream[: 9 - case.end.reach] = np.nan
    case.stream[11 + case.end.reach :] = np.nan
    assert case.run((9, 11)).tobytes() == whole.tobytes()
    case.stream[9 - case.end.reach] = np.nan
    assert np.isnan(case.run((9, 11))).any()


def test_few_outputs_are_exact_in_whole_numbers():
    case = Case("vdsr", 7, 70)
    rng = np.random.default_rng(1)
    w, bias, x, picture = (
        rng.integers(-4, 5, shape).astype(np.float32) for shape in ((3, 20, 3, 3), (3,), (20, 7, 70), (3, 7, 70))
    )
    case.end = FloatEnd(None, None, [(w, bias)], (), "picture", 20)
    case.put(x, picture)
    expected = conv2d(x[None].astype(np.float64), w.astype(np.float64), bias)[0][0] + picture
    np.testing.assert_array_equal(case.run(), expected.transpose(1, 2, 0))


def test_filters_are_made_when_they_are_needed():
    case = Case("srresnet x2", 30, 30)
    case.run((10, 12))
    assert len(case.end._filters) == 1 + 4
    case.run()
    assert len(case.end._filters) == 25
    tiny = Case("srresnet x2", 1, 1)
    tiny.run()
    assert len(tiny.end._filters) == 4


@pytest.mark.parametrize("name", ENDS)
def test_values_are_at_least_those_that_are_held(name, monkeypatch):
    case, held = Case(name, 12, 70), []

    def counted(shape, dtype):
        held.append(int(np.prod(shape)))
        return np.empty(shape, dtype)

    for module in ("float_end", "direct_tail"):
        monkeypatch.setattr(f"npbsrn.packed.{module}.empty", counted)
    case.run((3, 9))
    assert case.end.values(6, 70) >= sum(held)
