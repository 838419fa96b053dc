"""Several pieces of work at once: order, failures, an early end, and the memory that they share."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npbsrn.runtime.lanes import Gate, in_lanes, lanes_of


@given(st.integers(1, 300))
def test_all_cpus_have_work(threads):
    lanes, each = lanes_of(threads)
    assert lanes >= 1
    assert each >= 1
    assert threads - each < lanes * each <= threads + threads // 4


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 5))
def test_what_becomes_of_each_comes_in_order(items, threads):
    def work(item, own):
        assert own >= 1
        return 12 // item

    seen = list(in_lanes(work, items, threads, threading.Event()))
    assert [item for item, _ in seen] == items
    for item, future in seen:
        if item:
            assert future.result() == 12 // item
        else:
            with pytest.raises(ZeroDivisionError):
                future.result()


def test_the_last_piece_has_all_threads():
    given = [future.result() for _, future in in_lanes(lambda _, own: own, [1], 5, threading.Event())]
    assert given == [5]


def test_who_leaves_early_stops_what_runs_and_begins_nothing_else():
    stop, begun = threading.Event(), []

    def work(item, _):
        begun.append(item)
        assert item == 0 or stop.wait(30)

    results = in_lanes(work, range(50), 2, stop)
    next(results)
    results.close()
    assert stop.is_set()
    assert len(begun) <= 4


@given(st.lists(st.integers(1, 12), min_size=1, max_size=10), st.integers(1, 10))
def test_no_more_is_held_than_there_is(needs, capacity):
    gate, held, most, lock = Gate(capacity), [0, 0], [], threading.Lock()

    def work(need, _):
        with gate.holding(need):
            with lock:
                held[0] += need
                held[1] += 1
                most.append(tuple(held))
            with lock:
                held[0] -= need
                held[1] -= 1

    for _, future in in_lanes(work, needs, 4, threading.Event()):
        future.result()
    assert len(most) == len(needs)  # one that needs more than there is goes on as well
    assert all(total <= capacity or alone == 1 for total, alone in most)
    assert (gate.used, gate.inside) == (0, 0)


def test_without_a_known_capacity_nobody_waits():
    gate = Gate(None)
    with gate.holding(1 << 60), gate.holding(1 << 60):
        assert gate.inside == 2


def test_who_is_alone_waits_for_all_others_and_keeps_them_out():
    gate, order = Gate(10), []

    def work(name):
        with gate.alone() if name == "alone" else gate.holding(1):
            order.append((name, gate.inside))

    with gate.holding(1):
        threads = [threading.Thread(target=work, args=("alone",))]
        threads[0].start()
        assert not order
    threads[0].join()
    assert order == [("alone", 1)]
    with gate.alone():
        threads = [threading.Thread(target=work, args=("other",))]
        threads[0].start()
        threads[0].join(0.05)
        assert len(order) == 1
    threads[0].join()
    assert order == [("alone", 1), ("other", 1)]
    assert (gate.used, gate.inside) == (0, 0)
