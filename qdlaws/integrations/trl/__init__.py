"""LawCallback: qdlaws inside the trainers of TRL and transformers; importing it imports neither."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    LawCallback: Any

__all__ = ["LawCallback"]


def __getattr__(name: str) -> Any:
    if name == "LawCallback":
        from qdlaws.integrations.trl import callback

        return callback.LawCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
