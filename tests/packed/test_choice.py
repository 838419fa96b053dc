"""The kernel that ``$NPBSRN_KERNEL`` names, in a process of its own."""

import os
import subprocess
import sys

import pytest

from npbsrn.kernels.cpu import KERNELS, NEEDED, features
from npbsrn.kernels.jit import STAMP

# Kernels that count nothing are the same whatever is chosen, so they are shared with the other tests: `jit.STAMP` tells
# what was compiled for another choice. Those that count are kept in a folder of their own, unless the choice is the
# other tests', too.
PROGRAM = """
import hashlib
import sys
import numpy as np
from numba.core import config
from npbsrn.kernels import jit
own, jit.STAMP = jit.STAMP, sys.argv[1]
from npbsrn.kernels import direct_conv, pixel_conv
from npbsrn.packed import ends
if own != jit.STAMP:
    jit.STAMP, config.CACHE_DIR = own, sys.argv[2]
from npbsrn.packed.engine import Engine
from npbsrn.packed.lower import fold
from tests.packed.models import random_model, smooth_picture
for options in ({"activation": "none", "binarizer": {"statistic": "none"}}, {}):
    engine = Engine(fold(random_model(1, scale=2, blocks=2, width=20, **options)))
    picture = smooth_picture(np.random.default_rng(0), 19, 45)
    print(hashlib.sha256(engine.run(picture, threads=2)).hexdigest())
"""


def run(kernel, folder):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, STAMP, str(folder)],
        env=os.environ | {"NPBSRN_KERNEL": kernel},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_all_kernels_give_the_same(tmp_path):
    results = {kernel: run(kernel, tmp_path / kernel) for kernel in KERNELS}
    for kernel, (feature, name) in NEEDED.items():
        if feature not in features():
            refused = results.pop(kernel)
            assert f"needs a CPU with {name}; leave it out, or take portable" in refused.stderr
    digests = {kernel: done.stdout for kernel, done in results.items()}
    assert digests["numpy"].count("\n") == 2, results["numpy"].stderr
    assert len(set(digests.values())) == 1, digests


@pytest.mark.parametrize("kernel", ["fast"])
def test_unknown_kernels_are_refused(kernel, tmp_path):
    done = run(kernel, tmp_path)
    assert "NPBSRN_KERNEL must be one of avx512, avx2, portable, numpy, not 'fast'" in done.stderr
