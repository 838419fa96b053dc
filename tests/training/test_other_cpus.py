"""The first forward pass of a training gives the same bits on every CPU."""

import hashlib
import json

import numpy as np
import pytest

from npbsrn.binarizers import bam, bbcu, normalized
from npbsrn.fused import lb_blocks as lb_block
from npbsrn.networks.base import make_network
from npbsrn.ops.bits import Bits
from npbsrn.storage.params import leaves
from tests.other_cpus import CPUS, run_held

CASES = {
    "fused": ({}, 16),
    "fused, as the shipped weights": (
        {"activation": "none", "binarizer": {"statistic": "none", "activation_ste": "bireal"}}, 32,
    ),
    "fused, E the mean": ({"binarizer": {"statistic": "mean"}}, 16),
    "layer by layer": ({}, 13),
    "thresholds, layer by layer": ({"name": "bbcu", "binarizer": "bbcu", "width": 32}, 13),
    "layer by layer, another width": ({"width": 20, "binarizer": {"statistic": "mean"}}, 16),
}  # fmt: skip


def watched_signs(inner, digest):
    """`norm_signs` or `shifted_signs`, whose signs go into a digest."""

    def watched(*args):
        signs, pull = inner(*args)
        for own in signs if isinstance(signs, list) else [signs]:
            digest.update((own.words if isinstance(own, Bits) else own).tobytes())
        return signs, pull

    return watched


def watched_filters(filters, scales):
    """BBCU's filters, whose signs and scales go into digests."""
    inner = bbcu.Bbcu.filters

    def watched(*args):
        own, pull = inner(*args)
        filters.update(own.signs[0].tobytes())
        scales.update(own.scales.tobytes())
        return own, pull

    return watched


def seen_in(options, side):
    """All that decides a sign in a forward pass in training, by kind: digests."""
    network = make_network({"scale": 2, "blocks": 2, **options})
    params = network.init(3)
    x = np.random.default_rng(5).random((3, 3, side, side), dtype=np.float32)
    digests = {name: hashlib.sha256() for name in ("filters", "scales", "fused", "layers", "running")}

    def watch(function, names):
        def watched(*args):
            result = function(*args)
            for name, value in zip(names, result[0] if isinstance(result[0], tuple) else result[:1], strict=True):
                digests[name].update(value.tobytes())
            return result

        return watched

    kept = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bam, "binary_filters", watch(bam.binary_filters, ("filters", "scales")))
        patch.setattr(bbcu.Bbcu, "filters", watched_filters(digests["filters"], digests["scales"]))
        for module, name in ((normalized, "norm_signs"), (bbcu, "shifted_signs")):
            patch.setattr(module, name, watched_signs(getattr(module, name), digests["layers"]))
        allocate = lb_block._allocate_saved
        patch.setattr(lb_block, "_allocate_saved", lambda *args: kept.append(allocate(*args)) or kept[-1])
        network.apply(params, x, train=True)
    for saved in kept:
        for value in (saved.bits, saved.inputs, saved.totals, saved.mean, saved.variance):
            digests["fused"].update(value.tobytes())
    for name, value in leaves(params):
        if ".running_" in name:
            digests["running"].update(value.tobytes())
    return {name: digest.hexdigest() for name, digest in digests.items()}


@pytest.fixture(scope="module")
def here():
    return {case: seen_in(*arguments) for case, arguments in CASES.items()}


@pytest.mark.slow
@pytest.mark.parametrize("cpu", CPUS)
def test_every_cpu_sees_the_same_signs(here, tmp_path, cpu):
    nothing = hashlib.sha256().hexdigest()
    for case, digests in here.items():
        other = ["layers"] if case.startswith("fused") else ["fused"]  # of the way not taken
        statistics = ["running"] if case.startswith("thresholds") else []
        assert [name for name, digest in digests.items() if digest == nothing] == other + statistics
    program = f"import json; from {__name__} import CASES, seen_in; "
    program += "print(json.dumps({case: seen_in(*arguments) for case, arguments in CASES.items()}))"
    assert json.loads(run_held(cpu, tmp_path, program)) == here
