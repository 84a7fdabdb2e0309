"""Reads configurations: defaults, then a YAML file, then settings by dotted name."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from smplifyx.config.fields import (
    ConfigError,
    Leaf,
    convert,
    hints_of,
    item_dataclass,
    leaves,
    parse_text,
    rule_of,
    shown,
    suggestion,
)
from smplifyx.config.schema import Config, check
from smplifyx.errors import reason

#: Folder of the configuration files that ship with the package.
SHIPPED_CONFIGS = Path(__file__).parents[1] / "data" / "configs"
COMMAND_LINE = "command line"

T = TypeVar("T")


@dataclass(frozen=True)
class Override:
    """One setting given by its dotted name, as text: ``camera.focal_length`` and ``1500``."""

    key: str
    text: str
    source: str = COMMAND_LINE


def all_settings() -> tuple[Leaf, ...]:
    """Every setting with its dotted name, default and help; stages appear once, as ``stages.N``."""
    return tuple(leaves(Config()))


def load_config(file: str | Path | None = None, overrides: Iterable[Override] = ()) -> Config:
    """The effective configuration: defaults, then the file, then the overrides in their order.

    Args:
        file: a YAML file, or the name of a shipped one (``fit_smplx_paper``, or ``paper`` for short).
        overrides: settings by dotted name.

    Raises:
        ConfigError: an unknown key, a value of the wrong type or out of bounds, or settings that clash.
    """
    config = Config()
    if file is not None:
        path = find_config(file)
        config = merge(config, read_yaml(path), str(path))
    for override in overrides:
        config = with_override(config, override)
    check(config)
    return config


def find_config(file: str | Path, command: str = "fit") -> Path:
    """The file itself if it exists, else the command's shipped configuration of that name.

    Args:
        file: a YAML file, or a name: ``fit_smplx_paper``, ``smplx_paper`` or ``paper``.
        command: ``fit``, ``train_vposer`` or ``train_gender``; the names of its configurations begin with it.

    Raises:
        ConfigError: there is neither.
    """
    path = Path(file)
    if path.is_file():
        return path
    shipped = {one.stem: one for one in sorted(SHIPPED_CONFIGS.glob(f"{command}*.yaml"))}
    name = str(file).removesuffix(".yaml")
    for candidate in (name, f"{command}_{name}", f"{command}_smplx_{name}"):
        if candidate in shipped:
            return shipped[candidate]
    names = ", ".join(shipped)
    raise ConfigError(str(file), "", f"no such file, and no shipped configuration of that name ({names})")


class _StrictLoader(yaml.SafeLoader):
    """Plain YAML in which a key may stand only once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for number, key in enumerate(keys):
            if key in keys[:number]:
                where = node.value[number][0].start_mark
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} stands here a second time", where)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file as a plain mapping (empty for an empty file); raises :class:`ConfigError`."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), "", f"cannot be read: {reason(error)}") from error
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(str(path), line, f"not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(str(path), "", f"not valid YAML: {reason(error)}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(str(path), "", f"expected a mapping of settings, got {shown(content)}")
    return content


def merge(config: Any, values: Any, source: str, prefix: str = "") -> Any:
    """A configuration dataclass with some of its values replaced by those of a plain mapping."""
    if values is None:  # a heading whose settings are all commented out
        return config
    if not isinstance(values, Mapping):
        raise ConfigError(source, prefix.rstrip("."), f"expected a mapping of settings, got {shown(values)}")
    owner = type(config)
    changes = {}
    for name, value in values.items():
        hint = _hint(owner, str(name), source, prefix)
        key = f"{prefix}{name}"
        item = item_dataclass(hint)
        if dataclasses.is_dataclass(hint):
            changes[name] = merge(getattr(config, name), value, source, f"{key}.")
        elif item is not None:
            if not isinstance(value, list):
                raise ConfigError(source, key, f"expected a list, got {shown(value)}")
            changes[name] = tuple(
                merge(item(), entry, source, f"{key}.{number}.") for number, entry in enumerate(value)
            )
        else:
            changes[name] = convert(value, hint, rule_of(owner, name), source, key)
    return dataclasses.replace(config, **changes)


def with_override(config: T, override: Override) -> T:
    """The configuration with one setting replaced."""
    changed: T = _replaced(config, override.key.replace("-", "_").split("."), override, "")
    return changed


def _replaced(node: Any, names: list[str], override: Override, prefix: str) -> Any:
    name, rest = names[0], names[1:]
    owner = type(node)
    hint = _hint(owner, name, override.source, prefix)
    key = f"{prefix}{name}"
    value = getattr(node, name)
    if dataclasses.is_dataclass(hint):
        if not rest:
            example = f"{key}.{dataclasses.fields(value)[0].name}"
            raise ConfigError(override.source, key, f"is a group of settings: name one of them, as in {example}")
        return dataclasses.replace(node, **{name: _replaced(value, rest, override, f"{key}.")})
    if item_dataclass(hint) is not None:
        return dataclasses.replace(node, **{name: _replaced_entry(value, rest, override, key)})
    if rest:
        raise ConfigError(override.source, override.key, f"{key} is a single setting and has no {rest[0]}")
    plain = parse_text(override.text, hint)
    return dataclasses.replace(node, **{name: convert(plain, hint, rule_of(owner, name), override.source, key)})


def _replaced_entry(entries: tuple[Any, ...], names: list[str], override: Override, key: str) -> tuple[Any, ...]:
    if len(names) < 2 or not names[0].isdecimal() or int(names[0]) >= len(entries):
        problem = f"expected {key}.NUMBER.SETTING with a number from 0 to {len(entries) - 1}, got {override.key}"
        raise ConfigError(override.source, key, problem)
    number = int(names[0])
    changed = _replaced(entries[number], names[1:], override, f"{key}.{number}.")
    return (*entries[:number], changed, *entries[number + 1 :])


def _hint(owner: type, name: str, source: str, prefix: str) -> Any:
    hints = hints_of(owner)
    if name not in hints:
        everywhere = tuple(leaf.key for leaf in all_settings())
        raise ConfigError(source, f"{prefix}{name}", f"unknown setting; {suggestion(name, owner, everywhere)}")
    return hints[name]


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
