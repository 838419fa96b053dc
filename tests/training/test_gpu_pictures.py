"""The pictures of the PyTorch program for a GPU against npbsrn's: batches, degradation, figures."""

import dataclasses

import numpy as np
import pytest

from npbsrn.datasets.pairs import find_pairs, read_pair
from npbsrn.images.metrics import compare
from npbsrn.training.config import make_config
from npbsrn.training.places import CELL, window_errors

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install .[peers]")
from training.gpu import pictures as gpu_pictures  # noqa: E402

pytestmark = pytest.mark.peers


def configured(**options):
    return make_config(2, "best", {"blocks": 3, "width": 16, "patch": 8, "batch": 12} | options)


@pytest.fixture
def data(photographs):
    config = configured(flat_patches=2, keep=0.6)
    return config, gpu_pictures.load_pictures([photographs], config, 1, "cpu"), photographs


def drawn(config, pictures, step, seed=0):
    config = dataclasses.replace(config, seed=seed)
    return [t.numpy() for t in gpu_pictures.batch(*pictures.tensors(), torch.tensor(step), pictures.scale, config)]


def test_a_batch_is_a_pure_function_of_seed_and_step(data):
    config, pictures, _ = data
    for a, b in zip(drawn(config, pictures, 3), drawn(config, pictures, 3), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(drawn(config, pictures, 3)[0], drawn(config, pictures, 4)[0])
    assert not np.array_equal(drawn(config, pictures, 3)[0], drawn(config, pictures, 3, seed=1)[0])


def turned(picture):
    """All eight rotations and mirrorings of (3, H, W)."""
    return [np.rot90(flipped, n, (1, 2)) for flipped in (picture, picture[:, :, ::-1]) for n in range(4)]


def test_patches_are_cut_from_the_kept_windows_and_turned(data):
    config, pictures, folder = data
    found = [read_pair(pair, 2) for pair in find_pairs(folder, 2)]
    errors = [window_errors(lr, hr, 2, 8) for lr, hr in found]
    least = np.sort(np.concatenate([e.ravel() for e in errors]))[::-1]
    least = least[int(np.ceil(0.6 * least.size)) - 1]
    known = {}
    for (lr, hr), e in zip(found, errors, strict=True):
        for row, column in np.argwhere(e >= least) * CELL:
            low = lr[row : row + 8, column : column + 8].transpose(2, 0, 1)
            high = hr[2 * row : 2 * row + 16, 2 * column : 2 * column + 16].transpose(2, 0, 1)
            known |= {
                (n, a.tobytes()): b.tobytes() for n, (a, b) in enumerate(zip(turned(low), turned(high), strict=True))
            }
    kinds, pairs = set(), {}
    for (kind, low), high in known.items():
        pairs.setdefault(low, set()).add((kind, high))
    for step in range(40):
        x, y = (np.rint(255 * a).astype(np.uint8) for a in drawn(config, pictures, step))
        for low, high in zip(x[2:], y[2:], strict=True):
            fitting = {kind for kind, known_high in pairs[low.tobytes()] if known_high == high.tobytes()}
            assert fitting
            kinds |= fitting if len(fitting) == 1 else set()
        for low, high in zip(x[:2], y[:2], strict=True):
            assert np.all(low == low[:, :1, :1])
            assert np.all(high == low[:, :1, :1])
    assert kinds == set(range(8))


def test_variants_of_degraded_pictures(photographs):
    config = configured(degrade=True)
    three, one = (gpu_pictures.load_pictures([photographs], config, n, "cpu") for n in (3, 1))
    assert len(three.width) == 3 * len(one.width)
    again = gpu_pictures.load_pictures([photographs], config, 3, "cpu")
    np.testing.assert_array_equal(three.low, again.low)
    assert set(gpu_pictures.load_held([photographs], config, "cpu")) == {"photographs", "jpeg"}


def test_figures_are_npbsrns(rng):
    for scale in (2, 4):
        x = rng.random((3, 40, 50), dtype=np.float32) * 1.2 - 0.1
        high = rng.integers(0, 256, (40, 50, 3), np.uint8)
        result = np.rint(np.clip(x, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
        found = float(gpu_pictures.psnr(torch.from_numpy(x), torch.from_numpy(high), scale))
        assert found == pytest.approx(compare(result, high, scale)[0], abs=1e-6)
