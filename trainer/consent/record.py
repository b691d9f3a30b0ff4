"""Who consented to what is kept outside of the run's folder, in the user's own state folder.

One small file for each run says to which hash its user agreed. The hash is taken over the text of
the configuration, all that it names beyond the project, and the code behind these names; a change
of any of them is asked about anew. It holds no path, so a hash is good on every machine: what runs
unattended passes it along.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from qdlaws.core.atomic_write import write_atomically
from qdlaws.core.regular_file import read_regular
from qdlaws.errors import QdlawsError
from trainer.config import Config, config_file, load_config
from trainer.consent.outside import REMOTE_CODE, Outside, named_outside

__all__ = [
    "NotTrusted",
    "Trust",
    "check_file",
    "check_run",
    "consent_hash",
    "record_consent",
    "trusted_items",
]

Trust = bool | str
"""Whether the user trusts what a file names: yes, no, or where its hash is the one given."""
DIGITS = 16
"""Digits of a hash that are shown and that are enough: 64 bits."""


class NotTrusted(QdlawsError, PermissionError):
    """A file names what its user has not agreed to; the message lists it."""

    def __str__(self) -> str:
        return str(self.args[0])


# ---------------------------------------------------------------------- asking


def check_run(
    folder: Path, config: Config, trust: Trust = False, checkpoint: Path | None = None
) -> None:
    """Refuses what the file of a run names and its user has not agreed to.

    ``config`` is what is about to be used: the run's own configuration, with other settings
    perhaps. What these settings name themselves needs no consent: the user typed them.
    """
    file = folder / "config.toml"
    items = named_outside(load_config(file), folder, checkpoint)
    if set(items) & set(named_outside(config, folder, checkpoint)):
        _check(file, items, trust)


def check_file(source: str, config: Config, trust: Trust = False) -> None:
    """Refuses what a configuration that a user named holds and a person may not have looked at.

    A file of one's own needs consent to nothing but ``trust_remote_code``; a file in the folder of
    a run may be somebody else's and is checked as that run.
    """
    file = config_file(source)
    if is_run(file.parent):
        check_run(file.parent, config, trust)
        return
    items = trusted_items(source)
    if set(items) & set(named_outside(config, file.parent)):
        _check(file, items, trust)


def trusted_items(source: str | Path) -> tuple[Outside, ...]:
    """What somebody agrees to who trusts a file or the run in a folder."""
    path = Path(source)
    if path.is_dir() and not (path / "config.toml").exists():
        return ()
    file = path / "config.toml" if path.is_dir() else config_file(source)
    items = named_outside(load_config(file), file.parent)
    return items if is_run(file.parent) else tuple(i for i in items if i.key == REMOTE_CODE)


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run."""
    return any((folder / name).exists() for name in ("metrics.jsonl", "checkpoints"))


# ---------------------------------------------------------------------- the record


def record_consent(folder: Path, config: Config, text: str) -> None:
    """Notes that the user named this configuration for the run in ``folder``.

    Where nothing can be written, the run goes on, and will be asked about when it is resumed.
    """
    items = named_outside(config, folder)
    if items:
        _record(folder / "config.toml", _hash(text.encode(), items))


def consent_hash(folder: Path, config: Config, text: str) -> str:
    """The hash of a run's configuration and of the code that it names."""
    return _hash(text.encode(), named_outside(config, folder))


def _check(file: Path, items: Sequence[Outside], trust: Trust) -> None:
    """Refuses the items of a file, unless the user trusts them now or has done so before."""
    code = _hash(file.read_bytes(), items)
    is_named = isinstance(trust, str) and len(trust) >= DIGITS and code.startswith(trust)
    if trust is True or is_named:
        _record(file, code)
        return
    place = _place(file)
    with suppress(
        OSError, ValueError, TypeError, AttributeError, RecursionError
    ):  # no record, or a damaged one
        if place is not None and json.loads(read_regular(place)).get("hash") == code:
            return
    problem = f"{file} has not the hash {trust}" if isinstance(trust, str) else str(file)
    raise NotTrusted(
        f"{problem}: you have not allowed what it names, or it has changed since: "
        f"{'; '.join(map(str, items))}. Say --trust to allow it, in scripts --trust-hash "
        f"{code[:DIGITS]}"
    )


def _hash(text: bytes, items: Sequence[Outside]) -> str:
    parts = [text.replace(b"\r\n", b"\n")]
    for item in items:
        parts += [item.key.encode(), item.value.encode()]
        parts += [path.name.encode() + sha256(path.read_bytes()).digest() for path in item.files]
    return sha256(b"".join(sha256(part).digest() for part in parts)).hexdigest()


def _record(file: Path, code: str) -> None:
    place = _place(file)
    with suppress(OSError, QdlawsError):
        if place is not None:
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_atomically(place, json.dumps({"file": str(file.resolve()), "hash": code}) + "\n")


def _place(file: Path) -> Path | None:
    """The record of a file, by its path; None on a machine without a folder for the user."""
    name = sha256(os.fsencode(file.resolve())).hexdigest()[:32]
    given = os.environ.get("XDG_STATE_HOME") or os.environ.get("LOCALAPPDATA", "")
    try:
        base = Path(given) if Path(given).is_absolute() else Path.home() / ".local" / "state"
    except RuntimeError:
        return None
    return base / "qdlaws" / "consent" / f"{name}.json"
