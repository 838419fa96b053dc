"""A plan's steps against the layers that they stand for, convolution by convolution."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import npbsrn
from npbsrn.binarizers import make_binarizer
from npbsrn.errors import UsageError
from npbsrn.fused.block_chain import BlockChain
from npbsrn.layers.base import Chain, Layer
from npbsrn.layers.binary import BinaryConv, Memory
from npbsrn.layers.blocks import BinaryBlock, BlockGroup, long_range
from npbsrn.layers.conv import Conv
from npbsrn.models import Model
from npbsrn.networks.base import make_network
from npbsrn.ops import normal_form
from npbsrn.ops.conv import conv2d_ref
from npbsrn.packed.format import load_packed
from npbsrn.packed.lower import lower
from npbsrn.packed.reference import blocks_ref
from npbsrn.shipped import MODELS
from npbsrn.storage.params import digest, leaves
from tests.packed.models import latent_model, put_on_threshold, random_model
from tests.packed.plans import assert_same
from tests.packed.test_wavefront import Case, run
from tests.strategies import packable_networks, seeds


def apply_reference(model, x):
    """Each LB-block's input, what its convolutions binarize with the signs of it, and its output."""
    body = dict(dict(model.network.chain.layers)["body"].inner.layers)["hpb"]
    params = model.params["body"]["hpb"]
    seen = []
    inner = normal_form.sign

    def watch(z):
        bits = inner(z)
        seen[-1][1].append((z[0], bits[0]))
        return bits

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(normal_form, "sign", watch)
        for g, group in enumerate(body.groups, 1):
            filters = ()
            for n, block in enumerate(group.blocks, 1):
                seen.append((x[0], []))
                x, remembered, _ = block.apply(params[str(g)][str(n)], x, filters, train=False)
                filters, _ = long_range(remembered)
                seen[-1] += (x[0],)
    return seen


def weighted(a, statistic):
    if statistic == "none":
        return a
    return a * np.mean(abs(a) if statistic == "abs" else a, axis=0)


def check_block(block, x, binarized, y):
    """In float64; a convolution begins with the reference's own signs, so that no sign near 0 leads another way."""
    x = x.astype(np.float64)
    inputs, sums = [x], x
    for n, (step, (z, bits)) in enumerate(zip(block.steps, binarized, strict=True)):
        weights = step.weight[0].astype(np.float64)[:, :, None, None]
        shift = step.shift[0].astype(np.float64)[:, None, None]
        used = [inputs[k] for k in step.terms]
        own_z = shift + sum(w * weighted(a, block.statistic) for w, a in zip(weights, used, strict=True))
        magnitude = "none" if block.statistic == "none" else "abs"
        terms = (abs(w * weighted(a, magnitude)) for w, a in zip(weights, used, strict=True))
        rounding = 1e-5 * (abs(shift) + sum(terms) + 0.1)
        np.testing.assert_array_less(abs(own_z - z), rounding)
        clear = abs(own_z) > rounding
        np.testing.assert_array_equal(np.where(own_z < 0, -1, 1)[clear], bits[clear])
        nothing = (own_z == 0) & np.all(weights == 0, axis=0)  # 0, whatever comes in
        assert np.all(bits[nothing] == 1)
        sums = conv2d_ref(bits[None].astype(np.float64), step.signs[0].astype(np.float64), pad_value=1.0)[0][0]
        sums = sums * step.factor[0, 0].astype(np.float64)[:, None, None]
        if n < 2:
            slope = 1 if step.slope is None else step.slope.astype(np.float64)[:, None, None]
            inputs.append(np.where(sums > 0, sums, sums * slope))
    np.testing.assert_allclose(x + np.float64(block.residual) * sums, y, rtol=1e-5, atol=1e-5)


@settings(max_examples=60)
@given(packable_networks, seeds)
def test_steps_stand_for_the_layers(config, seed):
    model = random_model(seed, **config)
    plan = lower(model)
    x = np.random.default_rng(seed).standard_normal((1, config["width"], 4, 6)).astype(np.float32)
    seen = apply_reference(model, x)
    assert len(seen) == 2 * config["blocks"] == len(plan.blocks)
    for block, (before, binarized, after) in zip(plan.blocks, seen, strict=True):
        check_block(block, before, binarized, after)
    np.testing.assert_array_equal(blocks_ref(x[0], plan.blocks), seen[-1][2])  # to the bit


