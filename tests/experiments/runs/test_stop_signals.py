import os
import signal
import sys
from types import SimpleNamespace

import pytest

from rl3_sb3.experiments.runs import stop_signals as stopping
from rl3_sb3.experiments.runs.stop_signals import IterationClock, StopSignals

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="other signals there")


@pytest.fixture(autouse=True)
def interrupt_raises():
    """Let SIGINT raise, as in a process that was started by hand."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_gives_both_signals_back(number, capfd):
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    with StopSignals() as signals:
        assert not signals.asked()
        os.kill(os.getpid(), number)
        assert signals.asked()
        assert signals.received == number
        assert {each: signal.getsignal(each) for each in before} == before
    assert "stopping after this iteration" in capfd.readouterr().err


def test_the_second_interruption_is_one():
    with pytest.raises(KeyboardInterrupt), StopSignals():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_after_the_block_signals_do_what_they_did():
    with StopSignals():
        pass
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_an_ignored_signal_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with StopSignals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        assert not signals.asked()


def test_the_clock_foresees_the_longest_iteration_but_the_first(monkeypatch):
    now = 0.0
    monkeypatch.setattr(stopping, "time", SimpleNamespace(monotonic=lambda: now))
    clock = IterationClock(100.0)
    assert not clock.is_over()
    # seconds of an iteration, and whether 1.2 times the longest still fits into what is left:
    # 70 + 84 > 100; 80 + 12 < 100; 88 + 12 = 100; 92 + 12 > 100
    for seconds, over in ((70, True), (10, False), (8, False), (4, True)):
        clock.begin()
        now += seconds
        clock.end()
        assert clock.is_over() == over
