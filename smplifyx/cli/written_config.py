"""The configuration that a run leaves in its output folder, and how it differs from that of an earlier run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from smplifyx.config import Config, ConfigError, RunOptions, load_run, to_yaml, with_absolute_paths
from smplifyx.files import write_text

#: The sections that decide how a fit comes out; of the others, a setting here and there.
_DECISIVE = (
    "body",
    "gender",
    "camera",
    "priors",
    "lifting",
    "objective",
    "starts",
    "stages",
    "optimizer",
    "collision",
)


def portable(config: Config, run: RunOptions) -> tuple[Config, RunOptions]:
    """The same settings and arguments with absolute paths and for all shards, so that they run again from anywhere.

    Args:
        config: settings as given.
        run: arguments as given.
    """
    everything = replace(run, num_shards=1, shard_index=0)
    return with_absolute_paths(config, Path.cwd()), with_absolute_paths(everything, Path.cwd())


def fits_differ(config: Config, run: RunOptions, path: Path) -> bool:
    """Whether the run that wrote ``path`` had other settings that change a fit; False without a file.

    Args:
        config, run: from :func:`portable`.
        path: the file of the earlier run; one that this version cannot read counts as different.
    """
    if not path.is_file():
        return False
    try:
        earlier, earlier_run = load_run(path)
    except ConfigError:
        return True
    if earlier.people.min_confidence != config.people.min_confidence or earlier_run.dtype != run.dtype:
        return True
    return any(getattr(earlier, section) != getattr(config, section) for section in _DECISIVE)


def write_config(config: Config, run: RunOptions, path: Path) -> None:
    """Write settings and arguments, all or nothing."""
    write_text(path, to_yaml(config, run))
