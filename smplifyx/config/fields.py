"""Convert plain YAML values to typed configuration values, by the type hints of the dataclasses."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from smplifyx.errors import UsageError

#: Longest value in an error message, characters.
_MAX_SHOWN = 80
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class ConfigError(UsageError):
    """A configuration value is wrong.

    Args:
        source: origin of the value: a file name or ``command line``.
        key: its dotted name, for example ``camera.focal_length``; empty for the whole source.
        problem: the fault and the expectation.
    """

    def __init__(self, source: str, key: str, problem: str) -> None:
        self.source, self.key, self.problem = source, key, problem
        super().__init__(": ".join(part for part in (source, key, problem) if part))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[str, str, str]]:
        """Travel between processes with all parts."""
        return type(self), (self.source, self.key, self.problem)


@dataclass(frozen=True)
class Rule:
    """Help and limits of a setting; bounds and names hold for each entry of a list.

    Attributes:
        help: one line for ``--help`` and the written YAML.
        minimum, above, maximum: bounds of numbers.
        names: the only texts that are allowed; empty for any.
    """

    help: str = ""
    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    names: tuple[str, ...] = ()

    def bounds(self) -> str:
        """The bounds in words, with a leading space, or nothing."""
        words = []
        if self.above is not None:
            words.append(f"above {self.above:g}")
        if self.minimum is not None:
            words.append(f"of at least {self.minimum:g}")
        if self.maximum is not None:
            words.append(f"of at most {self.maximum:g}")
        return " " + " and ".join(words) if words else ""

    def allows(self, number: float) -> bool:
        """Whether the number is within the bounds."""
        return (
            (self.above is None or number > self.above)
            and (self.minimum is None or number >= self.minimum)
            and (self.maximum is None or number <= self.maximum)
        )


def setting(default: Any, help: str, *, minimum: float | None = None, above: float | None = None,
            maximum: float | None = None, names: tuple[str, ...] = ()) -> Any:  # fmt: skip
    """A dataclass field with its default, one line of help, bounds of numbers and allowed names."""
    return dataclasses.field(default=default, metadata={"rule": Rule(help, minimum, above, maximum, names)})


@dataclass(frozen=True)
class Leaf:
    """One setting of the configuration, with its dotted name."""

    key: str
    rule: Rule
    default: Any
    hint: Any


def rule_of(owner: type, name: str) -> Rule:
    """The rule of a field; the help of a group of settings is its docstring."""
    field = next(field for field in dataclasses.fields(owner) if field.name == name)
    group_help = getattr(field.default_factory, "__doc__", None) or ""
    return field.metadata.get("rule", Rule(group_help.rstrip(".")))


@cache
def hints_of(owner: type) -> dict[str, Any]:
    """The evaluated type hints of a dataclass."""
    return get_type_hints(owner)


def item_dataclass(hint: Any) -> type | None:
    """The dataclass ``X`` of a hint ``tuple[X, ...]``, or None."""
    item = get_args(hint)[0] if get_origin(hint) is tuple else None
    return item if isinstance(item, type) and dataclasses.is_dataclass(item) else None


def leaves(config: Any, prefix: str = "") -> Iterator[Leaf]:
    """All settings of a configuration; entries of a list of dataclasses appear once, as ``name.N.field``."""
    owner: type = type(config)
    hints = hints_of(owner)
    for field in dataclasses.fields(config):
        value, hint = getattr(config, field.name), hints[field.name]
        item = item_dataclass(hint)
        if dataclasses.is_dataclass(value):
            yield from leaves(value, f"{prefix}{field.name}.")
        elif item is not None:
            yield from leaves(item(), f"{prefix}{field.name}.N.")
        else:
            yield Leaf(prefix + field.name, rule_of(owner, field.name), value, hint)


def suggestion(unknown: Sequence[str], owner: type, prefix: str, everywhere: Sequence[str]) -> str:
    """Advice for an unknown name: the setting of this name elsewhere, else the nearest one, else all siblings.

    Args:
        unknown: the parts of the name from the one that ``owner`` lacks.
        owner: a dataclass of settings.
        prefix: the name before these parts, with its last dot.
        everywhere: full names of all settings.
    """
    name, *rest = unknown
    names = [field.name for field in dataclasses.fields(owner)]
    last_names = [key.rsplit(".", 1)[-1] for key in everywhere]
    siblings = [other for other in names if name and other.startswith(name)] or get_close_matches(name, names, n=1)
    if siblings and (rest or name not in last_names):
        near = [".".join((prefix + siblings[0], *rest))]
    else:
        match = get_close_matches(name, last_names, n=1, cutoff=0.75)
        near = [key for key, last in zip(everywhere, last_names, strict=True) if last in match]
    return f"did you mean {' or '.join(near)}?" if near else f"expected one of {', '.join(names)}"


def expected(hint: Any, rule: Rule) -> str:
    """A type hint in words, for error messages."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return ("one of " if len(arguments) > 1 else "") + ", ".join(map(str, arguments))
    if origin in (Union, types.UnionType):
        return " or ".join(expected(argument, rule) for argument in arguments)
    if origin is tuple:
        how_many = "a list, each" if arguments[-1] is Ellipsis else f"a list of {len(arguments)}, each"
        return f"{how_many} {expected(arguments[0], rule)}"
    words = {bool: "true or false", str: _names_in_words(rule), Path: "a path", type(None): "null"}
    if hint in words:
        return words[hint]
    return ("a whole number" if hint is int else "a number") + rule.bounds()


def _names_in_words(rule: Rule) -> str:
    return f"a name such as {rule.names[0]}" if rule.names else "text"


