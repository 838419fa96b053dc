"""Binary convolutions outside of training: from terms to bits, and from sums of products of signs to values.

The order of every rounding is part of the definition, because the last bit may decide the sign of the next binarized
value (docs/architecture.md, "What decides a sign").
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from npbsrn.ops.pointwise import multiply_add
from npbsrn.ops.sign import sign

Array = np.ndarray[Any, Any]


def binarize_terms(terms: Sequence[Array], weight: Array, shift: Array) -> list[Array]:
    """``sign(shift[j] + sum_k weight[j, k] terms[k])`` for each base j, fused, term by term.

    Parameters
    ----------
    terms : K arrays (..., C, H, W)
    weight : (N, K, C)
    shift : (N, C)
        Never -0.0.

    Returns
    -------
    bits : N arrays like a term, +-1
    """
    bits = []
    for own, start in zip(weight, shift, strict=True):
        z = start[:, None, None]
        for term, factor in zip(terms, own, strict=True):
            z = multiply_add(term, factor[:, None, None], z)
        bits.append(sign(z))
    return bits


def sum_products(products: Sequence[Sequence[Array]], factor: Array, offset: Array | None) -> Array:
    """``offset + sum_ij factor[i, j] products[i][j]``, i outer and j inner.

    The first product is rounded by itself, and then the offset added; the others are fused. With activations of 0 and
    1, a sum of 0 consists of a product and an offset of equal magnitude: fused, they would leave a rounding error of
    either sign, and PReLU's gradient there would be noise.

    Parameters
    ----------
    products : M sequences of N arrays (..., O, H, W)
        Whole numbers, of binary convolutions.
    factor : (M, N, O)
    offset : (O,), or None

    Returns
    -------
    y : (..., O, H, W)
    """
    y = None
    for row, factors in zip(products, factor, strict=True):
        for product, own in zip(row, factors, strict=True):
            scale = own[:, None, None]
            if y is not None:
                y = multiply_add(product, scale, y)
            else:
                y = product * scale if offset is None else product * scale + offset[:, None, None]
    assert y is not None  # there is at least one product
    return y
