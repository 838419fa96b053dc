"""What the engine asks the system for, against what it takes."""

from tests.peak import measured

PICTURES = """
import numpy as np
from npbsrn.packed.engine import Engine
from npbsrn.packed.lower import lower
from npbsrn.runtime import buffers
from tests.packed.models import random_model
from tests.peak import grown
CASES = (4, 20, 500, 400, 1440, 1), (2, 48, 500, 400, 256, 2), (4, 48, 400, 400, 1440, 2)
for scale, width, height, columns, tile, threads in CASES:
    engine = Engine(lower(random_model(1, scale=scale, blocks=1, width=width)))
    engine.run(np.zeros((40, 70, 3), np.uint8), threads, 16)  # by which kernels are loaded or compiled
    picture = np.random.default_rng(0).integers(0, 256, (height, columns, 3), np.uint8)
    buffers.clear()
    work = grown(engine.run, picture, threads, tile) - picture.nbytes * scale**2
    print(work / engine.working_bytes(height, columns, tile, threads))
"""


def test_the_estimate_is_near_what_a_picture_takes():
    """It may be too large, as all threads are seldom at their most at once, but not too small."""
    assert all(0.6 < ratio < 1 for ratio in measured(PICTURES))
