"""Making the small priors: ``pretrain(PretrainOptions(out=Path("priors/mine"), ...))``."""

from trainer.pretrain.options import SHAPES, PretrainOptions
from trainer.pretrain.run import pretrain
from trainer.pretrain.show import Display

__all__ = ["SHAPES", "Display", "PretrainOptions", "pretrain"]
