"""The memory that an enlargement is said to take is at least what it takes, and not several times as much."""

import tracemalloc

import numpy as np
import pytest

from npbsrn.images.layout import layout_of
from npbsrn.images.picture import Picture
from npbsrn.images.writing import encode_picture
from npbsrn.inference.any_scale import runner_for
from npbsrn.inference.ensemble import TURNS
from npbsrn.inference.needs import needed_bytes
from npbsrn.inference.runners import SIDE, WORKING, Bicubic, Reference
from npbsrn.inference.upscaling import enlarge
from npbsrn.runtime import buffers

KINDS = ("grey", "grey and alpha", "RGB", "RGB and alpha", "RGB and one alpha")


def drawn(kind, dtype, height=120, width=130):
    rng = np.random.default_rng(5)
    samples = rng.random((height, width, 4), np.float32)
    samples = samples if dtype == "float32" else (samples * np.iinfo(dtype).max).astype(dtype)
    colour = samples[:, :, 0] if "grey" in kind else samples[:, :, :3]
    alpha = samples[:, :, 3] if "alpha" in kind else None
    if "one" in kind:
        alpha = np.full((height, width), 0.02 if dtype == "float32" else 4, dtype)
    return Picture(np.ascontiguousarray(colour), None if alpha is None else np.ascontiguousarray(alpha))


def taken(picture, runner, ensemble=False):
    """The most that Python's and NumPy's allocators hold meanwhile."""
    buffers.clear()
    tracemalloc.start()
    try:
        result = enlarge(picture, runner, 1, None, ensemble)
        if picture.colour.dtype == np.uint8:
            encode_picture(result, "png")
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("ensemble", [False, True])
@pytest.mark.parametrize(("dtype", "scale"), [("uint8", 3), ("uint16", 1.5), ("float32", 1.5)])
@pytest.mark.parametrize("kind", KINDS)
def test_of_bicubic_interpolation(kind, dtype, scale, ensemble):
    picture, runner = drawn(kind, dtype), Bicubic(scale)
    enlarge(drawn(kind, dtype, 8, 8), runner, 1)  # imports
    need = needed_bytes(layout_of(picture), runner, 1, None, ensemble)
    assert 0.4 * need < taken(picture, runner, ensemble) <= need


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [2.5, 5, 16])
def test_of_a_network_and_of_several(tiny_model, scale, kind):
    picture, runner = drawn(kind, "uint8", 30, 35), runner_for(tiny_model, scale)
    enlarge(drawn(kind, "uint8", 8, 8), runner, 1)  # compiles
    assert taken(picture, runner) <= needed_bytes(layout_of(picture), runner, 1)


def test_of_the_reference(tiny_model):
    """A tile's memory for each thread that has a tile, and the whole as floats."""
    runner = Reference(tiny_model)
    floats = 4 * (3 + 3 * runner.scale**2)
    assert runner.needed_bytes(SIDE, SIDE, 8) == WORKING + SIDE * SIDE * floats
    assert runner.needed_bytes(SIDE, 3 * SIDE, 2) == 2 * WORKING + 3 * SIDE * SIDE * floats
    assert runner.needed_bytes(SIDE, SIDE, 8, SIDE // 2) == 4 * WORKING + SIDE * SIDE * floats


def test_a_step_is_asked_about_the_picture_that_it_gets(tiny_model):
    """Of two networks in a row, the second enlarges sixteen times as many pixels."""
    runner = runner_for(tiny_model, 16)
    assert len(runner.steps) == 2
    assert runner.needed_bytes(30, 40, 1) > runner.steps[1].needed_bytes(120, 160, 1)


def test_the_ensemble_takes_no_more_for_eight_turns_than_for_a_few():
    picture, runner = drawn("RGB", "uint8"), Bicubic(4)
    once, eight = (needed_bytes(layout_of(picture), runner, 1, None, ensemble) for ensemble in (False, True))
    assert once < eight < TURNS / 2 * once
