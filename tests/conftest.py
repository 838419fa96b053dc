import os
import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from numba.core import config
from PIL import Image

from npbsrn.images.resize import resize
from npbsrn.kernels.compiling import WATCH
from npbsrn.kernels.cpu import kernel_folder
from npbsrn.models import Model
from npbsrn.networks.base import make_network

# The same examples each time, so that a change is judged by itself; and others: pytest --hypothesis-profile=fresh.
settings.register_profile("npbsrn", deadline=None, max_examples=50, derandomize=True)
settings.register_profile("fresh", deadline=None, max_examples=50, derandomize=False, print_blob=True)
settings.load_profile("npbsrn")


WATCH.be_quiet()  # whether a kernel must be compiled depends on which tests ran before
# Kernels are kept where they always are, also by tests that give the package's cache another place.
config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"] = str(kernel_folder())

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as of a job in the background: tests send it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture(scope="session")
def data():
    """The folder of data sets that $NPBSRN_DATA names."""
    folder = os.environ.get("NPBSRN_DATA")
    if not folder:
        pytest.skip("NPBSRN_DATA names no folder of data sets")
    return Path(folder)


@pytest.fixture(scope="session")
def tiny_model():
    """An untrained BSRN x4 with one HPB and four channels."""
    network = make_network({"scale": 4, "blocks": 1, "width": 4})
    return Model(network, network.init(3))


@pytest.fixture
def photographs(tmp_path):
    """A folder of five small smooth pictures, one of them grey."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for n in range(5):
        picture = resize(np.random.default_rng(n).integers(0, 256, (6, 7, 3), np.uint8), 9)
        image = Image.fromarray(picture)
        (image.convert("L") if n == 2 else image).save(folder / f"{n}.png")
    return folder
