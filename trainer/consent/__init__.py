"""Consent to what a configuration asks for beyond this project: code, downloads, trackers, paths.

A run's folder is data, perhaps somebody else's. Before a command imports, downloads or reads what
only a file in there names, the user must have agreed, by starting the run or by ``--trust``.
"""

from trainer.consent.outside import Outside, named_outside
from trainer.consent.record import (
    NotTrusted,
    Trust,
    check_file,
    check_run,
    consent_hash,
    record_consent,
    trusted_items,
)

__all__ = [
    "NotTrusted",
    "Outside",
    "Trust",
    "check_file",
    "check_run",
    "consent_hash",
    "named_outside",
    "record_consent",
    "trusted_items",
]
