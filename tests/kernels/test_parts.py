"""Functions that are machine code as part of a kernel alone."""

import numpy as np
import pytest
from numba import types
from numba.core import config
from numba.core.codegen import JITCodeLibrary
from numba.core.registry import CPUDispatcher

from npbsrn.kernels.jit import kernel, part
from npbsrn.kernels.parts import PartLibrary


@part()
def _twice(x):
    return x + x


@part(forceinline=True)
def _refused(x):
    if x < 0:
        raise ValueError("a part's own words")
    return _twice(x)


def fill(x, out):
    for n in range(len(x)):
        out[n] = _refused(x[n])


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The kernel as a new process meets it, kept in a folder of the test's."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    return lambda: kernel()(fill)


def test_a_kernel_calls_parts_of_parts(own):
    """Compiled, and from the disk, in which there is nothing but the kernel."""
    for hits in (0, 1):
        filled, out = own(), np.zeros(3)
        filled(np.arange(3.0), out)
        assert out.tolist() == [0, 2, 4]
        assert filled.stats.cache_hits.total() == hits


def test_an_error_of_a_part_is_raised(own):
    for _ in range(2):
        with pytest.raises(ValueError, match="a part's own words"):
            own()(np.array([-1.0]), np.zeros(1))


def test_python_may_call_a_part_before_and_behind_a_kernel(own):
    """Whatever its name, and not what kernels call, which has no wrapper for Python: that would end the process."""
    assert _twice(4) == 8
    own()(np.ones(1), np.zeros(1))
    assert [_twice(4), _twice(1.5), _refused(2.0)] == [8, 3, 4]
    with pytest.raises(ValueError, match="a part's own words"):
        _refused(-1.0)


def test_kernels_find_a_part_by_its_arguments(own):
    own()(np.ones(1), np.zeros(1))
    assert (types.float64,) in _twice.overloads
    assert isinstance(_twice, CPUDispatcher)


def test_machine_code_is_made_of_kernels_alone(own, monkeypatch):
    made, make = [], JITCodeLibrary._finalize_specific
    monkeypatch.setattr(
        JITCodeLibrary, "_finalize_specific", lambda library: (made.append(type(library)), make(library))
    )
    own()(np.ones(1), np.zeros(1))
    assert JITCodeLibrary in made
    assert PartLibrary not in made
