"""Typed configuration: dataclasses <- YAML <- command line."""

from smplifyx.config.fields import ConfigError, Leaf, setting
from smplifyx.config.loading import SHIPPED_CONFIGS, Override, all_settings, find_config, load_config, to_yaml
from smplifyx.config.schema import (
    BodyConfig,
    CameraConfig,
    CollisionConfig,
    Config,
    GenderConfig,
    InputConfig,
    ObjectiveConfig,
    OptimizerConfig,
    OutputConfig,
    PriorsConfig,
    RunConfig,
    Stage,
    StartsConfig,
)

__all__ = [
    "SHIPPED_CONFIGS",
    "BodyConfig",
    "CameraConfig",
    "CollisionConfig",
    "Config",
    "ConfigError",
    "GenderConfig",
    "InputConfig",
    "Leaf",
    "ObjectiveConfig",
    "OptimizerConfig",
    "OutputConfig",
    "Override",
    "PriorsConfig",
    "RunConfig",
    "Stage",
    "StartsConfig",
    "all_settings",
    "find_config",
    "load_config",
    "setting",
    "to_yaml",
]
