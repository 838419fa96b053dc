"""The benchmark's steps and their table: what is timed is a step, and its parts are met. Nothing is timed here."""

import dataclasses

import numpy as np
import pytest

from benchmarks.parts import (
    BINARY_BACKWARD,
    BINARY_FORWARD,
    LB_BACKWARD,
    LB_FORWARD,
    OPERATIONS,
    PLAIN,
    timed_parts,
)
from benchmarks.step_table import LEFT, REST, Row, print_table
from benchmarks.train_steps import CASES, LAYOUTS, Case, Ours, Peer, batch_of, make_source, network_of
from npbsrn.networks.base import NETWORKS, make_network
from npbsrn.training.config import TrainConfig
from npbsrn.training.step import first_state, train_step

pytestmark = pytest.mark.xdist_group("fused")  # whose kernels take longest to compile
OTHER = "bnn"  # a scheme


def parts_of(network):
    scale = network.scale
    x, y = np.zeros((1, 3, 16, 16), np.float32), np.ones((1, 3, 16 * scale, 16 * scale), np.float32)
    with timed_parts() as parts:
        train_step(first_state(network, 0), network, dataclasses.replace(TrainConfig(), network=network.config), x, y)
    return parts


@pytest.fixture(scope="module")
def parts():
    return parts_of(make_network({"scale": 4, "blocks": 1}))


def names_of(modules):
    """Parts that operations looked up in some modules belong to, forward and backward in one."""
    return {part for where, _, part, _ in (*OPERATIONS, *PLAIN) if where.rsplit(".", 1)[1] in modules}


EVERYWHERE = {"conv", "tail", "base", "step"}


def test_every_part_is_met_in_a_step(parts):
    expected = names_of(EVERYWHERE | {"block_chain"}) | names_of({"bam"}) - {"BN in front of signs"}
    assert set(parts) == expected - {"LB-blocks"} | {LB_FORWARD, LB_BACKWARD}
    assert all(part.seconds > 0 and part.work > 0 for part in parts.values())


def test_every_part_is_met_in_a_step_by_layers():
    met = set()
    for scheme in ("bam", "bbcu", "bnn", "dorefa", "abc", "bw"):
        options = {"name": "vdsr", "width": 4, "blocks": 1, "norm": True, "binarizer": scheme}
        found = parts_of(make_network({"scale": 2} | options))
        assert all(part.seconds > 0 and part.work > 0 for part in found.values()), scheme
        assert {BINARY_FORWARD, BINARY_BACKWARD} <= set(found)
        macs = 3 * 9 * 4 * 4 * 32 * 32 * (3 if scheme == "abc" else 1)
        assert found[BINARY_FORWARD].work == macs
        assert found[BINARY_BACKWARD].work == 2 * macs
        met |= set(found)
    assert met >= names_of(EVERYWHERE | {"bam", "bbcu", "bnn", "dorefa", "abc_net", "binary_weights"})
    assert met >= names_of({"binary"}) - {"blocks' convolutions"}


def test_work_of_float_convolutions(parts):
    pixels, head, trunk, tail = 16 * 16, 3 * 48 * 9, 48 * 48 * 9, 48 * 48 * 25
    assert parts["head and trunk"].work == pixels * (2 * head + 3 * trunk)
    composed = 48 * 48 * 9 * (36 * 3 + 100 * 12)  # for each pair of phase and tap along both axes, one product
    assert parts["tail"].work == 3 * (pixels * tail + composed)


def test_rows_add_up_to_the_step(capsys):
    print_table(1.0, [Row("a", 0.5, LEFT, "memory", 0.25), Row("b", 0.25, LEFT)])
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[-3:] for line in lines[:1]] == [["50.0%", "50%", "memory"]]
    assert lines[-1].split()[: len(REST.split())] == REST.split()
    assert "250.00" in lines[-1]


# --- what is timed ---


def test_every_network_has_cases():
    assert set(CASES) == set(NETWORKS)
    assert CASES["bsrn"] == {"48": Case(16, 48), "16": Case(8, 16)}


SMALL = {"bbcu": Case(2, 6), "bsrn": Case(2, 6), "srresnet": Case(2, 6), "vdsr": Case(2, 3, 9)}


def config_of(name, case):
    network = make_network({"name": name, "scale": 4, "blocks": 1, "width": 4, "binarizer": OTHER}).config
    return dataclasses.replace(TrainConfig(), network=network, batch=case.batch, patch=case.patch)


@pytest.mark.parametrize(("name", "case"), SMALL.items())
def test_a_timed_step_moves_weights(tmp_path, name, case):
    source = make_source(tmp_path, case.patch)
    ours = Ours(config_of(name, case), source, case)
    before = ours.state.params.vector.copy()
    ours.step()
    assert ours.state.step == 1
    assert np.abs(ours.state.params.vector - before).max() > 1e-4
    assert ours.data_bytes > 0
    assert len(ours.data_seconds) == 1


def test_enlarged_patches_pass_the_chain_alone(tmp_path, rng):
    """As in a whole step, but for the bicubic enlargement, which is part of the data."""
    case = SMALL["vdsr"]
    source = make_source(tmp_path, case.patch)
    x, y = batch_of(source, case, 0)
    assert x.shape == y.shape == (2, 3, 9, 9)
    network = network_of(config_of("vdsr", case).network, case)
    params = network.init(0)
    chain, _ = network.chain.apply(params, x - np.float32(0.5), train=True)
    np.testing.assert_allclose(network.apply(params, x, train=True)[0], x + chain, atol=1e-6)


@pytest.mark.peers
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("name", "composed"),
    [*((name, composed) for name in ("bbcu", "bsrn", "srresnet") for composed in (False, True)), ("vdsr", False)],
)
def test_the_peer_takes_the_same_step(tmp_path, name, composed, layout):
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install .[peers]")
    case = SMALL[name]
    source, config = make_source(tmp_path, case.patch), config_of(name, case)
    if not composed and name != "vdsr":
        config = dataclasses.replace(config, network=make_network(config.network | {"tail": "plain"}).config)
    ours = Ours(dataclasses.replace(config, rate=1e-3, warmup=0), source, case)
    peer = Peer(config, source, case, composed, layout)
    before = ours.state.params.vector.copy()
    ours.step()
    peer.step()
    learned = [name for name in ours.state.params if ".running_" not in name]
    moved = dict(zip(learned, peer.learned, strict=True))
    # first steps of Adam are of one size whatever the gradient, so that rounding may turn a few of them
    apart = np.concatenate([(moved[n].detach().numpy() - ours.state.params[n]).ravel() for n in learned])
    assert np.mean(np.abs(apart) > 1e-5) < 0.02
    assert np.abs(ours.state.params.vector - before).max() > 5e-4
