"""Small priors are made by ``pretrain(PretrainOptions(out=Path("priors/mine"), ...))``.

The names below are loaded on first use: the command line reads the options without loading torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.pretrain.display import Display
    from trainer.pretrain.make_prior import pretrain
    from trainer.pretrain.options import SHAPES, PretrainOptions

__all__ = ["SHAPES", "Display", "PretrainOptions", "pretrain"]

_MODULES = {
    "SHAPES": "options",
    "Display": "display",
    "PretrainOptions": "options",
    "pretrain": "make_prior",
}


def __getattr__(name: str) -> Any:
    """The public name, imported on first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
