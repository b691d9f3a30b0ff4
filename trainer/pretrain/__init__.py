"""Small priors are made by ``pretrain(PretrainOptions(out=Path("priors/mine"), ...))``."""

from trainer.pretrain.display import Display
from trainer.pretrain.make_prior import pretrain
from trainer.pretrain.options import SHAPES, PretrainOptions

__all__ = ["SHAPES", "Display", "PretrainOptions", "pretrain"]
