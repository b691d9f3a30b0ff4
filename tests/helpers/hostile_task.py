"""A task of a user's that hangs, exits, dies, prints or starts others, as its options say."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from tests.helpers.letters import Letters


class Hostile(Letters):
    """Letters, but one call of ``member`` misbehaves."""

    def __init__(self, how: str = "", member: str = "score", note: str = "") -> None:
        super().__init__()
        self.how, self.member, self.note = how, member, note
        print("made")

    def __getattribute__(self, name):
        value = super().__getattribute__(name)
        if name in ("how", "member", "note") or name != self.member:
            return value

        def misbehaving(*given):
            _do(self.how, self.note)
            return value(*given)

        return misbehaving


def _do(how: str, note: str) -> None:
    if how == "hang":
        time.sleep(600)
    if how == "die":
        os._exit(3)
    if how == "leave":
        sys.exit(0)
    if how == "raise":
        raise KeyError("no such\nletter")
    if how == "print":
        print("noise", flush=True)
        os.write(1, b"more noise\n")
    if how == "spawn":
        child = subprocess.Popen(["sleep", "600"])
        with open(note, "w") as file:
            file.write(str(child.pid))


def make(**options):
    return Hostile(**options)
