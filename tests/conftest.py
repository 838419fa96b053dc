import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("npbsrn", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("npbsrn")


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
