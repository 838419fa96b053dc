"""Where a training step's time goes: the operations' forward and backward calls, timed in place."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any
from unittest import mock

# (where the step looks the operation up, the operation, the part it belongs to)
OPERATIONS = (
    ("npbsrn.block_chain", "lb_blocks", "LB-blocks"),
    ("npbsrn.binarizers.bam", "binary_filters", "filters' sums, BN and signs"),
    ("npbsrn.layers", "conv2d", "head and trunk"),
    ("npbsrn.tail", "conv2d", "tail"),
    ("npbsrn.tail", "compose", "tail"),
    ("npbsrn.tail", "pixel_shuffle", "tail"),
    ("npbsrn.networks", "enlarge", "bicubic base"),
    ("npbsrn.training.step", "l1_loss", "loss"),
)
PLAIN = (
    ("npbsrn.training.step", "adam", "Adam and average"),
    ("npbsrn.training.step", "moving_average", "Adam and average"),
    ("npbsrn.training.step", "clip_norm", "Adam and average"),
)


@contextmanager
def timed_parts() -> Iterator[dict[str, float]]:
    """Within the block, add up seconds by part; forward and backward of the LB-blocks apart."""
    seconds: dict[str, float] = defaultdict(float)

    def timed(function: Callable[..., Any], part: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            result = function(*args, **kwargs)
            seconds[part] += time.perf_counter() - start
            return result

        return call

    def operation(function: Callable[..., Any], part: str) -> Callable[..., Any]:
        forward, backward = (f"{part}, {way}" for way in ("forward", "backward"))

        def call(*args: Any, **kwargs: Any) -> Any:
            *result, pull = timed(function, forward)(*args, **kwargs)
            return *result, timed(pull, backward)

        return call

    with ExitStack() as stack:
        for table, wrap in ((OPERATIONS, operation), (PLAIN, timed)):
            for where, name, part in table:
                inner = getattr(import_module(where), name)
                stack.enter_context(mock.patch(f"{where}.{name}", wrap(inner, part)))
        yield seconds