class _MismatchError(Exception):
    """A value does not fit its hint (internal: callers turn it into a :class:`ConfigError`)."""

    def __init__(self, advice: str = "") -> None:
        super().__init__(advice)
        self.advice = advice


def _as_number(value: Any, rule: Rule) -> float:
    if isinstance(value, str):  # YAML 1.1 reads 1e-9, without a point, as text
        try:
            value = float(value)
        except ValueError as error:
            raise _MismatchError from error
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _MismatchError
    try:
        number = float(value)
    except OverflowError as error:  # a whole number of several hundred digits
        raise _MismatchError from error
    if not math.isfinite(number) or not rule.allows(number):
        raise _MismatchError
    return number


def _as_whole_number(value: Any, rule: Rule) -> int:
    number = _as_number(value, rule)
    if number != int(number):
        raise _MismatchError
    return value if isinstance(value, int) else int(number)


def _as_exactly(kind: type) -> Callable[[Any, Rule], Any]:
    def check(value: Any, rule: Rule) -> Any:
        if not isinstance(value, kind):
            raise _MismatchError
        return value

    return check


def _as_text(value: Any, rule: Rule) -> str:
    if not rule.names:
        if not isinstance(value, str):
            raise _MismatchError
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(rule.names):
        raise _MismatchError(f"number {value} is {rule.names[value]}")
    if not isinstance(value, str) or value not in rule.names:
        near = get_close_matches(str(value), rule.names, n=1)
        raise _MismatchError(f"did you mean {near[0]}?" if near else "")
    return value


def _as_path(value: Any, rule: Rule) -> Path:
    if not isinstance(value, (str, Path)) or not str(value).strip():
        raise _MismatchError
    return Path(value).expanduser()


def _as_null(value: Any, rule: Rule) -> None:
    if value is not None:
        raise _MismatchError


_SCALARS: dict[Any, Callable[[Any, Rule], Any]] = {
    bool: _as_exactly(bool),
    int: _as_whole_number,
    float: _as_number,
    str: _as_text,
    Path: _as_path,
    type(None): _as_null,
}


def _as_first_fit(value: Any, hints: tuple[Any, ...], rule: Rule) -> Any:
    if isinstance(value, str) and value.lower() == "none" and not {str, Path} & set(hints):
        value = None  # of an optional number
    for hint in sorted(hints, key=lambda hint: get_origin(hint) is not Literal):  # a choice is no path
        try:
            return fit(value, hint, rule)
        except _MismatchError:
            continue
    raise _MismatchError


def fit(value: Any, hint: Any, rule: Rule) -> Any:
    """Convert a plain value to its type hint; raises an internal mismatch if it does not fit."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        if value not in arguments:
            raise _MismatchError
        return value
    if origin in (Union, types.UnionType):
        return _as_first_fit(value, arguments, rule)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise _MismatchError
        item_hints = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(item_hints) != len(value):
            raise _MismatchError
        return tuple(fit(item, item_hint, rule) for item, item_hint in zip(value, item_hints, strict=True))
    return _SCALARS[hint](value, rule)


def convert(value: Any, hint: Any, rule: Rule, source: str, key: str) -> Any:
    """Convert a plain value to its type hint; raises :class:`ConfigError` with the expectation."""
    try:
        return fit(value, hint, rule)
    except _MismatchError as mismatch:
        advice = mismatch.advice
        if (
            not isinstance(value, (str, Path, list, dict))
            and {str, Path} & {hint, *get_args(hint)}
            and not rule.names
        ):
            advice = "a name that reads as another value needs quotes"
        found = f"{_abridged(value)}; {advice}" if advice else _abridged(value)
        raise ConfigError(source, key, f"expected {expected(hint, rule)}, found {found}") from None


def shown(value: Any) -> str:
    """A value as a user would write it."""
    if isinstance(value, Path):
        value = str(value)
    text = yaml.dump(value, Dumper=_DUMPER, default_flow_style=True, width=1e6)
    return str(text).replace("...", "").strip()


def _abridged(value: Any) -> str:
    """A wrong value for an error message, cut where it is long."""
    text = shown(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]} ..."


class _StrictLoader(yaml.SafeLoader):
    """Plain YAML; a key may be given only once, and values that Python cannot hold are YAML errors."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):  # others are refused by the superclass
                if key in seen:
                    problem = f"{key!r} is given a second time"
                    raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
                seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError, OverflowError, TypeError) as error:
            # Such as 0x_, 2001-99-99, !!int abc and !!bool maybe.
            problem = f"{node.value!r} is not a valid value of {node.tag.rsplit(':', 1)[-1]}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error


def load_yaml(text: str) -> Any:
    """The content of a YAML text; raises :class:`yaml.YAMLError`, or RecursionError for absurd nesting."""
    return yaml.load(text, Loader=_StrictLoader)


def parse_text(text: str, hint: Any) -> Any:
    """Parse a value of the command line.

    A path or name is the text as it is, but ``null`` where it is optional. Others are YAML, lists also ``1, 2, 3``.
    """
    alternatives = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    takes_text = any(one in (str, Path) or get_origin(one) is Literal for one in alternatives)
    if takes_text and not {int, float} & set(alternatives):
        return None if text == "null" and type(None) in alternatives else text
    if get_origin(hint) is tuple and get_args(hint)[0] is str and not text.startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        value = load_yaml(text)
        is_list = any(get_origin(alternative) is tuple for alternative in alternatives)
        return load_yaml(f"[{text}]") if is_list and isinstance(value, (str, int, float)) else value
    except (yaml.YAMLError, RecursionError):
        return text
