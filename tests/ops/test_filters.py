import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npbsrn.ops.filters import binary_filters, binary_filters_ref
from tests.strategies import seeds


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (5, 3, 3, 3), (48, 48, 1, 1), (7, 13, 1, 1), (48, 48, 3, 3)])
def test_equals_its_twin(rng, count, shape):
    """Signs and scales to the bit; the cotangents are sums of up to 432 float32 terms in another order."""
    terms = [rng.standard_normal(shape).astype(np.float32) for _ in range(count)]
    terms[0].flat[0] = 0
    alpha = rng.standard_normal(count).astype(np.float32)
    dbits, dscale = rng.standard_normal(shape).astype(np.float32), rng.standard_normal(shape[0]).astype(np.float32)
    (bits, scale), pull = binary_filters(terms, alpha, "identity")
    (bits_ref, scale_ref), pull_ref = binary_filters_ref(terms, alpha, "identity")
    np.testing.assert_array_equal(bits, bits_ref)
    np.testing.assert_array_equal(scale, scale_ref)
    (dterms, dalpha), (dterms_ref, dalpha_ref) = pull(dbits, dscale), pull_ref(dbits, dscale)
    if shape[1:] == (1, 1, 1):
        return  # a row of one value has no variance: its gradient through BN is rounding times 1 / sqrt(eps)
    for a, b in zip([*dterms, dalpha], [*dterms_ref, dalpha_ref], strict=True):
        assert np.linalg.norm(a - b) <= 2e-5 * np.linalg.norm(dterms_ref[-1])


@given(seeds, st.integers(1, 3), st.integers(1, 4), st.integers(1, 60), st.sampled_from([1, 3]))
def test_signs_and_scales_have_one_definition(seed, count, outputs, inputs, size):
    """Rows whose last number is the mean of the others have a sign that hangs on the mean's last bit."""
    rng = np.random.default_rng(seed)
    terms = [rng.standard_normal((outputs, inputs, size, size)).astype(np.float32) for _ in range(count)]
    for term in terms:
        rows = term.reshape(outputs, -1)
        rows[:, -1] = rows[:, :-1].mean(1) if rows.shape[1] > 1 else 0
    alpha = rng.standard_normal(count).astype(np.float32)
    (bits, scale), _ = binary_filters(terms, alpha, "identity")
    (bits_ref, scale_ref), _ = binary_filters_ref(terms, alpha, "identity")
    np.testing.assert_array_equal(bits, bits_ref)
    np.testing.assert_array_equal(scale, scale_ref)


@pytest.mark.parametrize("ste", ["clip", "bireal"])
def test_other_stand_ins_take_the_readable_path(rng, ste):
    terms = [3 * rng.standard_normal((2, 3, 3, 3)).astype(np.float32)]
    one, dbits, dscale = np.ones(1, np.float32), np.ones((2, 3, 3, 3), np.float32), np.zeros(2, np.float32)
    _, pull = binary_filters(terms, one, ste)
    _, pull_ref = binary_filters_ref(terms, one, ste)
    np.testing.assert_array_equal(pull(dbits, dscale)[0][0], pull_ref(dbits, dscale)[0][0])
