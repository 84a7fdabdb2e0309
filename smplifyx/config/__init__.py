"""Typed configuration: dataclasses <- YAML <- command line."""

from smplifyx.config.arguments import RunOptions
from smplifyx.config.fields import ConfigError, Leaf, setting
from smplifyx.config.loading import (
    SHIPPED_CONFIGS,
    Override,
    all_settings,
    find_config,
    load_config,
    load_recorded,
    load_run,
)
from smplifyx.config.schema import (
    BodyConfig,
    CameraConfig,
    CollisionConfig,
    Config,
    GenderConfig,
    LiftingConfig,
    ObjectiveConfig,
    OptimizerConfig,
    OutputConfig,
    PeopleConfig,
    PriorsConfig,
    SequenceConfig,
    Stage,
    StartsConfig,
)
from smplifyx.config.writing import to_yaml, with_absolute_paths

__all__ = [
    "SHIPPED_CONFIGS",
    "BodyConfig",
    "CameraConfig",
    "CollisionConfig",
    "Config",
    "ConfigError",
    "GenderConfig",
    "Leaf",
    "LiftingConfig",
    "ObjectiveConfig",
    "OptimizerConfig",
    "OutputConfig",
    "Override",
    "PeopleConfig",
    "PriorsConfig",
    "RunOptions",
    "SequenceConfig",
    "Stage",
    "StartsConfig",
    "all_settings",
    "find_config",
    "load_config",
    "load_recorded",
    "load_run",
    "setting",
    "to_yaml",
    "with_absolute_paths",
]
