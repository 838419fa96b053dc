"""Exported networks in ONNX Runtime, beside the layers."""

import numpy as np
import pytest

from npbsrn.packed.onnx import onnx_model


def by_onnxruntime(plan, x):
    """(N, 3, H, W) float32 in [0, 1], enlarged by what `npbsrn export` writes."""
    reason = "ONNX and ONNX Runtime are not installed: pip install .[peers]"
    onnx = pytest.importorskip("onnx", reason=reason)
    runtime = pytest.importorskip("onnxruntime", reason=reason)
    model = onnx_model(plan)
    onnx.checker.check_model(model, full_check=True)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 2
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(["enlarged"], {"image": x})[0]


def same_but_for_rounding(y, expected):
    """Whether floats differ by no more than sums of thousands of numbers in two orders; one other sign makes more."""
    most = max(1, float(np.max(abs(expected))))  # what is added up is as large, about, and a picture has 1
    return y.shape == expected.shape and bool(np.all(abs(y - expected) <= 32 * np.finfo(np.float32).eps * most))
