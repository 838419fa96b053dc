"""A whole training step of the paper's width: the fast operations against the readable ones."""

import numpy as np
import pytest

import npbsrn
from npbsrn.fused import block_chain
from npbsrn.networks.base import make_network
from npbsrn.ops import binary_conv, conv, filters, norm_sign
from npbsrn.storage.params import load_arrays, nest
from npbsrn.training.step import first_state, loss_and_grads
from tests.training.runs import interrupt_at


def gradients(network, x, y):
    params = {name: a.copy() for name, a in first_state(network, 4).params.items()}
    loss, grads = loss_and_grads(network, nest(params), x, y)
    return loss, grads, params


@pytest.mark.parametrize(
    ("scale", "height", "width", "options"),
    [
        (2, 5, 16, {}),
        (3, 16, 16, {}),
        (4, 3, 32, {}),
        (2, 4, 16, {"activation": "none"}),
        (2, 4, 16, {"binarizer": {"accumulate_activations": False, "accumulate_filters": False}}),
        (2, 4, 16, {"binarizer": {"alpha": "one", "beta": "one", "statistic": "none", "filter_ste": "clip"}}),
        (2, 4, 16, {"binarizer": {"statistic": "mean", "activation_ste": "bireal"}}),
    ],
)
def test_gradients_of_a_whole_step(monkeypatch, scale, height, width, options):
    """1e-4 of the gradient's norm; the seed is one where rounding flips no sign."""
    network = make_network({"scale": scale, "blocks": 2} | options)
    rng = np.random.default_rng(1)
    x = rng.random((3, 3, height, width), dtype=np.float32)
    y = rng.random((3, 3, height * scale, width * scale), dtype=np.float32)
    calls = []
    inner = block_chain.lb_blocks
    monkeypatch.setattr(block_chain, "lb_blocks", lambda *args: (calls.append(1), inner(*args))[1])
    loss, grads, params = gradients(network, x, y)
    assert len(calls) == 1  # the fast operation did it
    monkeypatch.setattr(block_chain.BlockChain, "_fits_fast", lambda *_: False)
    monkeypatch.setattr("npbsrn.binarizers.bam.binary_filters", filters.binary_filters_ref)
    monkeypatch.setattr("npbsrn.layers.binary.binary_conv", binary_conv.binary_conv_ref)
    monkeypatch.setattr("npbsrn.binarizers.normalized.norm_signs", norm_sign.norm_signs_ref)
    for user in ("ops.binary_conv", "layers.conv", "layers.tail"):
        monkeypatch.setattr(f"npbsrn.{user}.conv2d", conv.conv2d_ref)
    monkeypatch.setattr(conv, "map_parallel", lambda function, items, threads=None: [function(item) for item in items])
    loss_ref, grads_ref, params_ref = gradients(network, x, y)
    assert loss == pytest.approx(loss_ref, rel=1e-5)
    whole = np.sqrt(sum(float(np.vdot(g, g)) for g in grads_ref.values()))
    apart = np.sqrt(sum(float(np.vdot(grads[n] - g, grads[n] - g)) for n, g in grads_ref.items()))
    assert apart < 1e-4 * whole
    for name in (n for n in params if ".running_" in n):
        np.testing.assert_allclose(params[name], params_ref[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("option", [{"binarizer": {"padding": "zero"}}, {"binarizer": "none"}])
def test_what_the_fast_step_does_not_do_is_left_to_the_layers(monkeypatch, option):
    network = make_network({"scale": 2, "blocks": 1} | option)
    params = network.init(0)
    x = np.random.default_rng(1).random((2, 3, 4, 16), dtype=np.float32)
    y, _ = network.apply(params, x, train=True)
    monkeypatch.setattr(block_chain.BlockChain, "_fits_fast", lambda *_: False)
    np.testing.assert_array_equal(y, network.apply(params, x, train=True)[0])


def test_the_number_of_threads_changes_no_byte_of_a_run(photographs, tmp_path, monkeypatch):
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("NPBSRN_NUM_THREADS", threads)
        options = {"blocks": 1, "batch": 5, "patch": 6, "late_patch": 16, "late_from": 0.4, "steps": 4, "holdout": 0}
        npbsrn.train(photographs, 2, tmp_path / threads, cache=tmp_path / "cache", progress=False, **options)
    one, two, three = (load_arrays(tmp_path / threads / "checkpoint.npz")[0] for threads in ("1", "2", "3"))
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])
        np.testing.assert_array_equal(one[name], three[name])


def test_the_fast_step_resumes_bit_for_bit(photographs, tmp_path, monkeypatch):
    options = {"blocks": 1, "batch": 3, "patch": 16, "steps": 4, "checkpoint_every": 1, "cache": tmp_path / "cache"}
    npbsrn.train(photographs, 2, tmp_path / "whole", progress=False, **options)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 1)
        with pytest.raises(KeyboardInterrupt):
            npbsrn.train(photographs, 2, tmp_path / "stopped", progress=False, **options)
    npbsrn.train(output=tmp_path / "stopped", resume=True, progress=False, cache=tmp_path / "cache")
    whole, stopped = (load_arrays(tmp_path / run / "checkpoint.npz")[0] for run in ("whole", "stopped"))
    assert all(np.array_equal(whole[name], stopped[name]) for name in whole)
