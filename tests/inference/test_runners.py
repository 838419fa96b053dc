import numpy as np
import pytest

from npbsrn.images.resize import resize
from npbsrn.inference.choose import choose_runner
from npbsrn.inference.runners import Bicubic, Reference, Runner
from npbsrn.networks.base import Network


@pytest.mark.parametrize("tile", [1, 5, 16, 64])
def test_tiles_change_nothing_but_the_order_of_sums(tiny_model, rng, tile):
    picture = rng.random((23, 17, 3), dtype=np.float32)
    runner = Reference(tiny_model)
    np.testing.assert_allclose(runner.run(picture, tile=tile), runner.run(picture, tile=100), atol=1e-5)


def test_a_margin_too_narrow_would_be_seen(tiny_model, rng, monkeypatch):
    picture = rng.random((23, 17, 3), dtype=np.float32)
    whole = Reference(tiny_model).run(picture, tile=100)
    trace = Network.trace(tiny_model.network, 1, 1)
    monkeypatch.setattr(Network, "trace", lambda *_: type(trace)(1, 1, 0, reach=0.0))
    assert not np.allclose(Reference(tiny_model).run(picture, tile=5), whole, atol=1e-5)


def test_bicubic_is_rounded_once_or_by_axis(rng):
    picture = rng.integers(0, 256, (5, 6, 3), np.uint8)
    np.testing.assert_array_equal(Bicubic(3, by_axis=True).run(picture), resize(picture, 3))
    exact = resize(picture.astype(np.float64) / 255, 3) * 255
    assert np.abs(Bicubic(3).run(picture) - np.clip(exact, 0, 255)).max() <= 0.5 + 1e-4


def test_eight_bits_are_rounded(tiny_model, rng):
    picture = rng.integers(0, 256, (5, 6, 3), np.uint8)
    exact = Reference(tiny_model).run(picture.astype(np.float32) / 255) * 255
    assert np.abs(Reference(tiny_model).run(picture) - exact).max() <= 0.5 + 1e-4


def test_all_are_runners(tiny_model):
    for runner in (Reference(tiny_model), Bicubic(4), choose_runner(tiny_model, 4)):
        assert isinstance(runner, Runner)
        assert runner.scale == 4
    assert not isinstance(tiny_model, Runner)
