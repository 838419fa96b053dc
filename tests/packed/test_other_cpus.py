"""Packed files made elsewhere against the layers here: here, and held to lesser CPUs."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import npbsrn
from npbsrn.datasets.pairs import find_pairs, read_pair
from npbsrn.inference.runners import Reference
from npbsrn.packed.engine import Engine
from npbsrn.packed.format import load_packed
from npbsrn.packed.lower import lower
from npbsrn.shipped import MODELS
from tests.other_cpus import CPUS, run_held
from tests.packed.models import latent_model
from tests.packed.plans import assert_same

ROOT = Path(npbsrn.__file__).parents[1]
SCALES = (2, 3, 4)
SHIPPED = [(name, scale) for name, model in MODELS.items() for scale in model.scales]
HERE = "as it is"


def shipped(name, scale):
    return ROOT / "npbsrn" / "weights" / f"{name}-x{scale}-packed.npz"


def check_packing():
    """What is packed here is what was packed elsewhere, to the byte."""
    for name, scale in SHIPPED:
        assert_same(lower(latent_model(name, scale)), load_packed(shipped(name, scale)))


def check_pictures(pictures):
    """All signs are the same, and all that differs is the order of sums in the tail."""
    for model in ("bsrn", "clean"):
        engines = {scale: Engine(load_packed(shipped(model, scale))) for scale in {scale for _, scale, _ in pictures}}
        for name, scale, picture in pictures:
            packed = engines[scale].run(picture).astype(np.int64)
            difference = abs(packed - Reference(latent_model(model, scale)).run(picture))
            assert difference.max() <= 1, (model, name, scale)
            assert np.mean(difference > 0) < 1e-3, (model, name, scale)


def crops():
    """Of the sample photograph, by sizes that are no multiple of anything."""
    with Image.open(ROOT / "docs" / "images" / "coffee.png") as image:
        coffee = np.asarray(image.convert("RGB"))
    places = [(4, slice(100), slice(317)), (2, slice(50, 87), slice(111, 164)), (3, slice(101, 142), slice(7, 36))]
    places += [(scale, slice(60, 73), slice(120, 121)) for scale in SCALES]
    return [("coffee", scale, np.ascontiguousarray(coffee[rows, columns])) for scale, rows, columns in places]


def set5(folder):
    return [(pair.name, 4, read_pair(pair, 4)[0]) for pair in find_pairs(Path(folder) / "Set5", 4)]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Where compiled kernels are kept between these tests, by CPU."""
    return tmp_path_factory.mktemp("kernels")


@pytest.mark.slow
@pytest.mark.parametrize("cpu", CPUS)
def test_every_cpu_packs_the_shipped_files(kept, cpu):
    run_held(cpu, kept / cpu, f"from {__name__} import check_packing; check_packing()")


@pytest.mark.slow
@pytest.mark.parametrize("cpu", [HERE, *CPUS])
def test_engine_and_layers_agree(kept, cpu):
    if cpu == HERE:
        check_pictures(crops())
    else:
        run_held(cpu, kept / cpu, f"from {__name__} import check_pictures, crops; check_pictures(crops())")


@pytest.mark.slow
@pytest.mark.parametrize("cpu", [HERE, *CPUS])
def test_engine_and_layers_agree_on_set5(kept, data, cpu):
    if cpu == HERE:
        check_pictures(set5(data))
    else:
        program = f"from {__name__} import check_pictures, set5; check_pictures(set5({str(data)!r}))"
        run_held(cpu, kept / cpu, program)
