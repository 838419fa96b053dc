import gc
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npbsrn.runtime import buffers
from npbsrn.runtime.buffers import empty


@pytest.fixture(autouse=True)
def fresh_pool(monkeypatch):
    monkeypatch.setattr(buffers, "_pool", buffers._Pool())


@given(st.lists(st.integers(0, 5), max_size=3).map(tuple), st.sampled_from(["f4", "u2", "u1", "f8"]))
def test_an_array_as_numpy_makes_it(shape, dtype):
    array = empty(shape, dtype)
    assert array.shape == shape
    assert array.dtype == dtype
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert array.size == 0 or array.ctypes.data % 64 == 0


def test_memory_comes_back_when_the_last_view_is_gone():
    first = empty((100,), np.float32)
    address = first.ctypes.data
    view = first[3:].reshape(97, 1)
    del first
    other = empty((100,), np.float32)
    assert other.ctypes.data != address  # the view holds it
    del view
    gc.collect()
    assert empty((10, 10), np.float32).ctypes.data == address


def test_two_arrays_never_share_memory():
    held = [empty((8,), np.float32) for _ in range(20)]
    for n, array in enumerate(held):
        array[:] = n
    assert [array[0] for array in held] == list(range(20))


def test_sizes_that_are_wanted_in_turn_stay():
    held = [empty((4096,), np.uint8) for _ in range(16)]  # the most that is in use
    del held[:2]
    gc.collect()
    small = empty((256,), np.uint8)
    assert len(buffers._pool._free[4096]) == 2
    del small
    gc.collect()
    held.append(empty((4096,), np.uint8))
    assert len(buffers._pool._free[256]) == 1


def test_other_work_frees_what_has_waited_longest():
    held = [empty((800,), np.uint8) for _ in range(3)]
    del held
    gc.collect()
    assert len(buffers._pool._free[800]) == 3
    other = empty((900,), np.uint8)  # with two of 800 that is more than the most in use, 2400, but less than 1/8 more
    assert len(buffers._pool._free[800]) == 2
    del other
    gc.collect()
    whole = empty((2700,), np.uint8)
    assert buffers.held() <= 2700 // 8
    del whole


@given(st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=40))
def test_never_more_than_an_eighth_above_the_most_in_use(steps):
    buffers.clear()
    in_use, most = [], 0
    for size, take in steps:
        if take:
            in_use.append(empty((size * 100,), np.uint8))
        elif in_use:
            in_use.pop(0)
        used = sum(array.size for array in in_use)
        most = max(most, used)
        assert used + buffers.held() <= most + most // 8


def test_clearing_keeps_what_is_in_use():
    held, left = empty((8,), np.float32), empty((8,), np.float32)
    held[:] = 3
    del left
    gc.collect()
    buffers.clear()
    assert not buffers._pool._free
    assert np.all(held == 3)


def test_threads_may_take_and_give_back_at_once():
    wrong = []

    def work(n):
        for _ in range(300):
            array = empty((50,), np.float32)
            array[:] = n
            if not np.all(array == n):
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
