import dataclasses
import json

import pytest

from npbsrn.errors import UsageError
from npbsrn.networks.base import make_network
from npbsrn.storage.params import leaves
from npbsrn.training.config import PRESETS, TrainConfig, choose_network, make_config, with_option


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_presets_are_complete(preset, scale):
    config = make_config(scale, preset)
    assert config.scale == scale


def test_the_paper_is_the_paper():
    config = make_config(4, "paper")
    assert (config.batch, config.patch, config.rate, config.beta1, config.weight_decay) == (16, 48, 1e-4, 0.5, 2e-4)
    assert (config.network["base"], config.network["residual"]) == ("none", 1.0)
    assert config.rate_at(0) == config.rate_at(199_999) == 1e-4
    assert config.rate_at(200_000) == 0.5e-4


def test_options_go_to_the_run_or_the_network():
    config = make_config(2, "quick", {"steps": 7, "width": 8, "binarizer": {"alpha": "one"}})
    assert config.steps == 7
    assert config.network["width"] == 8
    assert config.network["blocks"] == PRESETS["quick"]["network"]["blocks"]
    assert (config.network["binarizer"]["name"], config.network["binarizer"]["alpha"]) == ("bam", "one")


def test_cosine_schedule():
    config = make_config(4, "default", {"steps": 1000, "warmup": 100, "rate": 1e-3})
    rates = [config.rate_at(step) for step in range(1000)]
    assert rates[0] < rates[50] < rates[100] > rates[500] > rates[999] > 0
    assert max(rates) < 1e-3
    assert rates[999] < 1e-8


