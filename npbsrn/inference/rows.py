"""Some rows of an enlarged picture, from those of the picture that they depend on: the bytes of the whole."""

import math
from itertools import pairwise
from typing import Any

import numpy as np

from npbsrn.images.resample import enlarged_side, resize_rows, rows_for
from npbsrn.images.tiles import Span
from npbsrn.inference.any_scale import Composed
from npbsrn.inference.runners import Bicubic, Runner
from npbsrn.kernels.winograd import STEP
from npbsrn.packed.engine import Engine
from npbsrn.runtime.progress import Progress, span_of

Array = np.ndarray[Any, Any]


def can_run_rows(runner: Runner) -> bool:
    """Whether rows of a runner's result do not depend on how it is cut, so that `run_rows` gives them."""
    if isinstance(runner, Composed):
        return all(isinstance(step, Engine) for step in runner.steps)
    return isinstance(runner, Engine) or (isinstance(runner, Bicubic) and not runner.by_axis)


def spans_for(runner: Any, rows: Span, height: int) -> list[Span]:
    """On which rows a runner's result depends.

    Parameters
    ----------
    runner : Runner
    rows : (from, to)
        Of the result.
    height : int
        Of the picture.

    Returns
    -------
    spans : list of (from, to)
        Of the picture; of what each network of a composed scale but the last makes; and of what is resized. For all
        others, of the picture alone.
    """
    if isinstance(runner, Bicubic):
        return [rows_for((height, enlarged_side(height, runner.scale)), rows)]
    if isinstance(runner, Engine):
        begin, end = rows[0] // runner.scale, -(-rows[1] // runner.scale)
        return [(max(begin - runner.margin, 0) // STEP * STEP, min(end + runner.margin, height))]
    heights = _heights(runner, height)
    if math.prod(step.scale for step in runner.steps) != runner.scale:
        rows = rows_for((heights[-2], heights[-1]), rows)
    spans = [rows]
    for step, tall in reversed([*zip(runner.steps, heights, strict=False)]):
        spans.insert(0, spans_for(step, spans[0], tall)[0])
    return spans


def _heights(runner: Composed, height: int) -> list[int]:
    """Of the picture, of what each network makes, and of the result."""
    heights = [height]
    for step in runner.steps:
        heights.append(heights[-1] * int(step.scale))
    return [*heights, enlarged_side(height, runner.scale)]


def run_rows(
    runner: Any,
    window: Array,
    top: int,
    height: int,
    rows: Span,
    threads: int | None = None,
    tile: int | None = None,
    progress: Progress | None = None,
) -> Array:
    """Rows of what a runner makes of a picture.

    Parameters
    ----------
    runner : Runner
        For which `can_run_rows`.
    window : (R, W, 3)
        Rows of the picture: those of the first of `spans_for`, or more.
    top : int
        Which row of the picture the first one of `window` is.
    height : int
        Of the picture.
    rows : (from, to)
        Of the result.
    threads, tile, progress
        See `npbsrn.inference.runners.Runner.run`.

    Returns
    -------
    enlarged : (to - from, W * scale, 3), dtype of `window`
    """
    first, last = spans_for(runner, rows, height)[0]
    window = window[first - top : last - top]
    if isinstance(runner, Engine):
        begin, end = rows[0] // runner.scale, -(-rows[1] // runner.scale)
        part = runner.run(np.ascontiguousarray(window), threads, tile, progress, (begin - first, end - first))
        return part[rows[0] - begin * runner.scale : rows[1] - begin * runner.scale]
    width = enlarged_side(window.shape[1], runner.scale)
    if isinstance(runner, Composed):
        return _composed(runner, window, height, width, rows, threads, tile, progress)
    result = resize_rows(window, (height, enlarged_side(height, runner.scale)), width, rows, first, threads)
    if progress:
        progress(result.size // 3, result.size // 3)
    return result


def _composed(runner: Composed, window: Array, height: int, width: int, rows: Span, *how: Any) -> Array:
    threads, tile, progress = how
    heights, spans = _heights(runner, height), spans_for(runner, rows, height)
    works = [1.0]
    for step in runner.steps:
        works.append(works[-1] * step.scale**2)
    total, all_ = sum(works[:-1]), (rows[1] - rows[0]) * width
    for n, (step, (here, there)) in enumerate(zip(runner.steps, pairwise(spans), strict=True)):
        told = span_of(progress, sum(works[:n]) / total, sum(works[: n + 1]) / total, all_)
        window = run_rows(step, window, here[0], heights[n], there, threads, tile, told)
    first = spans[-1][0]
    if (heights[-2], window.shape[1]) != (heights[-1], width):
        window = resize_rows(window, (heights[-2], heights[-1]), width, rows, first, threads)
    else:
        window = window[rows[0] - first : rows[1] - first]
    if progress:
        progress(all_, all_)
    return window


def window_bytes(runner: Any, rows: Span, height: int, width: int, itemsize: int) -> int:
    """Memory of what `run_rows` takes from one step of a composed scale to the next."""
    if not isinstance(runner, Composed):
        return 0
    total = 0
    for step, span in zip(runner.steps, spans_for(runner, rows, height)[1:], strict=True):
        width *= int(step.scale)
        total += (span[1] - span[0]) * width * 3 * itemsize
    return total
