"""Makers of score functions that worker processes can import; not tests."""

import os
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
