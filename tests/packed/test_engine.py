"""Whole networks on bits against the float operations, and one result whatever the way to it."""

import dataclasses
import os
import signal
import threading
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npbsrn.images.flat import flat_pixels
from npbsrn.inference.choose import choose_runner
from npbsrn.inference.runners import PlanReference, Reference
from npbsrn.networks.base import MIDDLE
from npbsrn.ops.conv import conv2d
from npbsrn.packed import engine as module
from npbsrn.packed.engine import Engine
from npbsrn.packed.lower import lower
from npbsrn.shipped import MODELS
from tests.packed.models import latent_model, put_on_threshold, random_model, smooth_picture
from tests.strategies import packable_networks, seeds

SMALL = {"scale": 4, "blocks": 2, "width": 20}
VARIANTS = {
    "x4": {},
    "x2": {"scale": 2},
    "x3 without activation": {"scale": 3, "activation": "none"},
    "x4 without base": {"base": "none"},
    "x3 of 65 channels": {"scale": 3, "width": 65, "blocks": 1, "binarizer": {"statistic": "mean"}},
    "x4 without anything": {"activation": "none", "binarizer": {"statistic": "none"}},
    "x2 of three filter bases": {"scale": 2, "binarizer": "abc", "skip": "every"},
    "x2 of shifts": {"scale": 2, "activation": "rprelu"},
    "bbcu": {"name": "bbcu", "binarizer": "bbcu", "residual": 0.3},
    "bbcu x3 without a trunk": {"name": "bbcu", "scale": 3, "binarizer": "bbcu", "trunk": False, "blocks": 5},
    "bbcu x2 of bam, last of 9x9": {"name": "bbcu", "scale": 2, "trunk": False, "last": 9, "width": 64},
    "bbcu direct": {"name": "bbcu", "trunk": False, "tail": "direct", "residual": 0.03, "input_gain": 1.0},
    "bbcu flat": {"name": "bbcu", "binarizer": "bbcu", "residual": 0.3, "flat": True},
    "bbcu x3 direct, a trunk": {"name": "bbcu", "scale": 3, "binarizer": "bbcu", "tail": "direct", "base": "none"},
    "srresnet": {"name": "srresnet", "scale": 3, "binarizer": "dorefa"},
    "vdsr x2": {"name": "vdsr", "scale": 2},
    "vdsr x3": {"name": "vdsr", "scale": 3, "binarizer": "bnn", "norm": True},
    "float activations": {"name": "srresnet", "scale": 2, "binarizer": "bw"},
}
SHIPPED = [(name, scale) for name, model in MODELS.items() for scale in model.scales]
AWKWARD = [(1, 1), (1, 23), (29, 1), (2, 2), (7, 5), (2, 17), (16, 32), (33, 31), (13, 37)]


@lru_cache
def small_engine(variant="x2"):
    return Engine(lower(random_model(5, **SMALL | VARIANTS[variant])))


@lru_cache
def packaged_engine(name, scale):
    return choose_runner(name, scale, "packed")


@pytest.mark.parametrize("base", ["bicubic", "none"])
@settings(max_examples=30)
@given(packable_networks, st.integers(1, 12), st.integers(1, 40), seeds)
def test_random_networks(base, config, height, width, seed):
    """All signs are the same, and all that differs is the order of sums in the tail."""
    model = random_model(seed, base=base, **config)
    picture = smooth_picture(np.random.default_rng(seed), height, width) / np.float32(255)
    difference = abs(Engine(lower(model)).run(picture) - Reference(model).run(picture))
    assert difference.max() < 2e-5


@pytest.mark.parametrize("name", ["bbcu", "bsrn", "srresnet", "vdsr"])
@pytest.mark.parametrize("binarizer", ["bam", "bbcu", "bnn", "dorefa", "abc", "bw", "none"])
def test_every_network_of_every_scheme(rng, name, binarizer):
    model = random_model(7, name=name, scale=2, blocks=2, width=20, binarizer=binarizer)
    picture, engine = smooth_picture(rng, 13, 21) / np.float32(255), Engine(lower(model))
    assert (engine.kernel == "float") == (binarizer in ("bw", "none"))
    assert abs(engine.run(picture) - Reference(model).run(picture)).max() < 2e-5


