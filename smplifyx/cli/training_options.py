"""What the commands of ``train`` have in common: options, settings, and whether curves can be drawn."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeVar

from smplifyx.cli import console
from smplifyx.errors import UsageError

#: Stands for what ships with the package.
SHIPPED = Path("shipped")

T = TypeVar("T")


def add_training_options(parser: argparse.ArgumentParser, config_name: str) -> None:
    """Add the options that are the same whatever is trained; ``config_name`` is the shipped configuration."""
    parser.add_argument("--output", metavar="DIR", type=Path, help="where everything goes")
    parser.add_argument("--config", metavar="FILE", help=f"YAML file with settings, or {config_name}")
    parser.add_argument("--resume", action="store_true", help="go on from DIR/state.pt")
    parser.add_argument("--threads", metavar="N", type=int, help="processor threads (default: the library's choice)")
    parser.add_argument("--print-config", action="store_true", help="print the complete configuration and stop")


def add_evaluate_option(parser: argparse.ArgumentParser, metavar: str, help_line: str) -> None:
    """Add ``--evaluate``, which holds :data:`SHIPPED` when it is given without a file."""
    parser.add_argument("--evaluate", metavar=metavar, nargs="?", type=Path, const=SHIPPED, help=help_line)


def training_config(arguments: argparse.Namespace, defaults: T, name: str) -> T:
    """The settings: defaults, then ``--config``, then single settings by their dotted names.

    Raises:
        ConfigError: there is no such file or shipped configuration, or a setting is wrong.
    """
    from smplifyx.config.loading import find_config, merge, read_yaml, with_override

    config = defaults
    if arguments.config is not None:
        path = find_config(arguments.config, name)
        config = merge(config, read_yaml(path), str(path))
    for override in arguments.overrides:
        config = with_override(config, override)
    return config


def require_paths(arguments: argparse.Namespace) -> None:
    """Raises UsageError unless the data are there and, for a training, the output is named."""
    for name in ("data",) if arguments.evaluate else ("data", "output"):
        if getattr(arguments, name) is None:
            raise UsageError(f"--{name}: expected a path")
    if not arguments.data.exists():
        raise UsageError(f"--data: {arguments.data} does not exist")


def can_plot(pictures: str) -> bool:
    """Whether matplotlib is there; tells which pictures are left out where it is not."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        console.note(f"no {pictures}: pip install smplifyx[train]")
        return False
    return True
