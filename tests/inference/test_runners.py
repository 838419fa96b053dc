import numpy as np
import pytest

from npbsrn.images.resize import resize
from npbsrn.inference.runners import run, run_uint8


@pytest.mark.parametrize("tile", [1, 5, 16, 64])
def test_tiles_change_nothing_but_the_order_of_sums(tiny_model, rng, tile):
    picture = rng.random((23, 17, 3), dtype=np.float32)
    whole = run(tiny_model, picture, 4, tile=100)
    np.testing.assert_allclose(run(tiny_model, picture, 4, tile=tile), whole, atol=1e-5)


def test_a_margin_too_narrow_would_be_seen(tiny_model, rng, monkeypatch):
    from npbsrn.networks.base import Network

    picture = rng.random((23, 17, 3), dtype=np.float32)
    whole = run(tiny_model, picture, 4, tile=100)
    trace = Network.trace(tiny_model.network, 1, 1)
    monkeypatch.setattr(Network, "trace", lambda *_: type(trace)(1, 1, 0, reach=0.0))
    assert not np.allclose(run(tiny_model, picture, 4, tile=5), whole, atol=1e-5)


def test_bicubic_is_a_model_too(rng):
    picture = rng.integers(0, 256, (5, 6, 3), np.uint8)
    np.testing.assert_array_equal(run_uint8("bicubic", picture, 3), resize(picture, 3))


def test_eight_bits_are_rounded(tiny_model, rng):
    picture = rng.integers(0, 256, (5, 6, 3), np.uint8)
    exact = run(tiny_model, picture.astype(np.float32) / 255, 4) * 255
    assert np.abs(run_uint8(tiny_model, picture, 4) - exact).max() <= 0.5 + 1e-4
