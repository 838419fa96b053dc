"""Schemes whose gradients are true derivatives, for gradient checks: what has none is put out of the way."""

import numpy as np
import pytest

from npbsrn.binarizers import abc_net, bbcu, dorefa
from npbsrn.ops import sign


def slope(x):
    return 1 - np.tanh(x) ** 2


def smooth_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put tanh, which has a derivative, in the place of the sign and of its stand-in gradients."""
    for name in sign.STES:
        monkeypatch.setitem(sign.STES, name, (np.tanh, lambda x, dy: dy * slope(x)))


def smooth_scheme(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The same for a scheme, and filters that are what their gradients say, where these are of another function.

    DoReFa's filters pass their gradient unchanged, and so become the latent filters themselves. Its window is the
    derivative of its activations, half the sign's. ABC-Net's become the latent filters times coefficients that are
    constants. BBCU's have a gradient that is freed of their magnitude, and so become tanh of the latent ones.
    """
    smooth_signs(monkeypatch)
    if name == "dorefa":
        monkeypatch.setattr(dorefa, "sign", lambda w: w / np.abs(w).mean())
        monkeypatch.setitem(sign.STES, "window", (np.tanh, lambda x, dy: dy * slope(x) / 2))
    if name == "bbcu":
        monkeypatch.setattr(bbcu, "sign", lambda w: np.tanh(w) / np.abs(w).mean((1, 2, 3), keepdims=True))
    if name == "abc":
        monkeypatch.setattr(abc_net, "sign", lambda w: w)
        monkeypatch.setattr(abc_net, "mean_over", lambda w, axes: np.zeros((1, 1, 1, 1)))
        monkeypatch.setattr(
            abc_net, "least_squares", lambda signs, w: np.array([0.6, 0.3, -0.2, 0.5, 0.4])[: len(signs)]
        )
