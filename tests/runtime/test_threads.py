import os
import threading
import time

import pytest

from npbsrn.errors import UsageError
from npbsrn.runtime.threads import GIVEN_UP, map_parallel, run_parallel, thread_count


@pytest.fixture(params=["1", "2", "5"])
def threads(request, monkeypatch):
    monkeypatch.setenv("NPBSRN_NUM_THREADS", request.param)
    return int(request.param)


def test_thread_count(threads, monkeypatch):
    assert thread_count() == threads
    monkeypatch.delenv("NPBSRN_NUM_THREADS")
    assert 1 <= thread_count() <= os.cpu_count()


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_other_counts_are_refused(monkeypatch, text):
    monkeypatch.setenv("NPBSRN_NUM_THREADS", text)
    with pytest.raises(UsageError, match="must be a whole number above 0"):
        thread_count()


def test_results_keep_their_order(threads):
    assert map_parallel(lambda x: x * x, range(100)) == [x * x for x in range(100)]
    assert map_parallel(abs, []) == []


def test_calls_within_calls(threads):
    assert map_parallel(lambda x: map_parallel(lambda y: x + y, range(3)), range(4)) == [
        [x + y for y in range(3)] for x in range(4)
    ]


def test_every_worker_has_a_thread_of_its_own(threads):
    meeting = threading.Barrier(threads, timeout=10)
    seen = set()

    def work(worker, workers, barrier):
        meeting.wait()  # all must be here at once
        seen.add((worker, threading.get_ident()))

    run_parallel(work, threads)
    assert {worker for worker, _ in seen} == set(range(threads))
    assert len({ident for _, ident in seen}) == threads


def test_who_waits_for_one_that_fails_is_let_go(threads):
    def work(worker, workers, barrier):
        if worker == workers - 1:
            raise ZeroDivisionError
        while barrier[0] < GIVEN_UP:
            time.sleep(0.001)

    with pytest.raises(ZeroDivisionError):
        run_parallel(work, threads)


def test_errors_come_back(threads):
    def fail(x):
        if x == 3:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        map_parallel(fail, range(8))
    assert map_parallel(abs, [-1, -2]) == [1, 2]


def test_who_watches_hears_of_every_item(threads):
    heard = []

    def watch(done):
        heard.append((done, threading.get_ident()))

    assert map_parallel(abs, range(-9, 0), watch=watch) == list(range(9, 0, -1))
    assert heard == [(n + 1, threading.get_ident()) for n in range(9)]
    with pytest.raises(ZeroDivisionError):
        map_parallel(lambda x: 1 // x, range(9), watch=watch)


def test_who_watches_may_end_the_work(threads):
    done = []

    def work(x):
        time.sleep(0.001)
        done.append(x)

    def watch(count):
        if count == 3:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        map_parallel(work, range(1000), watch=watch)
    assert len(done) < 1000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own(monkeypatch):
    monkeypatch.setenv("NPBSRN_NUM_THREADS", "2")
    map_parallel(abs, [-1, -2])
    child = os.fork()
    if child == 0:
        os._exit(0 if map_parallel(abs, [-1, -2, -3]) == [1, 2, 3] else 1)
    assert os.waitpid(child, 0)[1] == 0
