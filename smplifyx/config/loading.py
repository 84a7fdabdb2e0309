"""Read configurations: defaults, then a YAML file, then settings by dotted name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml

from smplifyx.config.arguments import RunOptions, check_run
from smplifyx.config.earlier_names import name_now
from smplifyx.config.fields import (
    ConfigError,
    Leaf,
    convert,
    hints_of,
    item_dataclass,
    leaves,
    load_yaml,
    parse_text,
    rule_of,
    shown,
    suggestion,
)
from smplifyx.config.original_names import original_keys
from smplifyx.config.schema import Config, check
from smplifyx.errors import reason

#: Folder of the configuration files that ship with the package.
SHIPPED_CONFIGS = Path(__file__).parents[1] / "data" / "configs"
COMMAND_LINE = "command line"
#: Stands for every entry of a list, as in ``stages.all.collision``.
_ALL_ENTRIES = "all"

T = TypeVar("T")


@dataclass(frozen=True)
class Override:
    """One setting by its dotted name, such as ``camera.focal_length`` and ``1500``.

    Attributes:
        key: dotted name.
        value: text as on the command line, or a typed value.
        source: where it comes from, for error messages.
    """

    key: str
    value: Any
    source: str = COMMAND_LINE


#: Settings by dotted name, in their order.
Overrides = Iterable[Override] | Mapping[str, Any]


@dataclass(frozen=True)
class _File(Config):
    """Content of a YAML file: the settings, and under ``run`` the arguments of a run."""

    run: RunOptions = dataclasses.field(default_factory=RunOptions)


def all_settings() -> tuple[Leaf, ...]:
    """Every setting with its dotted name, default and help; stages appear once, as ``stages.N``."""
    return tuple(leaves(Config()))


def load_config(file: str | Path | None = None, overrides: Overrides = ()) -> Config:
    """Settings: defaults, then the file, then the overrides in their order.

    Args:
        file: a YAML file, or the name of a shipped one (``fit_smplx_paper``, or ``paper`` for short). The arguments
            of a run that it may hold are ignored.
        overrides: settings by dotted name.

    Raises:
        ConfigError: an unknown key, a value of the wrong type or out of bounds, or settings that clash.
    """
    config = Config()
    if file is not None:
        config, _ = read_file(find_config(file))
    for override in _as_overrides(overrides):
        config = with_override(config, override)
    check(config)
    return config


def load_run(file: str | Path | None = None, overrides: Overrides = ()) -> tuple[Config, RunOptions]:
    """Settings and the arguments of a run, as :func:`load_config`; arguments have names such as ``run.images``."""
    config, run = (Config(), RunOptions()) if file is None else read_file(find_config(file))
    loaded = joined(config, run)
    for override in _as_overrides(overrides):
        loaded = with_override(loaded, override)
    config, run = _parted(loaded)
    check(config)
    check_run(run)
    return config, run


def _as_overrides(overrides: Overrides) -> Iterable[Override]:
    if isinstance(overrides, Mapping):
        return [Override(key, value, "overrides") for key, value in overrides.items()]
    return overrides


def read_file(path: Path) -> tuple[Config, RunOptions]:
    """Settings and arguments of a YAML file, each alone valid; raises :class:`ConfigError`."""
    return _parted(merge(_File(), read_yaml(path), str(path)))


def load_recorded(file: Path) -> tuple[Config, RunOptions, list[str]]:
    """Settings and arguments that a run has written, also of another version.

    Returns:
        The settings, the arguments, and the names of the recorded ones that this version does not have or refuses;
        these have their defaults.

    Raises:
        ConfigError: the file cannot be read.
    """
    values = _nested(read_yaml(file), str(file), "")
    left_out: list[str] = []
    while True:
        try:
            config, run = _parted(merge(_File(), values, str(file)))
            check(config)
            check_run(run)
            return config, run, left_out
        except ConfigError as error:
            if not _remove(values, error.key.split(".")):
                raise
            left_out.append(error.key)


def _remove(values: Any, names: list[str]) -> bool:
    """Take a setting out of nested values; False if it is not there."""
    name, rest = names[0], names[1:]
    if isinstance(values, list):
        return (
            name.isdecimal() and 1 <= int(name) <= len(values) and bool(rest) and _remove(values[int(name) - 1], rest)
        )
    if not isinstance(values, dict) or name not in values:
        return False
    if rest and _remove(values[name], rest):
        return True
    del values[name]
    return True


def joined(config: Config, run: RunOptions) -> _File:
    """The settings, with the arguments of a run as the group ``run``."""
    return _File(**{one.name: getattr(config, one.name) for one in dataclasses.fields(config)}, run=run)


def _parted(file: _File) -> tuple[Config, RunOptions]:
    return Config(**{one.name: getattr(file, one.name) for one in dataclasses.fields(Config)}), file.run


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
    accepted = {
        one.removeprefix(prefix): one for one in shipped for prefix in ("", f"{command}_", f"{command}_smplx_")
    }
    near = get_close_matches(name, accepted, n=1)
    advice = f"did you mean {accepted[near[0]]}?" if near else f"expected one of {', '.join(shipped)}"
    raise ConfigError(str(file), "", f"no such file, and no shipped configuration of that name; {advice}")


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file as a plain mapping (empty for an empty file); raises :class:`ConfigError`."""
    try:
        content = load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), "", f"cannot be read: {reason(error)}") from error
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(str(path), line, f"not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(str(path), "", f"not valid YAML: {reason(error)}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(str(path), "", f"expected a mapping of settings, found {shown(content)}")
    values = {str(key): value for key, value in content.items()}
    originals = original_keys(values, frozenset(one.name for one in dataclasses.fields(_File)))
    if originals:
        lines = "\n  ".join(originals)
        raise ConfigError(str(path), "", f"keys of SMPLify-X have other names here:\n  {lines}")
    return values


def merge(config: Any, values: Any, source: str) -> Any:
    """A configuration dataclass with some of its values replaced by those of a mapping of nested or dotted names."""
    if values is None:
        return config
    if not isinstance(values, Mapping):
        raise ConfigError(source, "", f"expected a mapping of settings, found {shown(values)}")
    return _merged(config, _nested(values, source, ""), source, "")


def _nested(values: Mapping[Any, Any], source: str, prefix: str) -> dict[str, Any]:
    """The mapping with dotted names as nested mappings; a setting may be given only once."""
    nested: dict[str, Any] = {}
    for name, value in values.items():
        first, _, rest = str(name).partition(".")
        below = {rest: value} if rest else value
        if isinstance(below, Mapping):
            below = _nested(below, source, f"{prefix}{first}.")
        nested[first] = _combined(nested[first], below, source, f"{prefix}{first}") if first in nested else below
    return nested


def _combined(one: Any, other: Any, source: str, key: str) -> Any:
    if one is None or other is None:  # a heading whose settings are all commented out
        return one if other is None else other
    if not isinstance(one, dict) or not isinstance(other, dict):
        raise ConfigError(source, key, "is given twice")
    both = dict(one)
    for name, value in other.items():
        both[name] = _combined(both[name], value, source, f"{key}.{name}") if name in both else value
    return both


def _merged(config: Any, values: Any, source: str, prefix: str) -> Any:
    if values is None:  # a heading whose settings are all commented out
        return config
    if not isinstance(values, Mapping):
        raise ConfigError(source, prefix.rstrip("."), f"expected a mapping of settings, found {shown(values)}")
    owner = type(config)
    changes = {}
    for name, value in values.items():
        hint = _hint(owner, str(name), source, prefix)
        key = f"{prefix}{name}"
        if dataclasses.is_dataclass(hint):
            changes[name] = _merged(getattr(config, name), value, source, f"{key}.")
        elif item_dataclass(hint) is not None:
            changes[name] = _merged_entries(getattr(config, name), item_dataclass(hint), value, source, key)
        else:
            changes[name] = _beside(source, convert(value, hint, rule_of(owner, name), source, key))
    return dataclasses.replace(config, **changes)


def _beside(file: str, value: Any) -> Any:
    """A value of a file: relative paths start at its folder."""
    return Path(file).parent / value if isinstance(value, Path) else value


def _merged_entries(entries: tuple[Any, ...], item: Any, value: Any, source: str, key: str) -> tuple[Any, ...]:
    """Entries given as a list replace all; a mapping from numbers, or ``all``, changes some."""
    if isinstance(value, list):
        new = [_nested(one, source, f"{key}.") if isinstance(one, Mapping) else one for one in value]
        return tuple(_merged(item(), one, source, f"{key}.{number}.") for number, one in enumerate(new, 1))
    if not isinstance(value, Mapping):
        raise ConfigError(source, key, f"expected a list, or a mapping from numbers, found {shown(value)}")
    changed = list(entries)
    for name in sorted(value, key=lambda name: name != _ALL_ENTRIES):  # a single entry overrides the value of all
        for number in _entry_numbers(name, len(entries), source, key):
            changed[number] = _merged(changed[number], value[name], source, f"{key}.{name}.")
    return tuple(changed)


def _entry_numbers(name: str, n_entries: int, source: str, key: str) -> list[int]:
    """Positions from 0 of an entry named by its number from 1, or of all."""
    if name == _ALL_ENTRIES:
        return list(range(n_entries))
    if not name.isdecimal() or not 1 <= int(name) <= n_entries:
        problem = f"expected a number from 1 to {n_entries}, or {_ALL_ENTRIES}, found {name}"
        raise ConfigError(source, f"{key}.{name}", problem)
    return [int(name) - 1]


def with_override(config: T, override: Override) -> T:
    """The configuration with one setting replaced."""
    changed: T = _replaced(config, override.key.replace("-", "_").split("."), override, "")
    return changed


def _replaced(node: Any, names: list[str], override: Override, prefix: str) -> Any:
    name, rest = names[0], names[1:]
    owner = type(node)
    hint = _hint(owner, name, override.source, prefix, rest)
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
    plain = parse_text(override.value, hint) if isinstance(override.value, str) else override.value
    return dataclasses.replace(node, **{name: convert(plain, hint, rule_of(owner, name), override.source, key)})


def _replaced_entry(entries: tuple[Any, ...], names: list[str], override: Override, key: str) -> tuple[Any, ...]:
    if len(names) < 2:
        problem = f"expected {key}.NUMBER.SETTING or {key}.{_ALL_ENTRIES}.SETTING, found {override.key}"
        raise ConfigError(override.source, key, problem)
    changed = list(entries)
    for number in _entry_numbers(names[0], len(entries), override.source, key):
        changed[number] = _replaced(changed[number], names[1:], override, f"{key}.{names[0]}.")
    return tuple(changed)


def _hint(owner: type, name: str, source: str, prefix: str, rest: Sequence[str] = ()) -> Any:
    """The type of a setting; for an unknown one, ``rest`` are the parts of its name that follow."""
    hints = hints_of(owner)
    if name not in hints:
        parts = [*prefix.split(".")[:-1], name, *rest]
        now = name_now(parts)
        if now is not None:
            raise ConfigError(source, ".".join(parts), f"unknown setting; now {now}")
        everywhere = tuple(leaf.key for leaf in leaves(_File() if owner is _File else Config()))
        advice = suggestion((name, *rest), owner, prefix, everywhere)
        raise ConfigError(source, ".".join(parts), f"unknown setting; {advice}")
    return hints[name]
