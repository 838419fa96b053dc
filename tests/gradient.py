"""Directional gradient checks in float64: a small checker that planted bugs must not get past."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from npbsrn.storage.params import Params, leaves, nest

STEP = 1e-7  # short, so that no value crosses a kink (of |x|, of PReLU) on the way
RTOL = 1e-6  # rounding is about 1e-16 / STEP = 1e-9 of values near 1


def directional_error(function: Callable[..., tuple[Any, Callable]], *args: np.ndarray, seed: int = 0) -> float:
    """Relative difference between <pull(u), v> and the central difference of <f, u> along v, for random u and v."""
    rng = np.random.default_rng(seed)
    directions = [rng.standard_normal(a.shape) for a in args]
    y, pull = function(*args)
    cotangent = rng.standard_normal(np.shape(y))
    pulled = pull(cotangent if np.ndim(y) else float(cotangent))
    grads: Sequence = pulled if isinstance(pulled, tuple) else (pulled,)
    analytic = sum(float(np.vdot(g, v)) for g, v in zip(grads, directions, strict=True))

    def along(t: float) -> float:
        moved = [a + t * v for a, v in zip(args, directions, strict=True)]
        return float(np.vdot(function(*moved)[0], cotangent))

    numeric = (along(STEP) - along(-STEP)) / (2 * STEP)
    return abs(analytic - numeric) / max(abs(analytic), abs(numeric), 1e-12)


def check_gradient(function: Callable[..., tuple[Any, Callable]], *args: np.ndarray) -> None:
    """Assert that the pullback of `function` is the transpose of its derivative, along three random directions."""
    for seed in range(3):
        error = directional_error(function, *args, seed=seed)
        assert error < RTOL, f"the gradient is off by {error:.1e} (relative)"


def learned(params: Params) -> dict[str, np.ndarray]:
    """Parameters by dotted name, without the running averages."""
    return {name: a for name, a in leaves(params) if ".running_" not in name}


def of_parameters(layer: Any, params: Params) -> Callable[..., tuple[Any, Callable]]:
    """A layer or a network in training as a function of its input and every parameter, for the checker."""
    names = list(learned(params))
    fixed = {name: a for name, a in leaves(params) if name not in names}

    def function(x: np.ndarray, *arrays: np.ndarray) -> tuple[Any, Callable]:
        running = {name: a.copy() for name, a in fixed.items()}  # training moves them in place
        y, back = layer.apply(nest(running | dict(zip(names, arrays, strict=True))), x, train=True)

        def pull(dy: np.ndarray) -> tuple[Any, ...]:
            dx, grads = back(dy)
            flat = dict(leaves(grads))
            assert set(flat) == set(names)
            return dx, *(flat[name] for name in names)

        return y, pull

    return function
