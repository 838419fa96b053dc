"""Rows of a result that are computed alone are those of the whole result, to the bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npbsrn.images.resample import enlarged_side, resize_rows, resize_to, rows_for
from npbsrn.inference.any_scale import Composed
from npbsrn.inference.choose import choose_runner
from npbsrn.inference.runners import Bicubic, Reference

DTYPES = [np.uint8, np.uint16, np.float32]


def samples(shape, dtype, seed=0):
    fractions = np.random.default_rng(seed).random(shape, np.float32)
    return fractions if dtype == np.float32 else (fractions * np.iinfo(dtype).max).astype(dtype)


@st.composite
def spans(draw, extent):
    begin = draw(st.integers(0, extent - 1))
    return begin, draw(st.integers(begin + 1, extent))


@given(data=st.data(), heights=st.tuples(st.integers(1, 300), st.integers(1, 300)), dtype=st.sampled_from(DTYPES))
def test_rows_of_a_resize_are_those_of_the_whole(data, heights, dtype):
    picture = samples((heights[0], 5, 3), dtype)
    rows = data.draw(spans(heights[1]))
    first, last = rows_for(heights, rows)
    top = data.draw(st.integers(0, first))
    part = resize_rows(picture[top:last], heights, 7, rows, top)
    np.testing.assert_array_equal(part, resize_to(picture, heights[1], 7)[slice(*rows)])


def runners(tiny_model):
    engine = choose_runner(tiny_model, 4)
    return {
        "network": engine, "bicubic x3": Bicubic(3), "bicubic x1.7": Bicubic(1.7), "x2.5": Composed([engine], 2.5),
        "x4.03": Composed([engine], 4.03), "x16": Composed([engine, engine], 16), "x9": Composed([engine, engine], 9),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["network", "bicubic x3", "bicubic x1.7", "x2.5", "x4.03", "x16", "x9"])
@settings(max_examples=12)
@given(data=st.data())
def test_rows_of_a_result_are_those_of_the_whole(tiny_model, name, data):
    runner = runners(tiny_model)[name]
    height = data.draw(st.integers(1, 30 if "network" not in name else 90))
    picture = samples((height, data.draw(st.integers(1, 9)), 3), data.draw(st.sampled_from(DTYPES)))
    rows = data.draw(spans(enlarged_side(height, runner.scale)))
    first, last = runner.rows_for(rows, height)
    top = data.draw(st.integers(0, first))
    told = []
    part = runner.run_rows(picture[top:last], top, height, rows, 1, 16, lambda *done: told.append(done))
    np.testing.assert_array_equal(part, runner.run(picture)[slice(*rows)])
    assert told[-1][0] == told[-1][1]


def test_what_depends_on_how_it_is_cut_gives_no_rows(tiny_model):
    assert all(runner.can_run_rows() for runner in runners(tiny_model).values())
    reference = Reference(tiny_model)
    for runner in (reference, Composed([reference], 3), Bicubic(4, by_axis=True)):
        assert not runner.can_run_rows()
