"""The first signal is a flag; the second ends the run at once; the handlers are given back."""

import os
import signal
import threading

import pytest

from trainer.training.interruption import Interruption


def test_a_signal_is_noted_and_the_second_ends_the_run_at_once():
    before = signal.getsignal(signal.SIGTERM)
    with Interruption() as interruption:
        assert not interruption.requested
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_in_a_thread_the_signals_are_left_to_whoever_runs_it():
    handlers = []

    def work():
        with Interruption():
            handlers.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert handlers == [before]
