"""The kernel that ``$NPBSRN_KERNEL`` names, in a process of its own."""

import os
import subprocess
import sys

import pytest

from npbsrn.kernels.cpu import NEEDED, choices, features
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
from npbsrn.packed.lower import lower
from tests.packed.models import random_model, smooth_picture
for options in ({"activation": "none", "binarizer": {"statistic": "none"}}, {}, {"binarizer": "dorefa"}):
    engine = Engine(lower(random_model(1, scale=2, blocks=2, width=20, **options)))
    picture = smooth_picture(np.random.default_rng(0), 19, 45)
    print(hashlib.sha256(engine.run(picture, threads=2)).hexdigest())
"""


def run(kernel, folder):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, STAMP, str(folder)],
        env=os.environ | {"NPBSRN_KERNEL": kernel},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def assert_same(kernels, folder):
    results = {kernel: run(kernel, folder / kernel) for kernel in kernels}
    digests = {kernel: done.stdout for kernel, done in results.items()}
    assert digests["numpy"].count("\n") == 3, results["numpy"].stderr
    assert len(set(digests.values())) == 1, digests


def test_the_usual_kernel_gives_the_same_as_numpy(tmp_path):
    """What the others count is compared in test_race.py and, of all of them in whole networks, below."""
    assert_same(["numpy", choices()[0]], tmp_path)


@pytest.mark.slow  # as each of the others is compiled for three networks
def test_all_kernels_give_the_same(tmp_path):
    assert_same(["numpy", *choices()], tmp_path)


@pytest.mark.parametrize("kernel", [kernel for kernel, (feature, _) in NEEDED.items() if feature not in features()])
def test_kernels_that_the_cpu_lacks_are_refused(kernel, tmp_path):
    refused = run(kernel, tmp_path)
    assert f"needs a CPU with {NEEDED[kernel][1]}; leave it out, or take portable" in refused.stderr


@pytest.mark.parametrize("kernel", ["fast"])
def test_unknown_kernels_are_refused(kernel, tmp_path):
    done = run(kernel, tmp_path)
    assert "NPBSRN_KERNEL must be one of avx512, avx2, portable, numpy, not 'fast'" in done.stderr
