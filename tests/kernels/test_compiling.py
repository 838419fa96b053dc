import logging

import pytest

from npbsrn.kernels import compiling
from npbsrn.kernels.compiling import Watch


@pytest.fixture
def clock(monkeypatch):
    """A watch, and what moves its time on; alarms ring when they are told to."""

    class Clock:
        def __init__(self):
            self.now, self.alarms = 0.0, []

        def perf_counter(self):
            return self.now

    class Alarm:
        def __init__(self, seconds, ring):
            self.seconds, self.ring, self.set = seconds, ring, False

        def start(self):
            self.set = True
            clock.alarms.append(self)

        def cancel(self):
            self.set = False

    clock = Clock()
    monkeypatch.setattr(compiling, "time", clock)
    monkeypatch.setattr(compiling.threading, "Timer", Alarm)
    return clock


def compile_for(watch, clock, seconds, *inner):
    watch.on_start(None)
    for own in inner:
        compile_for(watch, clock, own)
    clock.now += seconds
    watch.on_end(None)


def test_the_time_of_a_kernel_includes_its_parts_once(clock):
    watch = Watch()
    compile_for(watch, clock, 1.0, 2.0, 4.0)
    clock.now += 100
    compile_for(watch, clock, 8.0)
    assert watch.seconds == 15


def test_there_is_news_once(clock):
    watch = Watch()
    assert not watch.news()
    compile_for(watch, clock, 1.0)
    assert watch.news()
    assert not watch.news()


def test_one_line_says_what_is_waited_for(clock, caplog):
    caplog.set_level(logging.INFO, "npbsrn")
    watch = Watch()
    watch.on_start(None)
    (alarm,) = clock.alarms
    assert alarm.set
    assert alarm.seconds == compiling.PATIENCE
    alarm.ring()
    watch.on_end(None)
    assert not alarm.set
    compile_for(watch, clock, 9.0)
    assert [record.getMessage() for record in caplog.records] == [compiling.WORDS]
    assert len(clock.alarms) == 1


def test_short_compilations_are_not_spoken_of(clock, caplog):
    """Each leaves the next the rest of the patience."""
    caplog.set_level(logging.INFO, "npbsrn")
    watch = Watch()
    compile_for(watch, clock, 0.25)
    compile_for(watch, clock, 0.5)
    assert [(alarm.seconds, alarm.set) for alarm in clock.alarms] == [(1.0, False), (0.75, False)]
    assert caplog.records == []
