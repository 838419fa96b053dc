"""The time that is left, and what is heard beside the work."""

import logging
import threading
import warnings

import pytest

from npbsrn.serving.hearing import heard, hearing
from npbsrn.serving.turns import OFTEN, PACE, Clock


def test_the_time_that_is_left_is_at_the_present_pace():
    clock = Clock()
    assert clock.moved(0.0, 0.0)
    for second in range(1, 5):  # a tenth of the work each second
        assert clock.moved(second / 10, float(second))
    assert clock.left == pytest.approx(6)
    assert clock.share == 0.4


def test_what_was_before_a_long_wait_does_not_count():
    clock = Clock()
    clock.moved(0.01, 0.0)
    clock.moved(0.02, 5 * PACE)  # kernels were compiled
    clock.moved(0.12, 5 * PACE + 1)
    assert clock.left == pytest.approx(8.8)


def test_it_is_not_told_too_often_and_never_goes_back():
    clock = Clock()
    assert clock.moved(0.1, 0.0)
    assert not clock.moved(0.2, OFTEN / 2)
    assert clock.moved(0.05, 2 * OFTEN)
    assert clock.share == 0.1
    assert clock.left is None


def test_a_thread_hears_its_own_warnings():
    said, other, logged = [], [], []

    def work():
        with heard(other.append, logged.append):
            warnings.warn("of the other thread", stacklevel=1)

    with hearing(), heard(said.append, logged.append):
        warnings.warn("of this thread", stacklevel=1)
        warnings.warn("of this thread", stacklevel=1)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert said == ["of this thread"] * 2
    assert other == ["of the other thread"]
    assert logged == []


def test_a_warning_that_nobody_hears_is_shown():
    with pytest.warns(UserWarning, match="unheard"), hearing():
        warnings.warn("unheard", stacklevel=1)


def test_what_the_package_logs_is_heard():
    said = []
    logger = logging.getLogger("npbsrn")
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        with heard(print, said.append):
            logger.info("compiling")
        logger.info("later")
    finally:
        logger.setLevel(level)
    assert said == ["compiling"]
