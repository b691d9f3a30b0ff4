"""Makers of score functions that worker processes can import; not tests."""

import os
import subprocess
import sys
import time


def length(items):
    """The number of characters, and the effect of a bad word in an item."""
    for item in items:
        if "crash" in item:
            os._exit(7)
        if "hang" in item:
            time.sleep(120)
        if "raise" in item:
            raise ValueError(f"cannot read {item}")
    return [(float(len(item)), 1 / len(item)) for item in items]


def make_length():
    return length


def slow(items):
    time.sleep(0.05 * len(items))
    return [(float(len(item)),) for item in items]


def make_slow():
    return slow


def make_batch_size():
    return lambda items: [(float(len(items)),) for _ in items]


def make_nothing():
    raise ImportError("no module named plutonium")


def make_death():
    os._exit(9)


def noisy(items):
    print("this must not end up on stdout", flush=True)
    os.write(1, b"nor this\n")
    return [(1.0,) for _ in items]


def make_noisy():
    return noisy


def make_wrong_number():
    return lambda items: [(1.0,)] * (len(items) + 1)


def make_forks_once():
    """One fork, at the first item: both processes would answer from then on."""
    forked = []

    def score(items):
        if not forked:
            forked.append(True)
            os.fork()
        return [(float(len(item)),) for item in items]

    return score


def make_leaves_a_child():
    """Starts a process that outlives the score, and then hangs, dies or answers as told."""

    def score(items):
        (item,) = items
        end, path = item.split(":", 1)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        with open(path, "w") as file:
            file.write(str(child.pid))
        if end == "hang":
            time.sleep(60)
        if end == "die":
            os._exit(3)
        return [(1.0,)]

    return score


def make_closes_its_pipes():
    """Leaves nothing for the parent to read, and goes on."""

    def score(items):
        os.closerange(0, 20)
        time.sleep(60)

    return score


def make_leaver():
    """A function that ends the program for one item."""

    def score(items):
        if any("exit" in item for item in items):
            sys.exit(0)
        return [(1.0,) for _ in items]

    return score


def make_exit():
    sys.exit(0)


def miscounting(items):
    """A batch with one score too few; each alone would be accepted."""
    from trainer.tasks.scoring.worker_pool import WrongCount

    if len(items) > 1:
        raise WrongCount(f"f returned 1 scores for {len(items)} items")
    return [(1.0,)]


def make_miscounting():
    return miscounting


def busy(items):
    """Works for so many seconds of a processor's time, or hangs."""
    for item in items:
        if item == "hang":
            time.sleep(120)
        end = time.process_time() + float(item)
        while time.process_time() < end:
            pass
    return [(1.0,)] * len(items)


def make_busy():
    return busy


class UnreadableAnswer:
    """It can be sent, and nobody can make it again."""

    def __reduce__(self):
        return int, ("nothing",)


def odd_answers(items):
    odd = {"function": lambda: 0, "unreadable": UnreadableAnswer()}
    return [(odd.get(item, 1.0),) for item in items]


def make_odd_answers():
    return odd_answers
