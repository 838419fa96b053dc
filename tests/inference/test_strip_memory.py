"""How much memory strips take."""

import pytest

from tests.peak import measured

HEIGHTS = """
import sys, tempfile, numpy as np
from pathlib import Path
from npbsrn.images.formats import PNG
from npbsrn.images.picture import Tags
from npbsrn.images.saving import Saving
from npbsrn.images.strips import png
from npbsrn.images.strips.base import Page
from npbsrn.images.strips.opening import writer_for
from npbsrn.inference.jobs import begin
from npbsrn.inference.tasks import How, Task
from npbsrn.inference.any_scale import runner_for
from npbsrn.models import Model
from npbsrn.networks.base import make_network
from tests.peak import grown
network = make_network({"scale": 4, "blocks": 1, "width": 16})
folder = Path(tempfile.mkdtemp())
rng = np.random.default_rng(0)
png.PIECE = 1 << 16  # so that even the small picture is read in several pieces
for kind in (3, 4):
    for height in (64, 400, 3200):
        source = folder / "in.png"
        with open(source, "wb") as file:
            writer = writer_for(PNG, file, Page(300, height, kind, kind == 4, np.uint8, Tags()), Saving(), 1)
            for _ in range(0, height, 8):
                writer.write(rng.integers(128, 256, (8, 300, kind), np.uint8))
            writer.close()
        how = How(runner_for(Model(network, network.init(0)), 4), 1, strip=128)
        task, needs = Task(source, folder / "out.png", how, overwrite=True), []

        def work_on():
            job = begin(task)
            needs.append(job.strips.need)
            job.write()

        work = grown(work_on)
        if height > 64:  # by which kernels are loaded or compiled
            print(work)
            print(needs[0])
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_height_and_is_no_more_than_estimated():
    """It goes up and down by some megabytes; what 2800 rows more become takes 40 MB, and with alpha 54."""
    figures = measured(HEIGHTS)
    for low, low_need, high, high_need in zip(*[iter(figures)] * 4, strict=True):
        assert high < low + 10**7
        assert low < low_need
        assert high < high_need == low_need
