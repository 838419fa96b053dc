"""The fused LB-block against its readable reference."""

import dataclasses

import numpy as np
import pytest

from npbsrn.fused import lb_blocks as module
from npbsrn.fused.lb_blocks import LBWeights, lb_block_ref, lb_blocks, lb_blocks_ref
from npbsrn.ops.sign import sign
from tests.gradient import check_gradient


def make(rng, n, height, width, blocks=1):
    x = (0.3 * rng.standard_normal((n, 48, height, width))).astype(np.float32)
    f = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    weights = [
        LBWeights(
            [sign(f(48, 48, k, k)) for k in (3, 1, 1)],
            0.05 + abs(0.02 * f(3, 48)),
            0.25 * f(2, 48),
            np.tril(1 + 0.2 * f(3, 3)),
            f(3, 48),
            0.3 * f(3, 48),
        )
        for _ in range(blocks)
    ]
    return x, weights, f(n, 48, height, width)


def steady(n, height, width, blocks=1, **options):
    """A case in which no value that is binarized or clipped lies so near to its threshold that rounding decides."""
    for seed in range(20):
        case = make(np.random.default_rng(seed), n, height, width, blocks)
        distances = []
        with pytest.MonkeyPatch.context() as patch:
            inner = module.binarize
            patch.setattr(
                module,
                "binarize",
                lambda z, ste: (distances.append(np.abs(np.abs(z[..., None]) - [0, 1]).min()), inner(z, ste))[1],  # noqa: B023
            )
            lb_blocks_ref(case[0], case[1], 0.1, **options)
        if min(distances) > 5e-7:
            return case
    raise AssertionError("no steady case among 20")


def relative(a, b):
    return np.linalg.norm(np.asarray(a, np.float64) - b) / max(np.linalg.norm(b), 1e-30)


def check_twins(case, rtol, **options):
    x, weights, dy = case
    y, moments, pull = lb_blocks(x, weights, 0.1, **options)
    y_ref, moments_ref, pull_ref = lb_blocks_ref(x, weights, 0.1, **options)
    errors = {"y": relative(y, y_ref)}
    (dx, grads), (dx_ref, grads_ref) = pull(dy), pull_ref(dy)
    errors["dx"] = relative(dx, dx_ref)
    for b in range(len(weights)):
        for name, p, q in zip(("mean", "variance"), moments[b], moments_ref[b], strict=True):
            errors[f"{name} {b}"] = relative(p, q)
        for field in dataclasses.fields(LBWeights):
            p, q = getattr(grads[b], field.name), getattr(grads_ref[b], field.name)
            if field.name == "filters":
                errors |= {f"filters {b} {k}": relative(*pair) for k, pair in enumerate(zip(p, q, strict=True))}
            else:
                # beta[0, 0] stands alone under BN: its gradient is rounding
                errors[f"{field.name} {b}"] = relative(p[1:], q[1:]) if field.name == "beta" else relative(p, q)
    assert all(error < rtol for error in errors.values()), errors


@pytest.mark.parametrize(
    ("n", "height", "width"), [(1, 1, 16), (2, 4, 16), (3, 5, 32), (5, 3, 48), (8, 16, 16), (9, 7, 16), (1, 2, 64)]
)
def test_equals_its_twin(n, height, width):
    """Float32 sums of up to 432 * 2048 terms in another order: some 1e-6."""
    check_twins(steady(n, height, width), 2e-5)


def test_a_chain_equals_its_twin():
    check_twins(steady(3, 4, 32, blocks=3), 1e-4)


@pytest.mark.parametrize("statistic", ["abs", "mean", "none"])
@pytest.mark.parametrize("ste", ["clip", "identity", "bireal"])
def test_equals_its_twin_with_every_option(statistic, ste):
    options = {"statistic": statistic, "ste": ste}
    check_twins(steady(2, 4, 32, **options), 2e-5, **options)


def test_counts_are_exact(rng):
    """With a scale of 1 and no shortcut in sight, results are whole numbers of the right parity."""
    x, weights, _ = make(rng, 2, 3, 16)
    weights = [dataclasses.replace(weights[0], scale=np.ones((3, 48), np.float32))]
    y, _, _ = lb_blocks(np.zeros_like(x), weights, 1.0)
    y_ref, _, _ = lb_blocks_ref(np.zeros_like(x), weights, 1.0)
    np.testing.assert_array_equal(y, y_ref)
    assert np.all(y % 2 == 0)


@pytest.mark.parametrize("n", [1, 3, 5, 8])
def test_the_number_of_threads_changes_no_byte(rng, monkeypatch, n):
    x, weights, dy = make(rng, n, 4, 16, blocks=3)
    results = []
    for threads in (1, 2, 3, 4):
        monkeypatch.setenv("NPBSRN_NUM_THREADS", str(threads))
        y, moments, pull = lb_blocks(x, weights, 0.1)
        dx, grads = pull(dy)
        flat = [y, dx]
        for moment, g in zip(moments, grads, strict=True):
            flat += [*moment, *g.filters, g.scale, g.slope, g.beta, g.gain, g.shift]
        results.append([a.tobytes() for a in flat])
    assert all(result == results[0] for result in results)


def test_a_wrong_table_would_be_seen(rng, monkeypatch):
    """Planted bug: two input channels exchanged in the tables of the backward pass."""
    from npbsrn.kernels import tables

    inner = tables.filter_nibbles

    def exchanged(w, nibbles):
        inner(w, nibbles)
        if w.shape[2] == 3:
            nibbles[:112], nibbles[112:224] = nibbles[112:224].copy(), nibbles[:112].copy()

    monkeypatch.setattr(tables, "filter_nibbles", exchanged)
    with pytest.raises(AssertionError, match="dx"):
        check_twins(make(rng, 2, 4, 16), 2e-5)


def test_gradient_of_the_readable_twin(rng, monkeypatch):
    """In float64, with tanh in the place of the sign."""
    from npbsrn.ops import sign as signs

    monkeypatch.setitem(signs.STES, "clip", (np.tanh, lambda x, dy: dy * (1 - np.tanh(x) ** 2)))
    f = rng.standard_normal
    arrays = [f((4, 4, 3, 3)), f((4, 4, 1, 1)), f((4, 4, 1, 1)), f((3, 4)), f((2, 4)), f((3, 3)), f((3, 4)), f((3, 4))]

    def block(x, *arrays):
        y, _, pull = lb_block_ref(x, LBWeights(arrays[:3], *arrays[3:]), 0.3)

        def flat(dy):
            dx, d = pull(dy)
            return dx, *d.filters, d.scale, d.slope, d.beta, d.gain, d.shift

        return y, flat

    check_gradient(block, f((2, 4, 3, 5)), *arrays)
