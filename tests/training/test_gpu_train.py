"""The PyTorch program for a GPU against npbsrn: its steps, its batches, and the state that it hands over."""

import dataclasses
import json

import numpy as np
import pytest

import npbsrn
from npbsrn.networks.base import make_network
from npbsrn.storage.params import leaves, load_arrays, nest
from npbsrn.training.checkpoint import GROUPS
from npbsrn.training.config import make_config
from npbsrn.training.step import first_state, loss_and_grads, train_step

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install .[peers]")
gpu_network = pytest.importorskip("training.gpu.network")
from training.gpu import step as gpu_step  # noqa: E402
from training.gpu import train as gpu_train  # noqa: E402
from training.gpu.to_checkpoint import KEPT, write_checkpoint  # noqa: E402

pytestmark = pytest.mark.peers
RTOL = 2e-5  # of float32, by norm
# What a step changes of v is a thousandth of it, so that v's roundings are a thousand times as large beside it; weights
# of which the gradient is tiny move by a quotient of roundings.
LIMITS = {"v": 1e-3, "params": 1e-4}
MARGIN = 1e-5  # of what is binarized, from a place where a sign or a gradient's window ends
BBCU = {"binarizer": "bbcu", "residual": 1.0, "input_gain": 130.0, "output_gain": 1 / 130}
CASES = {
    "x2": {"scale": 2},
    "x3": {"scale": 3},
    "x4": {"scale": 4},
    "clip": {"scale": 2, "binarizer": {"activation_ste": "clip"}, "norm": True},
    "no trunk, plain tail": {"scale": 4, "trunk": False, "tail": "plain", "activation": "prelu"},
    "direct tail": {"scale": 4, "trunk": False, "tail": "direct"},
    "bbcu": {"scale": 2, **BBCU},
    "bbcu, relu": {"scale": 3, **BBCU, "activation": "relu", "binarizer": {"name": "bbcu", "window": 20.0}},
}
RUN = {"steps": 50, "warmup": 3, "batch": 2, "patch": 16, "weight_decay": 1e-4, "validate_every": 5}


def configured(case, **options):
    return make_config(case["scale"], "best", RUN | {"blocks": 3, "width": 16} | case | options)


def moved(network, rng):
    """A state in which no weight is 0 or 1 any more."""
    state = first_state(network, 0)
    for group in (state.params, state.average):
        group.vector[:] += 0.05 * rng.standard_normal(group.vector.size).astype(np.float32)
    for name, array in state.params.items():
        if name.endswith("running_variance"):
            array[:] = np.abs(array)
    state.m.vector[:] = 1e-4 * rng.standard_normal(state.m.vector.size)
    state.v.vector[:] = np.square(1e-4 * rng.standard_normal(state.v.vector.size))
    return state


def load(training, state):
    """Give the program npbsrn's state."""
    groups = ((training.p, training.r, state.params), (training.ap, training.ar, state.average))
    with torch.no_grad():
        for learned, running, group in groups:
            for tensor, names in ((learned, training.net.learned), (running, training.net.running)):
                tensor.copy_(torch.from_numpy(np.concatenate([np.zeros(0), *(group[n].ravel() for n in names)])))
        for tensor, group in ((training.m, state.m), (training.v, state.v)):
            tensor.copy_(torch.from_numpy(np.concatenate([group[n].ravel() for n in training.net.learned])))
        training.step.fill_(state.step)


class Margin:
    """Remember how near what is binarized came to where rounding could flip a sign or a gradient's window."""

    def __init__(self, monkeypatch):
        self.least, inner = np.inf, gpu_network.sign

        def sign(z, kind):
            ends = z.detach().abs()
            if kind != "identity":
                ends = torch.minimum(ends, (ends - 1).abs())
            self.least = min(self.least, (ends / z.detach().std()).min().item())
            return inner(z, kind)

        monkeypatch.setattr(gpu_network, "sign", sign)


def safe_batch(training, config, monkeypatch, first):
    """A batch in which no rounding can flip a sign."""
    for seed in range(first, first + 200):
        rng = np.random.default_rng(seed)
        x, y = (rng.random((2, 3, r * 8, r * 8), dtype=np.float32) for r in (1, config.scale))
        with monkeypatch.context() as patch:
            margin = Margin(patch)
            loss, grad, _ = training.gradient(torch.from_numpy(x), torch.from_numpy(y))
        if margin.least > MARGIN:
            return x, y, float(loss), grad
    return pytest.fail("no batch keeps away from all thresholds")


