"""Where a training step's time goes: the operations' forward and backward calls, timed in place, and what they must do.

The least work of a call is multiply-accumulates (float convolutions) or bytes: every array that the operation takes or
gives is moved once.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any
from unittest import mock

from npbsrn.packed.stopwatch import Part

AHEAD, BEHIND = ", forward", ", backward"
LB_FORWARD, LB_BACKWARD = "LB-blocks" + AHEAD, "LB-blocks" + BEHIND
BINARY_FORWARD, BINARY_BACKWARD = "blocks' convolutions" + AHEAD, "blocks' convolutions" + BEHIND
FLOATS = 4  # bytes


Work = Callable[..., tuple[float, float]]  # of forward and backward, from the operation's arguments


def lb_bytes(x: Any, weights: Any, *_: Any) -> tuple[float, float]:
    """Bytes that LB-blocks cannot but move, as all blocks' arrays together are larger than any cache.

    What is kept for the backward pass is written once and read once: by value of a block's input 4 bytes of it, of the
    sums that BN takes in 3 of 4, 3 counts of 2, 3 bits.
    """
    kept = x.size * len(weights) * (4 + 3 * 4 + 3 * 2 + 3 / 8)
    return kept, kept


def lb_bytes_between_barriers(values: int) -> tuple[float, float]:
    """The same where no cache holds a batch's arrays from one of the block's barriers to the next; by input value.

    Between two of them is the whole batch, and each array is moved once. Forward: A_0 (x read, 3 sums written); conv 1
    (its sum, a count, 2 sums read and written); conv 2 (a sum, a count, a sum read and written); conv 3 (a sum, a
    count, x read, y written); 3 bits. Backward: conv 3 (dy, a count, a sum, dz written); conv 2 (dz read and written,
    its sum, a count, a sum, dz written); conv 1 (the same and one dz more); x (3 dz, a sum, x, dy, dx); 3 bits.
    """
    return values * (16 + 22 + 14 + 14 + 3 / 8), values * (14 + 22 + 26 + 28 + 3 / 8)


def _convolution(x: Any, w: Any, *_: Any) -> tuple[float, float]:
    """Multiply-accumulates: as many for dx and for dw as forward. Of an x of 3 channels, pictures, dx is not needed."""
    macs = x.size // x.shape[1] * w.size
    return macs, macs if x.shape[1] == 3 else 2 * macs


def _binary(bits: Any, coefs: Any, signs: Any, *_: Any) -> tuple[float, float]:
    """Multiply-accumulates: of each base of the activations with each of the filters; twice as many back."""
    n, _, height, width = bits[0].shape  # they may be packed
    macs = len(bits) * n * height * width * sum(w.size for w in signs)
    return macs, 2 * macs


def _signs(params: Any, terms: Any, *_: Any) -> tuple[float, float]:
    """Terms read, a bit written; back: the signs' cotangents and the terms read, those of the terms written."""
    values = len(terms) * terms[0].nbytes
    return values * (1 + 1 / 32), values * 3


def _thresholds(x: Any, *_: Any) -> tuple[float, float]:
    """Terms read, a bit written; back: the signs' cotangents and the terms read, those of the terms written."""
    return x.nbytes * (1 + 1 / 32), x.nbytes * 3


def _normalization(params: Any, x: Any, *_: Any) -> tuple[float, float]:
    """x read, normalised values written; back: both cotangents and the values."""
    return 2 * x.nbytes, 3 * x.nbytes


def _composition(outer: Any, outer_bias: Any, inner: Any, *_: Any) -> tuple[float, float]:
    macs = outer.size * inner.size / outer.shape[1]
    return macs, 2 * macs


def _shuffle(*_: Any) -> tuple[float, float]:
    return 0.0, 0.0  # nothing is multiplied, and a convolution could write to the right places itself


def _filters(terms: Any, *_: Any) -> tuple[float, float]:
    """Terms and bits; back: terms, dbits, dterms."""
    values = terms[-1].size * FLOATS
    return (len(terms) + 1) * values, (2 * len(terms) + 1) * values


