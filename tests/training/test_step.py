import numpy as np
import pytest

from npbsrn.models import Model
from npbsrn.networks.base import make_network
from npbsrn.storage.params import leaves, nest
from npbsrn.training.config import make_config
from npbsrn.training.step import first_state, loss_and_grads, train_step


@pytest.fixture
def batch(rng):
    return rng.random((2, 3, 6, 6), np.float32), rng.random((2, 3, 12, 12), np.float32)


def one_step(batch, teacher=None, **options):
    config = make_config(2, "default", {"blocks": 1, "width": 4, "warmup": 0} | options)
    network = make_network(config.network)
    return train_step(first_state(network, 0), network, config, *batch, teacher)


def test_binary_filters_have_a_rate_of_their_own(batch):
    network = make_network(make_config(2, "default", {"blocks": 1, "width": 4}).network)
    first = first_state(network, 0).params
    (whole, _), (slow, _) = one_step(batch), one_step(batch, binary_rate=0.25)
    moved, less = (state.params.vector - first.vector for state in (whole, slow))
    binary = first.mark(network.latent())
    np.testing.assert_array_equal(moved[~binary], less[~binary])
    np.testing.assert_allclose(less[binary], 0.25 * moved[binary], atol=1e-7)
    assert np.abs(moved[binary]).max() > 1e-3


def test_a_teachers_share_of_loss_and_gradient(rng, batch):
    network = make_network({"scale": 2, "blocks": 1, "width": 4})
    params, (x, y) = first_state(network, 0).params, batch
    taught = rng.random(y.shape, np.float32)
    (loss, grads), (to_picture, a), (to_teacher, b) = (
        loss_and_grads(network, nest({name: array.copy() for name, array in params.items()}), x, *targets)
        for targets in ((y, taught, 0.25), (y,), (taught,))
    )
    assert loss == pytest.approx(0.75 * to_picture + 0.25 * to_teacher)
    for name, grad in grads.items():
        np.testing.assert_allclose(grad, 0.75 * a[name] + 0.25 * b[name], atol=1e-6, err_msg=name)
    assert any(np.abs(a[name] - b[name]).max() > 1e-3 for name in grads)


def test_a_teacher_runs_with_its_running_averages_and_learns_nothing(batch):
    network = make_network({"scale": 2, "blocks": 2, "width": 4})
    teacher = Model(network, network.init(5))
    before = {name: array.copy() for name, array in leaves(teacher.params)}
    whole, loss = one_step(batch, teacher=teacher, distill=1.0)
    for name, array in leaves(teacher.params):
        np.testing.assert_array_equal(array, before[name])
    x, _ = batch
    again, loss_again = one_step((x, network.apply(teacher.params, x)[0]))
    assert loss == pytest.approx(loss_again)
    np.testing.assert_allclose(whole.params.vector, again.params.vector, atol=1e-6)