def apart(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def differences(config, monkeypatch, steps=4):
    """The largest differences of loss, gradients, weights, moments and averages, over some steps from one state each.

    Behind each step the program goes on from npbsrn's state, so that a rounding never grows.
    """
    network = make_network(config.network)
    training = gpu_step.Training(network, config, {}, "cpu")
    state = dataclasses.replace(moved(network, np.random.default_rng(1)), step=5)
    worst = dict.fromkeys(("loss", "grads", *GROUPS), 0.0)
    for n in range(steps):
        load(training, state)
        x, y, loss, grad = safe_batch(training, config, monkeypatch, 1000 * n)
        params = nest({name: a.copy() for name, a in state.params.items()})
        expected, grads = loss_and_grads(network, params, x, y)
        worst["loss"] = max(worst["loss"], abs(loss / expected - 1))
        for name, found in training.net.views(grad, training.net.learned).items():
            worst["grads"] = max(worst["grads"], apart(found.numpy(), grads[name]))
        before = {group: {name: a.copy() for name, a in getattr(state, group).items()} for group in GROUPS}
        training.one(torch.from_numpy(x), torch.from_numpy(y))
        state, _ = train_step(state, network, config, x, y)
        for key, found in training.arrays().items():
            group, _, name = key.partition(".")
            was, now = before[group][name], getattr(state, group)[name]
            worst[group] = max(worst[group], apart(found - was, now - was))  # of what the step changes
    assert int(training.step) == state.step
    return worst


def wrong(worst):
    """The groups that differ by more than rounding."""
    return {group for group, difference in worst.items() if not difference < LIMITS.get(group, RTOL)}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_steps_equal_npbsrns(case, monkeypatch):
    assert not wrong(differences(configured(case), monkeypatch))


@pytest.mark.parametrize(("clip", "schedule"), [(0.0, "multistep"), (1e-3, "step"), (1e3, "cosine")])
def test_other_schedules_and_clips_are_npbsrns_too(clip, schedule, monkeypatch):
    config = configured(CASES["x2"], clip=clip, schedule=schedule, halve_every=3, milestones=[0.12, 0.5], ema=0.3)
    assert not wrong(differences(config, monkeypatch, steps=3))


def other_ste(monkeypatch):
    inner = gpu_network.soft
    monkeypatch.setattr(gpu_network, "soft", lambda z, kind: inner(z, "clip" if kind == "bireal" else kind))


def biased_variance(monkeypatch):
    inner = gpu_network.norm

    def norm(x, own, name, train):
        y, found = inner(x, own, name, train)
        return y, found | {f"{name}.running_variance": x.var((0, 2, 3), unbiased=False)}

    monkeypatch.setattr(gpu_network, "norm", norm)


def late_step(monkeypatch):
    inner = gpu_step.update
    monkeypatch.setattr(gpu_step, "update", lambda config, *args: inner(config, *args[:-2], args[-2] + 1, args[-1]))


def one_rate(monkeypatch):
    inner = gpu_step.update
    monkeypatch.setattr(
        gpu_step, "update", lambda config, *args: inner(dataclasses.replace(config, binary_rate=1.0), *args)
    )


def no_scale(monkeypatch):
    inner = gpu_network.binary_filters

    def filters(w, scheme):
        signs, scale = inner(w, scheme)
        return signs, scale.detach()

    monkeypatch.setattr(gpu_network, "binary_filters", filters)


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (other_ste, {"grads", "params", "m", "v"}),
        (biased_variance, {"params", "average"}),
        (late_step, {"params"}),
        (one_rate, {"params"}),
        (no_scale, {"grads", "m"}),
    ],
)
def test_planted_bugs_are_caught(plant, found, monkeypatch):
    config = configured(CASES["x2"])
    plant(monkeypatch)
    assert found <= wrong(differences(config, monkeypatch, steps=2))