@pytest.mark.parametrize("trunk", [True, False])
@pytest.mark.parametrize("residual", [0.3, 1.0])
@settings(max_examples=10)
@given(
    st.sampled_from([2, 3, 4]), st.sampled_from([4, 16, 65]), st.integers(1, 12), st.integers(1, 40),
    st.sampled_from([3, 5, 7, 9]), seeds,
)  # fmt: skip
def test_random_networks_of_units(trunk, residual, scale, width, rows, columns, last, seed):
    """Also without a trunk; of a picture of any size, whatever the gain."""
    gain = float(np.random.default_rng(seed).choice([1, 20, 130]))
    options = {"trunk": trunk, "residual": residual, "last": last, "input_gain": gain, "width": width}
    model = random_model(seed, name="bbcu", scale=scale, blocks=3, binarizer="bbcu", **options)
    picture = smooth_picture(np.random.default_rng(seed), rows, columns) / np.float32(255)
    assert abs(Engine(lower(model)).run(picture) - Reference(model).run(picture)).max() < 2e-5


@settings(max_examples=20)
@given(
    st.sampled_from([2, 3, 4]), st.sampled_from([4, 16, 65]), st.booleans(), st.sampled_from(["bicubic", "none"]),
    st.integers(1, 12), st.integers(1, 40), seeds,
)  # fmt: skip
def test_random_networks_with_a_direct_tail(scale, width, trunk, base, rows, columns, seed):
    """Rounding errors are held against the values before they are cut to [0, 1], which are up to 30 here."""
    options = {"scale": scale, "width": width, "trunk": trunk, "base": base, "tail": "direct", "output_gain": 0.5}
    model = random_model(seed, name="bbcu", blocks=2, binarizer="bam", **options)
    picture = smooth_picture(np.random.default_rng(seed), rows, columns) / np.float32(255)
    uncut, _ = model.network.apply(model.params, np.ascontiguousarray(picture.transpose(2, 0, 1))[None])
    apart = abs(Engine(lower(model)).run(picture) - Reference(model).run(picture))
    assert apart.max() < 4e-6 * max(1, abs(uncut).max())


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_plan_in_plain_numpy(rng, variant):
    model, picture = random_model(5, **SMALL | VARIANTS[variant]), smooth_picture(rng, 13, 21) / np.float32(255)
    picture[:8, 9:] = np.float32(0.2)
    result = PlanReference(lower(model)).run(picture)
    for other in (small_engine(variant), Reference(model)):
        assert abs(result - other.run(picture)).max() < 2e-5
    np.testing.assert_allclose(PlanReference(lower(model)).run(picture, tile=7), result, atol=2e-5, rtol=0)


def test_flat_parts_are_kept_only_where_that_is_asked_for(rng):
    picture = smooth_picture(rng, 20, 30)
    picture[4:, :17] = 200, 0, 255
    inside = flat_pixels(picture).repeat(4, 0).repeat(4, 1)
    kept, other = small_engine("bbcu flat").run(picture), small_engine("bbcu").run(picture)
    np.testing.assert_array_equal(kept[inside], picture.repeat(4, 0).repeat(4, 1)[inside])
    np.testing.assert_array_equal(kept[~inside], other[~inside])
    assert np.any(kept[inside] != other[inside])


@pytest.mark.parametrize("statistic", ["abs", "mean"])
def test_a_picture_of_one_pixel(rng, statistic):
    """All that differs is the order of sums in the tail; a wrong sign would change a thousandth."""
    for seed in range(8):
        model = random_model(seed, scale=2, blocks=1, width=48, residual=1.0, binarizer={"statistic": statistic})
        picture, head = rng.random((1, 1, 3), np.float32), model.params["head"]
        stream, _ = conv2d(picture.reshape(1, 3, 1, 1) - np.float32(MIDDLE), head["weight"], head["bias"])
        put_on_threshold(model, stream[0, :, 0, 0], statistic)
        assert abs(Engine(lower(model)).run(picture) - Reference(model).run(picture)).max() < 1e-5


SIZES = [(12, 16), (7, 33), (15, 13), (1, 40), (11, 11), (40, 3), (29, 37)]


@pytest.mark.parametrize("sizes", [SIZES, pytest.param([(64, 57), (99, 101)], marks=pytest.mark.slow)])
@pytest.mark.parametrize(("name", "scale"), SHIPPED)
def test_the_packages_weights(rng, name, scale, sizes):
    """Forty blocks make much of any sign that rounding decides, so none may."""
    model = latent_model(name, scale)
    for height, width in sizes:
        picture = smooth_picture(rng, height, width)
        packed = packaged_engine(name, scale).run(picture).astype(np.int64)
        difference = abs(packed - Reference(model).run(picture))
        assert difference.max() <= 1
        assert np.mean(difference == 0) >= 0.999


