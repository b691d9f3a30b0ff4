"""Making the small priors: ``pretrain(PretrainOptions(out=Path("priors/mine"), ...))``."""

from trainer.pretrain.display import Display
from trainer.pretrain.options import SHAPES, PretrainOptions
from trainer.pretrain.pretrain import pretrain

__all__ = ["SHAPES", "Display", "PretrainOptions", "pretrain"]
