import numpy as np
import pytest

from npbsrn.ops.filters import binary_filters, binary_filters_ref


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (5, 3, 3, 3), (48, 48, 1, 1), (7, 13, 1, 1), (48, 48, 3, 3)])
def test_equals_its_twin(rng, count, shape):
    """Sums of up to 432 float32 terms in another order; no sign of this seed lies within rounding of its threshold."""
    terms = [rng.standard_normal(shape).astype(np.float32) for _ in range(count)]
    terms[0].flat[0] = 0
    alpha = rng.standard_normal(count).astype(np.float32)
    dbits, dscale = rng.standard_normal(shape).astype(np.float32), rng.standard_normal(shape[0]).astype(np.float32)
    (bits, scale), pull = binary_filters(terms, alpha, "identity")
    (bits_ref, scale_ref), pull_ref = binary_filters_ref(terms, alpha, "identity")
    np.testing.assert_array_equal(bits, bits_ref)
    np.testing.assert_allclose(scale, scale_ref, rtol=1e-5)
    (dterms, dalpha), (dterms_ref, dalpha_ref) = pull(dbits, dscale), pull_ref(dbits, dscale)
    if shape[1:] == (1, 1, 1):
        return  # a row of one value has no variance: its gradient through BN is rounding times 1 / sqrt(eps)
    for a, b in zip([*dterms, dalpha], [*dterms_ref, dalpha_ref], strict=True):
        assert np.linalg.norm(a - b) <= 2e-5 * np.linalg.norm(dterms_ref[-1])


@pytest.mark.parametrize("ste", ["clip", "bireal"])
def test_other_stand_ins_take_the_readable_path(rng, ste):
    terms = [3 * rng.standard_normal((2, 3, 3, 3)).astype(np.float32)]
    one, dbits, dscale = np.ones(1, np.float32), np.ones((2, 3, 3, 3), np.float32), np.zeros(2, np.float32)
    _, pull = binary_filters(terms, one, ste)
    _, pull_ref = binary_filters_ref(terms, one, ste)
    np.testing.assert_array_equal(pull(dbits, dscale)[0][0], pull_ref(dbits, dscale)[0][0])
