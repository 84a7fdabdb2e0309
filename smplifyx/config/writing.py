"""Write configurations: every setting with its help, and paths that hold from any folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from smplifyx.config.arguments import RunOptions
from smplifyx.config.fields import hints_of, item_dataclass, rule_of, shown
from smplifyx.config.loading import joined

T = TypeVar("T")


def to_yaml(config: Any, run: RunOptions | None = None) -> str:
    """Every setting of a configuration, a dataclass of groups of settings, with its help as a comment.

    Args:
        config: the settings.
        run: arguments of a run that are written too, under ``run``.
    """
    return "\n".join(_sections(config if run is None else joined(config, run))) + "\n"


def with_absolute_paths(config: T, folder: Path) -> T:
    """The configuration with every relative path, of whatever setting, made absolute.

    Args:
        config: a configuration dataclass.
        folder: start of relative paths.
    """
    changes: dict[str, Any] = {}
    for one in dataclasses.fields(config):  # type: ignore[arg-type]
        value = getattr(config, one.name)
        if dataclasses.is_dataclass(value):
            changes[one.name] = with_absolute_paths(value, folder)
        elif isinstance(value, Path):
            changes[one.name] = (folder / value).resolve()
    changed: T = dataclasses.replace(config, **changes)  # type: ignore[type-var]
    return changed


def _sections(config: Any) -> Iterator[str]:
    owner: type = type(config)
    hints = hints_of(owner)
    for number, field in enumerate(dataclasses.fields(config)):
        if number:
            yield ""
        yield f"{field.name}:  # {rule_of(owner, field.name).help}"
        value = getattr(config, field.name)
        if item_dataclass(hints[field.name]) is None:
            yield from _settings(value, "  ", with_help=True)
        else:
            yield from _entries(value)


def _entries(entries: tuple[Any, ...]) -> Iterator[str]:
    for number, entry in enumerate(entries):
        lines = list(_settings(entry, "    ", with_help=number == 0))
        yield "  - " + lines[0].lstrip()
        yield from lines[1:]


def _settings(group: Any, indent: str, with_help: bool) -> Iterator[str]:
    for field in dataclasses.fields(group):
        help_line = rule_of(type(group), field.name).help
        comment = f"  # {help_line}" if with_help and help_line else ""
        yield f"{indent}{field.name}: {_plain(getattr(group, field.name))}{comment}"


def _plain(value: Any) -> str:
    return shown(list(value) if isinstance(value, tuple) else value)
