"""A step on a divided batch is that on the whole."""

import numpy as np
import pytest

from npbsrn.networks.base import make_network
from npbsrn.runtime.shards import Here, Shards
from npbsrn.storage.params import leaves
from npbsrn.training.optimizer import Vector
from npbsrn.training.step import divided_loss_and_grads, loss_and_grads

NETWORKS = [
    {"name": "bsrn", "blocks": 1, "width": 8},
    {"name": "bbcu", "blocks": 2, "width": 8},
    {"name": "vdsr", "blocks": 1, "width": 8, "binarizer": "abc"},
    {"name": "srresnet", "blocks": 1, "width": 8, "binarizer": "dorefa"},
    {"name": "srresnet", "blocks": 1, "width": 8, "binarizer": "none"},
]


def case(options, dtype, samples=4, side=6):
    network, rng = make_network({"scale": 2, **options}), np.random.default_rng(1)
    params = Vector({name: array.astype(dtype) for name, array in leaves(network.init(0))})
    x, y = (rng.random((samples, 3, k * side, k * side)).astype(dtype) for k in (1, 2))
    return network, params, x, y


def running(params):
    return {name: array.copy() for name, array in params.items() if ".running_" in name}


@pytest.mark.parametrize("options", NETWORKS, ids=lambda options: options["name"])
@pytest.mark.parametrize("count", [2, 4])
def test_loss_gradients_and_running_averages(options, count):
    """In float64, with a teacher."""
    network, params, x, y = case(options, np.float64)
    loss, grads = loss_and_grads(network, params.nested, x, y, y[::-1], 0.25)
    moved = running(params)
    network, params, x, y = case(options, np.float64)
    own, found = divided_loss_and_grads(network, params, x, y, y[::-1], 0.25, Shards(count))
    assert own == pytest.approx(loss, rel=1e-12)
    most = max(np.abs(grad).max() for grad in grads.values())
    for name, grad in grads.items():
        np.testing.assert_allclose(found[name], grad, rtol=1e-8, atol=1e-10 * most, err_msg=name)
    for name, array in moved.items():
        np.testing.assert_allclose(params[name], array, rtol=1e-10, atol=1e-12)


def test_statistics_of_each_shard():
    """The mean of what each shard gives by itself."""
    network, params, x, y = case(NETWORKS[0], np.float64)
    alone = []
    for half in (slice(0, 2), slice(2, 4)):
        _, own, _, _ = case(NETWORKS[0], np.float64)
        loss, grads = loss_and_grads(network, own.nested, x[half], y[half])
        alone.append((loss, grads, running(own)))
    loss, grads = divided_loss_and_grads(network, params, x, y, None, 0.0, Shards(2, synchronize=False))
    assert loss == pytest.approx(np.mean([own[0] for own in alone]))
    for name, grad in grads.items():
        np.testing.assert_allclose(grad, np.mean([own[1][name] for own in alone], axis=0), rtol=1e-9, atol=1e-12)
    for name, array in running(params).items():
        np.testing.assert_allclose(array, np.mean([own[2][name] for own in alone], axis=0), rtol=1e-12)
    assert any(not np.array_equal(alone[0][2][name], alone[1][2][name]) for name in alone[0][2])


@pytest.mark.slow
def test_the_fused_blocks():
    """Blocks of 48 channels in float32; the seed is one where rounding flips no sign."""
    options = {"name": "bsrn", "blocks": 2}
    network, params, x, y = case(options, np.float32, side=16)
    loss, grads = loss_and_grads(network, params.nested, x, y)
    moved = running(params)
    network, params, x, y = case(options, np.float32, side=16)
    own, found = divided_loss_and_grads(network, params, x, y, None, 0.0, Shards(4))
    assert own == pytest.approx(loss, rel=1e-6)
    for name, array in moved.items():
        np.testing.assert_allclose(params[name], array, rtol=1e-5, atol=1e-6)
    whole = np.sqrt(sum(float(np.vdot(grad, grad)) for grad in grads.values()))
    apart = np.sqrt(sum(float(np.vdot(found[name] - grad, found[name] - grad)) for name, grad in grads.items()))
    assert apart < 1e-4 * whole


class Told(Here):
    """An exchange that keeps the order of what it is asked for."""

    def __init__(self):
        self.order = []

    def gather(self, parts):
        self.order.append("statistics")
        return super().gather(parts)

    def begin_sum(self, parts):
        self.order.append("gradients")
        return super().begin_sum(parts)


@pytest.mark.parametrize(
    ("options", "dtype", "side"),
    [
        ({"name": "srresnet", "blocks": 2, "width": 8, "binarizer": "dorefa"}, np.float64, 6),
        pytest.param({"name": "bsrn", "blocks": 2}, np.float32, 16, marks=pytest.mark.slow),
    ],
)
def test_gradients_are_on_their_way_during_the_backward_pass(monkeypatch, options, dtype, side):
    monkeypatch.setattr("npbsrn.runtime.shards.BUCKET", 1)
    network, params, x, y = case(options, dtype, side=side)
    told = Told()
    divided_loss_and_grads(network, params, x, y, None, 0.0, Shards(2, exchange=told))
    behind = told.order[told.order.index("gradients") :]
    assert behind.count("statistics") > 1  # those of layers before it, and the loss
    assert behind.count("gradients") > 4


def test_one_message_of_statistics_where_each_shard_has_its_own():
    for synchronize in (True, False):
        network, params, x, y = case(NETWORKS[0], np.float64)
        told = Told()
        divided_loss_and_grads(network, params, x, y, None, 0.0, Shards(2, exchange=told, synchronize=synchronize))
        assert (told.order.count("statistics") > 6) == synchronize
        assert synchronize or told.order.count("statistics") == 1
