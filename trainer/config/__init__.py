"""The configuration of a run: frozen dataclasses, read from a TOML file or a bundled one."""

from trainer.config.sections import (
    CheckpointOptions,
    Config,
    ControlOptions,
    EvalOptions,
    LogOptions,
    PolicyOptions,
    RecipeOptions,
    Stage,
    TaskOptions,
    TrainOptions,
)
from trainer.config.settings import (
    at_step,
    config_file,
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
    "PolicyOptions",
    "RecipeOptions",
    "Stage",
    "TaskOptions",
    "TrainOptions",
    "at_step",
    "config_file",
    "load_config",
    "presets",
    "read_config",
    "to_toml",
    "with_settings",
]
