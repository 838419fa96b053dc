"""BAM against the paper's equations, term by term; its gradients are checked through whole networks."""

import numpy as np
import pytest

from npbsrn.binarizers import make_binarizer
from npbsrn.binarizers.bam import ABLATIONS
from npbsrn.errors import UsageError
from npbsrn.layers.binary import BinaryConv
from npbsrn.ops.norm import EPS, batch_norm
from npbsrn.ops.sign import STES
from npbsrn.ops.statistic import weight_by_statistic


def bam(**options):
    return make_binarizer({"name": "bam", **options})


@pytest.fixture
def activations(rng):
    return [rng.standard_normal((2, 4, 3, 5)) for _ in range(3)]


@pytest.fixture
def filters(rng):
    return [rng.standard_normal(shape) for shape in [(4, 4, 1, 1), (4, 4, 3, 3), (4, 4, 1, 1)]]


def terms_of(scheme, activations):
    """What a convolution behind those activations hands to the scheme."""
    terms = [weight_by_statistic(a, scheme.statistic)[0] for a in activations]
    return terms if scheme.remembers[0] else terms[-1:]


def bits_of(scheme, params, activations):
    return scheme.activations(params, terms_of(scheme, activations))[0].bits[0]


def filters_of(scheme, params, filters):
    """A 1x1 convolution's filters behind others of a block, as a layer takes them."""
    conv = BinaryConv(4, 1, scheme, filters=2)
    earlier = tuple(filters[:2]) if scheme.remembers[1] else ()
    return conv.binarized_filters({"weight": filters[2], "binarizer": params}, earlier)


@pytest.mark.parametrize(
    "options", [{}, ABLATIONS["A1"], ABLATIONS["A2"], {"statistic": "mean"}, {"statistic": "none"}]
)
def test_activations_follow_equations_9_and_10(rng, activations, options):
    scheme = bam(**options)
    last = scheme.init(4, 3, 1, np.float64)
    last["gain"], last["shift"] = rng.standard_normal(4), rng.standard_normal(4)
    if "beta" in last:
        last["beta"] = rng.standard_normal(len(last["beta"]))
    statistic = {"abs": np.abs, "mean": lambda a: a, "none": np.ones_like}[options.get("statistic", "abs")]
    terms = [statistic(a).mean(axis=1, keepdims=True) * a for a in activations]
    if options == ABLATIONS["A2"]:
        terms = terms[-1:]
    beta = last.get("beta", np.ones(3))
    total = sum(b * t for b, t in zip(beta, terms, strict=True))
    mean, variance = total.mean((0, 2, 3)), total.var((0, 2, 3))
    for n, c, h, w in np.ndindex(*total.shape):
        normal = (total[n, c, h, w] - mean[c]) / np.sqrt(variance[c] + EPS) * last["gain"][c] + last["shift"][c]
        total[n, c, h, w] = 1 if normal >= 0 else -1
    np.testing.assert_array_equal(bits_of(scheme, last, activations), total)


@pytest.mark.parametrize("options", [{}, ABLATIONS["A1"], ABLATIONS["A2"]])
def test_outside_of_training_bn_and_beta_are_one_weight_a_term(rng, activations, options):
    scheme = bam(**options)
    params = scheme.init(4, 3, 1, np.float64)
    params["gain"], params["shift"] = np.array([1.5, -2.0, 0.0, 0.3]), np.array([0.2, -0.1, -0.4, 0.0])
    params["running_mean"], params["running_variance"] = rng.standard_normal(4), rng.random(4) + 0.1
    if "beta" in params:
        params["beta"] = rng.standard_normal(len(params["beta"]))
    terms = activations[-1:] if options == ABLATIONS["A2"] else activations
    total = sum(b * t for b, t in zip(params.get("beta", np.ones(len(terms))), terms, strict=True))
    running = params["running_mean"], params["running_variance"]
    expected, _ = batch_norm(total, params["gain"], params["shift"], running, train=False)
    weights, shift, coefs, base = scheme.lower(params, len(terms))
    assert (len(weights), len(shift), coefs, base) == (1, 1, 1, 0)
    z = sum(w[:, None, None] * t for w, t in zip(weights[0], terms, strict=True)) + shift[0][:, None, None]
    np.testing.assert_allclose(z, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("options", [{}, ABLATIONS["W1"], ABLATIONS["W2"]])
def test_filters_follow_equation_3(rng, filters, options):
    scheme = bam(**options)
    params = scheme.init(4, 1, 2, np.float64)
    if "alpha" in params:
        params["alpha"] = rng.standard_normal(len(params["alpha"]))
    (bits, scale), kept, _ = filters_of(scheme, params, filters)
    used = [filters[2]] if options == ABLATIONS["W2"] else [filters[0], filters[2]]  # 1x1 with 1x1
    alpha = params.get("alpha", np.ones(2))
    total = sum(a * w for a, w in zip(alpha, used, strict=True))
    for o in range(4):
        normal = (total[o] - total[o].mean()) / np.sqrt(total[o].var() + EPS)
        np.testing.assert_array_equal(bits[0][o], np.where(normal >= 0, 1, -1))
        assert scale[0, o] == pytest.approx(np.abs(filters[2][o]).mean())
    assert len(bits) == len(scale) == 1
    assert len(kept) == (0 if options == ABLATIONS["W2"] else 3)


def test_filters_of_another_shape_get_no_gradient(filters, rng):
    scheme = bam()
    *_, pull = filters_of(scheme, scheme.init(4, 1, 2, np.float64), filters)
    _, dearlier, grads = pull([rng.standard_normal((4, 4, 1, 1))], rng.standard_normal((1, 4)), (None, None, None))
    assert dearlier[0].shape == (4, 4, 1, 1)
    assert dearlier[1] is None
    assert grads["alpha"].shape == (2,)


def test_accumulation_changes_the_bits(activations):
    with_memory, without = (
        bits_of(bam(**options), bam(**options).init(4, 3, 1, np.float64), activations)
        for options in ({}, ABLATIONS["A2"])
    )
    assert np.any(with_memory != without)


@pytest.mark.parametrize("ste", STES)
@pytest.mark.parametrize("of", ["activation_ste", "filter_ste"])
def test_the_stand_in_gradient_is_a_choice(of, ste, activations, filters):
    def pulled(scheme):
        params = scheme.init(4, 1, 1, np.float64)
        _, pull_a = scheme.activations(params, terms_of(scheme, activations[:1]))
        _, pull_w = scheme.filters(params, filters[1:2])
        ones = np.ones_like(activations[0]), np.ones_like(filters[1])
        return pull_a([ones[0]], np.zeros(1))[0][0], pull_w([ones[1]], np.zeros((1, 4)))[0][0]

    changed = [not np.allclose(a, b) for a, b in zip(pulled(bam(**{of: ste})), pulled(bam()), strict=True)]
    assert changed == [of == "activation_ste" and ste != "clip", of == "filter_ste" and ste != "identity"]


def test_unknown_options_are_refused():
    with pytest.raises(UsageError, match="statistic of bam cannot be 'median'"):
        bam(statistic="median")
