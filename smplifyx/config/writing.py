"""Writes a configuration as YAML that reads back as the same configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from smplifyx.config.fields import hints_of, item_dataclass, rule_of, shown


def to_yaml(config: Any) -> str:
    """Every setting of a configuration, a dataclass of groups of settings, each with its help as a comment."""
    return "\n".join(_sections(config)) + "\n"


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