def test_multistep_schedule_fits_itself_to_the_run():
    options = {"schedule": "multistep", "milestones": [0.5, 0.75], "gamma": 0.1, "warmup": 0, "rate": 1e-3}
    for steps in (8, 8000):
        config = make_config(4, "default", options | {"steps": steps})
        rates = [config.rate_at(step) for step in range(steps)]
        assert rates[: steps // 2] == [1e-3] * (steps // 2)
        assert rates[steps // 2 : steps * 3 // 4] == pytest.approx([1e-4] * (steps // 4))
        assert rates[steps * 3 // 4 :] == pytest.approx([1e-5] * (steps // 4))


def test_multistep_schedule_warms_up():
    config = make_config(4, "default", {"schedule": "multistep", "steps": 1000, "warmup": 99, "rate": 1e-3})
    assert [config.rate_at(step) for step in (0, 49, 99, 499, 500)] == pytest.approx([1e-5, 5e-4, 1e-3, 1e-3, 5e-4])


@pytest.mark.parametrize("value", [0.25, [0.25], (0.25,)])
def test_milestones_become_a_tuple(value):
    config = make_config(4, "default", {"milestones": value})
    assert config.milestones == (0.25,)
    assert TrainConfig(**json.loads(json.dumps(dataclasses.asdict(config)))) == config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be a number above 0, not 0"),
        ({"steps": 2.5}, "steps must be a whole number, not 2.5"),
        ({"batch": -1}, "batch must be a number above 0"),
        ({"rate": float("nan")}, "rate must be a number above 0, not nan"),
        ({"distill": 1.5}, "distill must be a number at least 0 and at most 1, not 1.5"),
        ({"binary_rate": 0}, "binary_rate must be a number above 0, not 0"),
        ({"rate": "fast"}, "rate must be a number above 0, not 'fast'"),
        ({"keep": 0}, "keep must be a number above 0 and at most 1, not 0"),
        ({"keep": 1.1}, "keep must be a number above 0 and at most 1"),
        ({"flat_patches": -1}, "flat_patches must be a number at least 0"),
        ({"flat_patches": 0.5}, "flat_patches must be a whole number"),
        ({"flat_patches": True}, "flat_patches must be a whole number"),
        ({"flat_patches": 9, "batch": 8}, "flat_patches must be at most the batch of 8, not 9"),
        ({"degrade": 1}, "degrade must be True or False, not 1"),
        ({"degrade": "yes"}, "degrade must be True or False, not 'yes'"),
        ({"ema": 1}, "ema must be a number at least 0 and below 1"),
        ({"seed": -1}, "seed must be a number at least 0"),
        ({"schedule": "linear"}, "schedule cannot be 'linear'; choose among cosine, step, multistep"),
        ({"gamma": 0}, "gamma must be a number above 0 and at most 1, not 0"),
        ({"gamma": 1.5}, "gamma must be a number above 0 and at most 1"),
        ({"milestones": "half"}, "milestones must be growing fractions of the run between 0 and 1, .* not 'half'"),
        ({"milestones": [0.5, 0.5]}, "milestones must be growing fractions"),
        ({"milestones": [0.5, 1]}, "milestones must be growing fractions"),
        ({"milestones": 0}, "milestones must be growing fractions"),
        ({"milestones": [[0.5]]}, "milestones must be growing fractions"),
        ({"colour": 3}, "there is no option colour; a run has steps, batch, .*, and bsrn has binarizer, blocks"),
        ({"residual": -1}, "residual must be a number above 0"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        make_config(4, "default", options)


def test_unknown_presets_are_refused():
    with pytest.raises(UsageError, match="no preset 'fast'; choose among default, quick, best, best-bsrn, paper"):
        make_config(4, "fast")


def test_options_of_a_binarizer_are_changed_one_by_one():
    own = make_config(4, "best").network["binarizer"]
    assert make_config(4, "best", {"binarizer": {"alpha": "one"}}).network["binarizer"] == own | {"alpha": "one"}
    assert make_config(4, "best", {"binarizer": {"name": "bnn"}}).network["binarizer"] == {"name": "bnn"}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", ["bbcu", "bsrn", "srresnet", "vdsr"])
def test_a_preset_goes_with_every_network(name, preset):
    """Of what it says of arguments, that which the network has; the scheme is what was named."""
    for scheme in ("bam", "dorefa"):
        config = make_config(3, preset, {"network": name, "binarizer": scheme, "width": 4})
        assert (config.network["name"], config.network["scale"], config.network["width"]) == (name, 3, 4)
        assert config.network["binarizer"]["name"] == scheme
        own = PRESETS[choose_network(preset, name)[0]].get("network", {})
        assert all(
            config.network[argument] == own[argument] for argument in config.network.keys() & own.keys() - {"binarizer"}
        )


def test_best_is_bbcu_where_no_network_is_named():
    for options in ({}, {"network": "bbcu"}, {"steps": 7}):
        config = make_config(2, "best", options)
        assert config.network["name"] == "bbcu"
        assert config.network["residual"] == PRESETS["best"]["network"]["residual"]
        assert (config.keep, config.flat_patches) == (PRESETS["best"]["keep"], PRESETS["best"]["flat_patches"])


@pytest.mark.parametrize("name", ["bsrn", "srresnet", "vdsr"])
def test_best_of_another_network_is_what_was_found_for_bsrn(name):
    """Its blocks have several convolutions, and what these remember is not switched off."""
    config = make_config(4, "best", {"network": name})
    assert config == make_config(4, "best-bsrn", {"network": name})
    assert config.network["name"] == name
    assert config.network["binarizer"]["accumulate_activations"]


def test_best_takes_a_network_with_no_more_parameters_than_it_uses():
    """Scalars that weigh a single term would have gradients of nothing but rounding."""
    names = [name for name, _ in leaves(make_network(make_config(4, "best").network).init(0))]
    assert not [name for name in names if name.endswith((".alpha", ".beta"))]


def test_the_float_networks_old_name_means_the_same():
    """Its padding was another one, which a run keeps when its old name is said again."""
    old = make_config(2, "default", {"binarizer": "float", "padding": "one"}).network
    for name in ("float", "none"):
        again = with_option(old, "binarizer", name)
        assert make_network(again).config == old
    with pytest.raises(UsageError, match=r"no network \{'name': 'vdsr'\}"):
        make_config(2, "default", {"network": {"name": "vdsr"}})
