"""The first signal is a flag; the second ends the run at once; the handlers are given back."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from trainer.training.interruption import Interruption


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_is_noted_and_the_handlers_are_given_back(number):
    before = signal.getsignal(number)
    with Interruption() as interruption:
        assert not interruption.requested
        os.kill(os.getpid(), number)
        assert interruption.requested
    assert signal.getsignal(number) is before


def test_a_second_interrupt_is_that_of_python():
    with Interruption():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
def test_a_second_sigterm_ends_the_process_at_once_and_without_a_traceback():
    code = (
        "import os, signal, threading, time\n"
        "from trainer.training.interruption import Interruption\n"
        "with Interruption():\n"
        "    for _ in range(2):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "    threading.Event().wait(20)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (-signal.SIGTERM, b"")


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