RPRELU = {"activation": "rprelu"}
KINDS = [
    *[("bbcu", options) for options in ({}, {"norm": True}, {"residual": 0.3}, {"activation": "prelu"})],
    *[("bbcu", {"trunk": False} | options) for options in ({}, {"activation": "relu"}, {"activation": "none"})],
    *[("bsrn", options) for options in ({}, {"skip": "every"}, {"norm": True}, RPRELU)],
    *[("srresnet", options) for options in ({}, {"skip": "every"}, {"norm": True}, {"activation": "relu"})],
    *[("srresnet", RPRELU | options) for options in ({}, {"skip": "every"}, {"norm": True})],
    *[("vdsr", options) for options in ({}, {"norm": True}, {"activation": "relu"}, RPRELU)],
]


@pytest.mark.parametrize(("name", "options"), KINDS)
@pytest.mark.parametrize("binarizer", ["bam", "bbcu", "bnn", "dorefa", "abc", "bw", "none"])
def test_blocks_of_every_network_and_scheme_to_the_bit(rng, name, binarizer, options):
    model = random_model(11, name=name, scale=2, blocks=2, width=20, binarizer=binarizer, **options)
    layer = dict(model.network.chain.layers)["body"]
    params = model.params["body"]
    layer = getattr(layer, "inner", layer)
    if hasattr(layer, "layers"):
        inner = layer.layers[0]
        layer, params = inner[1], params[inner[0]]
    x = rng.standard_normal((1, 20, 5, 37)).astype(np.float32)
    expected, _ = layer.apply(params, x, train=False)
    plan = lower(model)
    result = blocks_ref(x[0], plan.blocks)
    if all(step.binary or step.size > 1 for step in plan.steps):
        np.testing.assert_array_equal(result, expected[0])
        if plan.steps[0].binary:
            np.testing.assert_array_equal(run(Case(x[0], plan.blocks), 2), expected[0])
    else:  # float activations by 1x1: BLAS has its own order
        np.testing.assert_allclose(result, expected[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "scale"), [(name, scale) for name in MODELS for scale in MODELS[name].scales])
def test_folding_gives_the_shipped_arrays(name, scale):
    """They were made elsewhere; on a CPU that sums in another order last bits of scales, or signs, would differ."""
    there = load_packed(Path(npbsrn.__file__).parent / "weights" / f"{name}-x{scale}-packed.npz")
    assert_same(lower(latent_model(name, scale)), there)


@pytest.mark.parametrize("statistic", ["abs", "mean"])
@settings(max_examples=10)
@given(seeds, st.sampled_from([16, 48, 65]))
def test_one_pixel(statistic, seed, width):
    """Of one pixel NumPy's mean would add the channels in another order than of several."""
    model = random_model(seed, scale=2, blocks=1, width=width, binarizer={"statistic": statistic})
    x = np.random.default_rng(seed).standard_normal((1, width, 1, 1)).astype(np.float32)
    put_on_threshold(model, x[0, :, 0, 0], statistic)
    blocks, expected = lower(model).blocks, apply_reference(model, x)[-1][2]
    np.testing.assert_array_equal(blocks_ref(x[0], blocks), expected)
    np.testing.assert_array_equal(run(Case(x[0], blocks)), expected)


@settings(max_examples=25)
@given(packable_networks, seeds)
def test_what_lowering_gives(config, seed):
    plan = lower(random_model(seed, **config))
    blocks, width = 2 * config["blocks"], config["width"]
    assert len(plan.blocks) == blocks
    for n, step in enumerate(plan.steps):
        assert step.size == (3, 1, 1)[n % 3]
        assert [(w.shape, w.dtype) for w in step.signs] == [((width, width, step.size, step.size), np.int8)]
        assert np.all(abs(step.signs[0]) == 1)
        terms = n % 3 + 1 if config["binarizer"]["accumulate_activations"] else 1
        shapes = {"factor": (1, 1, width), "weight": (1, terms, width), "shift": (1, width)}
        if config["activation"] == "prelu" and n % 3 < 2:
            shapes["slope"] = (width,)
        for name in ("factor", "offset", "weight", "shift", "slope"):
            value = getattr(step, name)
            assert (value is None) == (name not in shapes), name
            if value is not None:
                assert (value.shape, value.dtype, value.flags.c_contiguous) == (shapes[name], np.float32, True), name
        assert not np.any(np.signbit(step.shift) & (step.shift == 0))  # -0.0 would be taken for a number below 0
    assert all(block.statistic == config["binarizer"]["statistic"] for block in plan.blocks)
    assert len(plan.tail) == (3 if config["scale"] == 4 else 2)
    assert plan.config == make_network(config).config


