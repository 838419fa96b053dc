import numpy as np
import pytest

from npbsrn.networks import make_network
from npbsrn.training.config import make_config
from npbsrn.training.step import first_state, train_step


@pytest.fixture
def batch(rng):
    return rng.random((2, 3, 6, 6), np.float32), rng.random((2, 3, 12, 12), np.float32)


def one_step(batch, **options):
    config = make_config(2, "default", {"blocks": 1, "width": 4, "warmup": 0} | options)
    network = make_network(config.network)
    return train_step(first_state(network, 0), network, config, *batch)


def test_binary_filters_have_a_rate_of_their_own(batch):
    first = first_state(make_network(make_config(2, "default", {"blocks": 1, "width": 4}).network), 0).params
    (whole, _), (slow, _) = one_step(batch), one_step(batch, binary_rate=0.25)
    moved, less = (state.params.vector - first.vector for state in (whole, slow))
    binary = first.binary
    np.testing.assert_array_equal(moved[~binary], less[~binary])
    np.testing.assert_allclose(less[binary], 0.25 * moved[binary], atol=1e-7)
    assert np.abs(moved[binary]).max() > 1e-3
