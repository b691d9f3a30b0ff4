"""A run's configuration: frozen dataclasses from one TOML file, or from a bundled one by name."""

from trainer.config.sections import (
    CheckpointOptions,
    Config,
    ControlOptions,
    EvalOptions,
    LogOptions,
    Named,
    PolicyOptions,
    RecipeOptions,
    Stage,
    TrainOptions,
)
from trainer.config.settings import (
    at_step,
    load_config,
    presets,
    read_config,
    to_toml,
    with_settings,
)

__all__ = [
    "CheckpointOptions",
    "Config",
    "ControlOptions",
    "EvalOptions",
    "LogOptions",
    "Named",
    "PolicyOptions",
    "RecipeOptions",
    "Stage",
    "TrainOptions",
    "at_step",
    "load_config",
    "presets",
    "read_config",
    "to_toml",
    "with_settings",
]