def ways(engine, picture):
    """The picture by several tiles, threads and bands."""
    for tile in (1, 8, 16, 50):
        if tile > 1 or picture.size < 1000:
            yield f"tiles of {tile}", engine.run(picture, 1, tile)
    for threads in (2, 3):
        yield f"{threads} threads", engine.run(picture, threads)
    yield "tiles and threads", engine.run(picture, 2, 9)
    for band in (1, 500):  # pixels: larger ones hold all of these pictures, as by default
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "BAND", band)
            yield f"bands of {band}", engine.run(picture, 1)
            yield f"bands of {band}, threads and tiles", engine.run(picture, 3, 16)


@pytest.mark.parametrize("extents", AWKWARD)
@pytest.mark.parametrize("variant", VARIANTS)
def test_one_result(rng, variant, extents):
    engine, picture = small_engine(variant), smooth_picture(rng, *extents)
    whole = engine.run(picture)
    for way, result in ways(engine, picture):
        assert result.tobytes() == whole.tobytes(), way


@settings(max_examples=30)
@given(
    st.sampled_from(list(VARIANTS)), st.integers(1, 40), st.integers(1, 70), st.integers(2, 80), st.integers(1, 4),
    st.sampled_from([np.uint8, np.uint16, np.float32]), seeds,
)  # fmt: skip
def test_one_result_of_any_picture(variant, height, width, tile, threads, dtype, seed):
    rng = np.random.default_rng(seed)
    picture = rng.random((height, width, 3), np.float32)
    if dtype is not np.float32:
        picture = (picture * np.iinfo(dtype).max).astype(dtype)
    engine = small_engine(variant)
    assert engine.run(picture, threads, tile).tobytes() == engine.run(picture, 1).tobytes()


@pytest.mark.parametrize(("name", "scale"), SHIPPED)
def test_one_result_with_the_packages_weights(rng, name, scale):
    engine, picture = packaged_engine(name, scale), smooth_picture(rng, 53, 67)
    whole = engine.run(picture, 1)
    assert engine.run(picture, 2).tobytes() == whole.tobytes()
    assert engine.run(picture, 2, 29).tobytes() == whole.tobytes()


def dilating_engine():
    """A network that passes the sign of one dark pixel on as far as it can look: by one pixel in each 3x3 convolution.

    On a picture of middle grey the stream begins with 0, that is +1. The 3x3 filters of a block are +1 in all taps, and
    the next binarization gives -1 wherever one of them has met a -1. Each block adds more than there is in the stream.
    """
    width = 4
    plan = lower(random_model(1, scale=2, blocks=1, width=width, activation="none", binarizer={"statistic": "none"}))

    def step(own, n, total):
        weight = np.zeros((1, n + 1, width), np.float32)
        weight[:, n] = 1
        shift = np.full((1, width), 1 - 9 * width if n == 1 else 0, np.float32)
        factor = np.full((1, 1, width), total / width if n == 2 else 1, np.float32)
        signs = tuple(np.ones_like(w) for w in own.signs)
        return dataclasses.replace(own, signs=signs, factor=factor, weight=weight, shift=shift)

    blocks = [
        dataclasses.replace(block, steps=tuple(step(own, n, total) for n, own in enumerate(block.steps)), residual=1.0)
        for block, total in zip(plan.blocks, (100, 400), strict=True)
    ]
    fill = lambda total, o, i: (np.full((o, i, 3, 3), total / (9 * i), np.float32), np.zeros(o, np.float32))  # noqa: E731
    head, trunk, tail = fill(1, width, 3), fill(1 / 500, width, width), (fill(1, 4 * width, width), fill(0.3, 3, width))
    return Engine(dataclasses.replace(plan, head=head, trunk=trunk, tail=tail, blocks=tuple(blocks)))


GREY = np.full((27, 60, 3), 0.5, np.float32)


def dark_at(h, v):
    picture = GREY.copy()
    picture[h, v] = 0
    return picture


def reach(engine, v):
    """How far a change at pixel (13, v) is seen: above, below, to the left and to the right."""
    rows, columns = np.nonzero(np.any(engine.run(dark_at(13, v)) != engine.run(GREY), axis=2))
    return 13 - rows.min() // 2, rows.max() // 2 - 13, v - columns.min() // 2, columns.max() // 2 - v