def _enlargement(x: Any, factor: int) -> tuple[float, float]:
    both = x.nbytes * (1 + factor**2)
    return both, both


def _loss(x: Any, target: Any) -> tuple[float, float]:
    """Both pictures; back: their difference or both again, and dx."""
    return x.nbytes + target.nbytes, 2 * x.nbytes


def _adam(params: Any, grad: Any, *_: Any) -> float:
    """Weight, gradient and two moments read, all but the gradient written: 7 floats."""
    return 7 * grad.nbytes


def _average(average: Any, *_: Any) -> float:
    """Read and written; the weights are there from Adam: 2 floats, with Adam's 9."""
    return 2 * average.vector.nbytes


NORMALIZED = ("bam", "bnn", "dorefa", "abc_net")
# (where the step looks the operation up, the operation, the part it belongs to, its least work)
OPERATIONS: tuple[tuple[str, str, str, Work], ...] = (
    ("npbsrn.fused.block_chain", "lb_blocks", "LB-blocks", lb_bytes),
    ("npbsrn.layers.binary", "binary_conv", "blocks' convolutions", _binary),
    *((f"npbsrn.binarizers.{file}", "normal_signs", "BN in front of signs", _signs) for file in NORMALIZED),
    ("npbsrn.binarizers.bbcu", "shifted_signs", "thresholds and signs", _thresholds),
    ("npbsrn.layers.binary", "normalize", "BN behind convolutions", _normalization),
    ("npbsrn.binarizers.binary_weights", "binary_filters", "filters' sums, BN and signs", _filters),
    ("npbsrn.binarizers.bam", "binary_filters", "filters' sums, BN and signs", _filters),
    ("npbsrn.layers.conv", "conv2d", "head and trunk", _convolution),
    ("npbsrn.layers.tail", "conv2d", "tail", _convolution),
    ("npbsrn.layers.tail", "compose", "tail", _composition),
    ("npbsrn.layers.tail", "pixel_shuffle", "tail", _shuffle),
    ("npbsrn.networks.base", "enlarge", "bicubic base", _enlargement),
    ("npbsrn.training.step", "l1_loss", "loss", _loss),
)
PLAIN: tuple[tuple[str, str, str, Callable[..., float]], ...] = (
    ("npbsrn.training.step", "adam", "Adam and average", _adam),
    ("npbsrn.training.step", "moving_average", "Adam and average", _average),
    ("npbsrn.training.step", "clip_norm", "Adam and average", lambda *_: 0.0),
)
APART = {"LB-blocks", "blocks' convolutions"}  # forward and backward are parts of their own
# by which ceiling a part is judged, where it is not memory
CEILINGS = {"tail": "fma", "head and trunk": "fma", BINARY_FORWARD: "popcount", BINARY_BACKWARD: "look_up"}


@contextmanager
def timed_parts() -> Iterator[dict[str, Part]]:
    """Within the block, add up seconds and work by part; those of `APART` forward and backward."""
    parts: dict[str, Part] = defaultdict(Part)

    def timed(function: Callable[..., Any], name: str, work: Callable[..., float]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            parts[name].work += work(*args, **kwargs)
            start = time.perf_counter()
            result = function(*args, **kwargs)
            parts[name].seconds += time.perf_counter() - start
            return result

        return call

    def operation(function: Callable[..., Any], name: str, work: Work) -> Callable[..., Any]:
        forward, backward = (name + AHEAD, name + BEHIND) if name in APART else (name, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            ahead, behind = work(*args, **kwargs)
            *result, pull = timed(function, forward, lambda *_, **__: ahead)(*args, **kwargs)
            return *result, timed(pull, backward, lambda *_: behind)

        return call

    with ExitStack() as stack:
        wrapped = [(operation, *row) for row in OPERATIONS] + [(timed, *row) for row in PLAIN]
        for wrap, where, name, part, work in wrapped:
            inner = getattr(import_module(where), name)
            stack.enter_context(mock.patch(f"{where}.{name}", wrap(inner, part, work)))
        yield parts
