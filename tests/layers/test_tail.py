import numpy as np
import pytest

from npbsrn.layers.tail import Tail


@pytest.mark.parametrize("factors", [(2,), (3,), (2, 2)])
def test_composed_equals_plain_but_for_the_outermost_ring(rng, factors):
    tail = Tail(factors, width=4)
    params = tail.init(rng, np.float64)
    for layer in (params[name] for name in params if "bias" in params[name]):
        layer["bias"] += rng.standard_normal(layer["bias"].shape)
    x = rng.standard_normal((2, 4, 6, 5))
    composed, _ = tail.apply(params, x, train=True)
    plain, _ = tail.apply(params, x, train=False)
    scale = int(np.prod(factors))
    inside = (..., slice(scale, -scale), slice(scale, -scale))
    np.testing.assert_allclose(composed[inside], plain[inside], atol=1e-13)
    assert not np.allclose(composed, plain)
