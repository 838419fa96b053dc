"""Vectors reach over the ends of pixels and rows by design, but never over the end of an array."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import numpy as np
from npbsrn.kernels import pixel_conv
from npbsrn.packed import direct_tail, engine, float_end, wavefront
from tests.packed import guard
from tests.packed.models import smooth_picture
from tests.packed.test_engine import VARIANTS, small_engine
MODULES = pixel_conv, wavefront, engine, float_end, direct_tail
rng = np.random.default_rng(0)
extents = (1, 1), (9, 32), (5, 47), (20, 64)
cases = [(v, smooth_picture(rng, *e), tile) for v in VARIANTS for e in extents for tile in (None, 16)]
expected = [small_engine(variant).run(picture, 2, tile) for variant, picture, tile in cases]
for module in MODULES:
    module.empty = guard.empty
for (variant, picture, tile), whole in zip(cases, expected):
    assert small_engine(variant).run(picture, 2, tile).tobytes() == whole.tobytes(), (variant, picture.shape, tile)
print("done")
"""
ENDS = """
import numpy as np
from npbsrn.kernels import pixel_conv
from npbsrn.packed import direct_tail, float_end
from tests.packed import guard
from tests.packed.test_float_end import ENDS, Case
cases = [Case(name, *extents) for name in ENDS for extents in ((1, 1), (4, 32), (5, 47), (3, 64), (2, 65))]
expected = [case.run() for case in cases]
for module in (pixel_conv, float_end, direct_tail):
    module.empty = guard.empty
for case, whole in zip(cases, expected):
    arrays = {}
    for name in ("stream", "image", "base"):
        old = getattr(case, name)
        arrays[name] = guard.empty(old.shape, old.dtype)
        arrays[name][...] = old
    case.__dict__.update(arrays)
    assert case.run().tobytes() == whole.tobytes(), (case.name, case.height, case.width)
print("done")
"""


def run(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


@pytest.mark.skipif(sys.platform != "linux", reason="pages are guarded by Linux's calls")
def test_the_engine_stays_within_its_arrays():
    done = run(PROGRAM)
    assert done.stdout == "done\n", (done.returncode, done.stderr)


@pytest.mark.skipif(sys.platform != "linux", reason="pages are guarded by Linux's calls")
def test_float_ends_of_all_kinds_stay_within_their_arrays():
    done = run(ENDS)
    assert done.stdout == "done\n", (done.returncode, done.stderr)


@pytest.mark.skipif(sys.platform != "linux", reason="pages are guarded by Linux's calls")
def test_the_guard_is_deadly():
    program = (
        "import ctypes, numpy as np; from tests.packed import guard\n"
        "a = guard.empty((5,), np.float32); a[4] = 1; print('inside', flush=True)\n"
        "ctypes.memmove(a.ctypes.data + 20, a.ctypes.data, 1)"
    )
    done = run(program)
    assert done.stdout == "inside\n"
    assert done.returncode < 0, os.strerror(abs(done.returncode))