def test_the_margin_is_as_wide_as_the_network_looks():
    """Along a row rounding reaches further: trunk and tail compute groups of four pixels together."""
    engine = dilating_engine()
    above, below, left, right = np.max([reach(engine, v) for v in range(28, 32)], axis=0)
    assert above == below == 6  # head, two blocks, trunk, and two of the tail
    assert 6 < right <= left == engine.margin
    for v in range(60):
        picture = dark_at(v % 27, v)
        whole = engine.run(picture).tobytes()
        for tile in (7, 8):
            assert engine.run(picture, tile=tile).tobytes() == whole, v


@pytest.mark.parametrize("less", [1, 3, 7])
def test_a_margin_too_narrow_would_be_seen(less):
    """By its rounding, from the first pixel on, and by more."""
    engine = dilating_engine()
    engine.margin -= less
    assert any(engine.run(dark_at(13, v), tile=7).tobytes() != engine.run(dark_at(13, v)).tobytes() for v in range(60))


@pytest.mark.parametrize("variant", VARIANTS)
def test_kinds_of_pictures_agree(rng, variant):
    """Equal fractions are equal float32, and all that differs is the rounding at the end."""
    engine, picture = small_engine(variant), smooth_picture(rng, 9, 35)
    eight, sixteen = engine.run(picture), engine.run(picture * np.uint16(257))
    real = engine.run(picture / np.float32(255))
    assert (eight.dtype, sixteen.dtype, real.dtype) == (np.uint8, np.uint16, np.float32)
    assert real.min() >= 0
    assert real.max() <= 1
    half = np.float32(0.5)
    np.testing.assert_array_equal(eight, np.floor(real * np.float32(255) + half))
    np.testing.assert_array_equal(sixteen, np.floor(real * np.float32(65535) + half))


def test_numbers_are_clipped():
    """Beyond the range there is no telling, but that nothing wraps around."""
    engine = small_engine()
    picture = np.zeros((6, 40, 3), np.uint8)
    picture[:, 20:] = 255
    real = engine.run(picture / np.float32(255))
    assert real.min() == 0
    assert real.max() == 1
    assert np.all(abs(engine.run(picture) / 255 - real) <= 0.5001 / 255)


def test_pictures_of_any_layout(rng):
    engine, picture = small_engine(), smooth_picture(rng, 12, 37)
    whole = engine.run(picture)
    wide = np.zeros((24, 74, 4), np.uint8)
    wide[::2, ::2, :3] = picture
    fortran = np.asfortranarray(picture)
    for other in (wide[::2, ::2, :3], fortran, picture[::-1].copy()[::-1]):
        np.testing.assert_array_equal(engine.run(other), whole)
    picture.flags.writeable = False
    np.testing.assert_array_equal(engine.run(picture, tile=16), whole)


def test_more_threads_than_rows(rng):
    engine, picture = small_engine(), smooth_picture(rng, 3, 37)
    np.testing.assert_array_equal(engine.run(picture, 10**20), engine.run(picture, 1))


def test_a_call_leaves_nothing_behind(rng):
    """What was in the rooms of the call before does not matter, whatever its extents."""
    engine = small_engine()
    pictures = [smooth_picture(rng, *extents) for extents in ((9, 70), (9, 33), (4, 70), (9, 70))]
    fresh = [Engine(lower(random_model(5, **SMALL | VARIANTS["x2"]))).run(picture) for picture in pictures]
    for _ in range(2):
        for picture, expected in zip(pictures, fresh, strict=True):
            np.testing.assert_array_equal(engine.run(picture, 2), expected)


def test_eight_threads_call_at_once(rng):
    engine = Engine(lower(random_model(5, **SMALL)))
    picture = smooth_picture(rng, 33, 31)
    meeting, results = threading.Barrier(8, timeout=30), [None] * 8

    def call(n):
        meeting.wait()
        results[n] = engine.run(picture, 1 + n % 3, (None, 16)[n % 2])

    callers = [threading.Thread(target=call, args=(n,)) for n in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    expected = small_engine("x4").run(picture)
    for result in results:
        np.testing.assert_array_equal(result, expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_forked_child_gets_the_same(rng, threads):
    engine, picture = small_engine(), smooth_picture(rng, 33, 31)
    expected = engine.run(picture, 2).tobytes()
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # one that hangs is ended
        same = engine.run(picture, threads).tobytes() == expected
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert engine.run(picture, 2).tobytes() == expected
