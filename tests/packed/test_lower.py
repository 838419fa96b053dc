"""Folded coefficients against the layers that they stand for, convolution by convolution."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import npbsrn
from npbsrn.errors import UsageError
from npbsrn.layers.blocks import long_range
from npbsrn.networks.base import make_network
from npbsrn.ops import normal_form
from npbsrn.ops.conv import conv2d_ref
from npbsrn.packed.format import load_packed
from npbsrn.packed.lower import ABS, fold
from npbsrn.packed.reference import blocks_ref
from npbsrn.storage.models import Model
from npbsrn.storage.params import digest, leaves
from tests.packed.models import put_on_threshold, random_model
from tests.packed.test_format import contents
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
    if statistic is None:
        return a
    return a * np.mean(abs(a) if statistic == ABS else a, axis=0)


def check_block(folded, b, x, binarized, y):
    """In float64; a convolution begins with the reference's own signs, so that no sign near 0 leads another way."""
    own = folded.coefficients
    x = x.astype(np.float64)
    inputs, sums = [x], x
    for n, (z, bits) in enumerate(binarized):
        weights = own.weight[b, n, : n + 1].astype(np.float64)[:, :, None, None]
        shift = own.shift[b, n].astype(np.float64)[:, None, None]
        folded_z = shift + sum(w * weighted(a, own.statistic) for w, a in zip(weights, inputs, strict=True))
        terms = (
            abs(w * weighted(a, None if own.statistic is None else ABS)) for w, a in zip(weights, inputs, strict=True)
        )
        rounding = 1e-5 * (abs(shift) + sum(terms) + 0.1)
        np.testing.assert_array_less(abs(folded_z - z), rounding)
        clear = abs(folded_z) > rounding
        np.testing.assert_array_equal(np.where(folded_z < 0, -1, 1)[clear], bits[clear])
        nothing = (folded_z == 0) & np.all(weights == 0, axis=0)  # 0, whatever comes in
        assert np.all(bits[nothing] == 1)
        sums = conv2d_ref(bits[None].astype(np.float64), folded.signs[n][b].astype(np.float64), pad_value=1.0)[0][0]
        sums = sums * own.scale[b, n].astype(np.float64)[:, None, None]
        if n < 2:
            slope = 1 if own.slope is None else own.slope[b, n].astype(np.float64)[:, None, None]
            inputs.append(np.where(sums > 0, sums, sums * slope))
    np.testing.assert_allclose(x + np.float64(own.residual) * sums, y, rtol=1e-5, atol=1e-5)


@settings(max_examples=60)
@given(packable_networks, seeds)
def test_coefficients_stand_for_the_layers(config, seed):
    model = random_model(seed, **config)
    folded = fold(model)
    x = np.random.default_rng(seed).standard_normal((1, config["width"], 4, 6)).astype(np.float32)
    blocks = apply_reference(model, x)
    assert len(blocks) == 2 * config["blocks"] == len(folded.coefficients.scale)
    for b, (before, binarized, after) in enumerate(blocks):
        check_block(folded, b, before, binarized, after)
    np.testing.assert_array_equal(blocks_ref(x[0], folded.signs, folded.coefficients), blocks[-1][2])  # to the bit


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_folding_gives_the_shipped_arrays(scale):
    """They were made elsewhere; on a CPU that sums in another order last bits of scales, or signs, would differ."""
    here = fold(npbsrn.load(None, scale))
    there = load_packed(Path(npbsrn.__file__).parent / "weights" / f"bsrn-x{scale}-packed.npz")
    assert here.config == there.config
    for own, shipped in zip(contents(here), contents(there), strict=True):
        np.testing.assert_array_equal(own, shipped)


@pytest.mark.parametrize("statistic", ["abs", "mean"])
@settings(max_examples=10)
@given(seeds, st.sampled_from([16, 48, 65]))
def test_one_pixel(statistic, seed, width):
    """Of one pixel NumPy's mean would add the channels in another order than of several."""
    model = random_model(seed, scale=2, blocks=1, width=width, binarizer={"statistic": statistic})
    x = np.random.default_rng(seed).standard_normal((1, width, 1, 1)).astype(np.float32)
    put_on_threshold(model, x[0, :, 0, 0], statistic)
    folded, expected = fold(model), apply_reference(model, x)[-1][2]
    np.testing.assert_array_equal(blocks_ref(x[0], folded.signs, folded.coefficients), expected)
    np.testing.assert_array_equal(run(Case(x[0], folded.signs, folded.coefficients)), expected)


@settings(max_examples=25)
@given(packable_networks, seeds)
def test_what_folding_gives(config, seed):
    folded = fold(random_model(seed, **config))
    blocks, width = 2 * config["blocks"], config["width"]
    own = folded.coefficients
    shapes = {"weight": (blocks, 3, 3, width), "shift": (blocks, 3, width), "scale": (blocks, 3, width)}
    if own.slope is not None:
        shapes["slope"] = blocks, 2, width
    for name, shape in shapes.items():
        value = getattr(own, name)
        assert (value.shape, value.dtype, value.flags.c_contiguous) == (shape, np.float32, True), name
    assert not np.any(np.signbit(own.shift) & (own.shift == 0))  # -0.0 would be taken for a number below 0
    assert [w.shape for w in folded.signs] == [(blocks, width, width, k, k) for k in (3, 1, 1)]
    assert all(w.dtype == np.int8 and np.all(abs(w) == 1) for w in folded.signs)
    assert (own.slope is None) == (config["activation"] == "none")
    assert (own.statistic is None) == (config["binarizer"]["statistic"] == "none")
    assert len(folded.tail) == (3 if config["scale"] == 4 else 2)
    assert folded.config == make_network(config).config


def test_a_shift_of_minus_zero_is_none():
    model = random_model(1, scale=2, blocks=1, width=4)
    for block in model.params["body"]["hpb"]["1"].values():
        for n in (1, 2, 3):
            own = block[f"conv{n}"]["binarizer"]
            own["shift"][...] = -0.0
            own["running_mean"][...] = 0
    own = fold(model).coefficients
    assert not np.signbit(own.shift).any()


def test_the_model_stays_as_it_was():
    model = random_model(2, scale=3, blocks=2, width=16)
    before = digest(dict(leaves(model.params)))
    folded = fold(model)
    folded.coefficients.weight[...] = 0
    assert digest(dict(leaves(model.params))) == before


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"skip": "every"}, "skip"),
        ({"binarizer": {"padding": "zero"}}, "bam"),
        ({"binarizer": "none"}, "none"),
        ({"binarizer": {"name": "none", "padding": "one"}}, "none"),
    ],
)
def test_what_bits_cannot_stand_for_is_refused(options, named):
    network = make_network({"scale": 2, "blocks": 1, "width": 4, **options})
    with pytest.raises(UsageError, match='engine="reference"') as error:
        fold(Model(network, network.init(0)))
    assert any(word in str(error.value) for word in named.split("|"))