def test_first_values_are_npbsrns(monkeypatch):
    config = configured(CASES["x3"], seed=4)
    network = make_network(config.network)
    arrays = gpu_step.Training(network, config, {}, "cpu").arrays()
    for name, array in leaves(network.init(4)):
        for group in ("params", "average"):
            np.testing.assert_array_equal(arrays[f"{group}.{name}"], array)


def test_half_precision_counts_exactly_and_has_nearly_the_same_gradients(monkeypatch):
    config = configured(CASES["x4"])
    network = make_network(config.network)
    one, half = (gpu_step.Training(network, config, {}, "cpu", half=half) for half in (False, True))
    state = moved(network, np.random.default_rng(1))
    load(one, state)
    load(half, state)
    x, y, loss, grad = safe_batch(one, config, monkeypatch, 0)
    other, near, _ = half.gradient(torch.from_numpy(x), torch.from_numpy(y))
    assert float(other) == pytest.approx(loss, rel=1e-6)
    assert apart(near.numpy(), grad.numpy()) < 0.02


def test_enlarging_is_npbsrns(monkeypatch):
    config = configured(CASES["x4"])
    network = make_network(config.network)
    training, state = gpu_step.Training(network, config, {}, "cpu"), moved(network, np.random.default_rng(2))
    load(training, state)
    x, *_ = safe_batch(training, config, monkeypatch, 0)
    expected = network.apply(state.average.nested, x)[0]
    with torch.no_grad():
        found = training.enlarge(torch.from_numpy(x)).numpy()
    assert apart(found, expected) < RTOL


def test_what_this_program_does_not_train_is_refused():
    for options in (
        {"binarizer": {"alpha": "learned"}}, {"binarizer": {"activation_ste": "steep"}}, {"base": "none"},
        {"late_patch": 32}, {"distill": 0.5},
    ):  # fmt: skip
        config = configured(CASES["x2"], **options)
        with pytest.raises(ValueError, match=r"bam must be|activation_ste must be|bicubic base|no teacher"):
            gpu_step.Training(make_network(config.network), config, {}, "cpu")


# --- whole runs ---


def test_a_run_leaves_a_state_from_which_npbsrn_goes_on(photographs, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_train, "READERS", 1)
    options = {"steps": 6, "batch": 2, "patch": 8, "blocks": 1, "width": 16, "validate_every": 4}
    spec = {"name": "one", "scale": 2, "options": options, "folders": ["photographs"], "held": ["photographs"]}
    gpu_train.run_jobs([spec], photographs.parent, tmp_path)
    lines = (tmp_path / "one.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["4", "6"]
    card = json.loads((tmp_path / "one.card.json").read_text())
    arrays = dict(np.load(tmp_path / "one.state.npz"))
    weights = dict(np.load(tmp_path / "one.npz"))
    assert {name: a.tobytes() for name, a in weights.items()} == {
        key.removeprefix("average."): a.tobytes() for key, a in arrays.items() if key.startswith("average.")
    }
    path = write_checkpoint(arrays, card, tmp_path / "run")
    written, about = load_arrays(path)
    assert written.keys() == arrays.keys()
    for name, array in arrays.items():
        kept = KEPT[name.partition(".")[0]]
        np.testing.assert_allclose(written[name], array, rtol=2.0 ** -(kept + 1), err_msg=name)
    assert (about["step"], about["psnr"]) == (6, None)
    npbsrn.train(photographs, output=tmp_path / "run", resume=True, steps=9, progress=False, cache=tmp_path / "cache")
    after, about = load_arrays(path)
    assert about["step"] == 9
    assert not np.array_equal(after["params.head.weight"], written["params.head.weight"])


def test_time_ends_a_run_and_its_schedule(photographs, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_train, "READERS", 1)
    monkeypatch.setattr(gpu_train, "AHEAD", 1)
    options = {"steps": 10**6, "batch": 1, "patch": 8, "blocks": 1, "width": 4, "keep": 1.0}
    spec = {"name": "one", "scale": 2, "options": options, "folders": ["photographs"], "held": [], "seconds": 0.2}
    job = gpu_train.Job(spec, photographs.parent, tmp_path)
    assert list(job.run())
    assert float(job.training.done) == 1
    assert 0 < int(job.training.step) < 10**6
    rate = gpu_step.rate_at(job.config, job.training.step, job.training.done)
    assert float(rate) == pytest.approx(0, abs=1e-12)