def test_a_shift_of_minus_zero_is_none():
    model = random_model(1, scale=2, blocks=1, width=4)
    for block in model.params["body"]["hpb"]["1"].values():
        for n in (1, 2, 3):
            own = block[f"conv{n}"]["binarizer"]
            own["shift"][...] = -0.0
            own["running_mean"][...] = 0
    assert not any(np.signbit(step.shift).any() for step in lower(model).steps)


@pytest.mark.parametrize("options", [{}, {"name": "bbcu", "binarizer": "bbcu", "output_gain": 1.0}])
def test_the_model_stays_as_it_was(options):
    model = random_model(2, scale=3, blocks=2, width=16, **options)
    before = digest(dict(leaves(model.params)))
    plan = lower(model)
    for step in plan.steps:
        for array in (step.weight, step.shift, step.factor, step.offset, step.slope):
            if array is not None:
                array[...] = 7
    for array in (array for own in (plan.head, plan.trunk, *plan.tail) for array in own):
        array[...] = 7
    assert digest(dict(leaves(model.params))) == before


@pytest.mark.parametrize("options", [{}, {"norm": True}, {"binarizer": "dorefa"}])
def test_a_shift_behind_a_convolution_is_part_of_its_offset(options):
    """In float64 and rounded once; a shift alone is the offset, to the bit."""
    model = random_model(3, **{"name": "bbcu", "scale": 2, "blocks": 1, "width": 16, "binarizer": "bbcu"} | options)
    own = model.params["body"]["blocks"]["1"]["1"]
    bare = Model(make_network(model.network.config | {"activation": "prelu"}), model.params)
    (step,), (without,) = lower(model).steps, lower(bare).steps
    start = 0 if without.offset is None else without.offset.astype(np.float64)
    assert (without.offset is None) == (options == {})
    np.testing.assert_allclose(step.offset, start + own["act1"]["shift"], rtol=1e-6, atol=1e-6)
    if options == {}:
        np.testing.assert_array_equal(step.offset, own["act1"]["shift"])
    for name in ("factor", "slope", "weight", "shift"):
        np.testing.assert_array_equal(getattr(step, name), getattr(without, name))


def test_the_factor_on_details_is_in_the_last_convolution():
    plain, divided = (
        lower(random_model(4, name="bbcu", scale=2, blocks=1, width=16, output_gain=gain)) for gain in (1.0, 0.25)
    )
    for own, other in zip(plain.tail[-1], divided.tail[-1], strict=True):
        np.testing.assert_array_equal(own * np.float32(0.25), other)
    for own, other in zip(plain.tail[0], divided.tail[0], strict=True):
        np.testing.assert_array_equal(own, other)


def test_a_body_of_something_else_is_refused():
    network = make_network({"name": "bbcu", "scale": 2, "blocks": 1, "width": 4, "trunk": False})
    (head, (name, body), tail), params = network.chain.layers, network.init(0)
    blocks = dict(body.layers)["blocks"]
    for layers in ((("a", blocks), ("b", blocks)), (("a", Conv(4, 4)),), ()):
        chain = Chain((head, (name, Chain(layers)), tail))
        other = dataclasses.replace(network, chain=chain)
        with pytest.raises(UsageError, match="its body is no chain of blocks"):
            lower(Model(other, {**params, "body": Chain(layers).init(np.random.default_rng(0), np.float32)}))


class Half(Layer):
    def apply(self, params, x, train):
        return x / 2, None


def test_an_activation_of_ones_own_runs_and_is_refused(rng):
    """By the layers; a plan has PReLUs only."""
    conv = BinaryConv(4, 3, make_binarizer("bbcu"))
    body = BlockChain((BlockGroup((BinaryBlock((conv,), Half(), "unit"),)),))
    network = make_network({"name": "bbcu", "scale": 2, "blocks": 1, "width": 4})
    (head, _, tail) = network.chain.layers
    network = dataclasses.replace(network, chain=Chain((head, ("body", body), tail)))
    params, x = network.init(0), rng.standard_normal((1, 4, 5, 6)).astype(np.float32)
    y, _ = conv.infer(params["body"]["1"]["1"]["conv1"], x, Memory())
    np.testing.assert_array_equal(body.apply(params["body"], x, False)[0], x + y / 2)
    with pytest.raises(UsageError, match=r'an activation that is no PReLU; run it with engine="reference"'):
        lower(Model(network, params))


def test_what_bits_cannot_stand_for_is_refused():
    network = make_network({"scale": 2, "blocks": 1, "width": 4, "binarizer": {"padding": "zero"}})
    with pytest.raises(UsageError, match=r'zeros .* third value; run it with engine="reference"'):
        lower(Model(network, network.init(0)))
