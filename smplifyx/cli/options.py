"""Settings on the command line: short options for the common ones, ``--SECTION.KEY VALUE`` for all."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from smplifyx.config import Config, Leaf, Override, RunOptions, all_settings, load_run
from smplifyx.config.fields import leaves as leaves_of
from smplifyx.config.fields import shown
from smplifyx.config.loading import find_config, read_file
from smplifyx.errors import UsageError

_DOTTED_OPTION = re.compile(r"--([A-Za-z_][\w-]*(?:\.[\w-]+)+)(?:=(.*))?", re.DOTALL)
#: Body models whose shipped configuration is not the default.
_MODELS_WITH_FILES = ("smplh", "smpl", "mano", "flame")
#: Models of a hand and of a head.
_PARTS = ("mano", "flame")
_HELP_WIDTH, _HELP_COLUMN = 110, 42


@dataclass(frozen=True)
class Option:
    """A short option for one setting.

    Attributes:
        flag: as typed, for example ``--focal-length``.
        key: dotted name of the setting.
        metavar: name of the value in the help; None: the choices of the setting, or ``VALUE``.
        value: the text that the flag stands for; None: the flag takes a value.
        help: a line of help where the setting's own does not fit.
    """

    flag: str
    key: str
    metavar: str | None = None
    value: str | None = None
    help: str | None = None


INPUT_OPTIONS = (
    Option("--images", "run.images", "DIR"),
    Option("--keypoints", "run.keypoints", "DIR"),
)
RUN_OPTIONS = (
    Option("--output", "run.output", "DIR"),
    Option("--model", "body.model"),
    Option("--models", "body.models_dir", "DIR"),
    Option("--gender", "body.gender"),
    Option("--focal-length", "camera.focal_length", "PIXELS"),
    Option("--calibration", "camera.calibration", "FILE"),
    Option("--max-persons", "people.max_persons", "N"),
    Option("--min-keypoints", "people.min_keypoints", "N"),
    Option("--device", "run.device"),
    Option("--dtype", "run.dtype"),
    Option("--batch-size", "run.batch_size", "N"),
    Option("--threads", "run.threads", "N"),
    Option("--num-shards", "run.num_shards", "N"),
    Option("--shard-index", "run.shard_index", "I"),
    Option("--mesh-format", "output.mesh_format"),
    Option("--no-mesh", "output.mesh_format", value="none", help="write no meshes"),
    Option("--no-render", "output.render", value="false", help="draw no pictures"),
    Option("--save-pkl", "output.save_pickle", value="true"),
    Option("--overwrite", "run.overwrite", value="true"),
    Option("--verbose", "run.verbose", value="true"),
)


def add_options(parser: argparse.ArgumentParser, options: Sequence[Option]) -> None:
    """Give a command ``--config``, short options, and a closing list of all settings in its help."""
    leaves = {leaf.key: leaf for leaf in (*all_settings(), *leaves_of(RunOptions(), "run."))}
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="YAML file with settings, or a shipped one by name: fit_smplx (the default), fit_smplx_paper, "
        "fit_smplh, fit_smpl, fit_mano, fit_flame (the default with --model of that name)",
    )
    for option in options:
        _add_option(parser, option, leaves[option.key])
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = settings_help()
    parser.set_defaults(options=tuple(options))


def _add_option(parser: argparse.ArgumentParser, option: Option, leaf: Leaf) -> None:
    text = (option.help or leaf.rule.help).replace("%", "%%")
    dest = _destination(option)
    if option.value is not None:
        parser.add_argument(option.flag, dest=dest, action="store_const", const=option.value, help=text)
        return
    metavar = option.metavar or _choices(leaf.hint) or "VALUE"
    default = "" if leaf.default is None else f" (default: {leaf.default})"
    parser.add_argument(option.flag, dest=dest, metavar=metavar, help=text + default)


def _destination(option: Option) -> str:
    return option.key.replace(".", "__")


def _choices(hint: Any) -> str | None:
    return "{" + ",".join(map(str, get_args(hint))) + "}" if get_origin(hint) is Literal else None


def split_dotted(argv: Sequence[str]) -> tuple[list[str], list[Override]]:
    """Take ``--a.b VALUE`` and ``--a.b=VALUE`` out of the arguments.

    Returns:
        The other arguments, and the settings in their order.

    Raises:
        UsageError: a dotted option without a value.
    """
    others, overrides = [], []
    remaining = iter(argv)
    for argument in remaining:
        match = _DOTTED_OPTION.fullmatch(argument)
        if match is None:
            others.append(argument)
            continue
        key, text = match.groups()
        if text is None:
            text = next(remaining, None)
        if text is None or text.startswith("--"):
            raise UsageError(f"--{key}: expected a value")
        overrides.append(Override(key, text))
    return others, overrides


def effective_config(arguments: argparse.Namespace) -> tuple[Config, RunOptions]:
    """The settings and arguments of a run of a command: file, then its short options, then dotted settings.

    Without a file, a body model that is asked for comes with the shipped configuration that suits it.

    Raises:
        UsageError: a setting is wrong, or the file is for a hand or a head and another model is asked for.
    """
    short = []
    for option in arguments.options:
        text = getattr(arguments, _destination(option))
        if text is not None:
            short.append(Override(option.key, text, option.flag))
    overrides = [*short, *arguments.overrides]
    models = [one.text for one in overrides if one.key == "body.model" and one.text in _MODELS_WITH_FILES]
    file = arguments.config or (f"fit_{models[-1]}" if models else None)
    config, run = load_run(file, overrides)
    if arguments.config is not None:
        _check_fits_the_file(config.body.model, arguments.config)
    return config, run


def _check_fits_the_file(model: str, file: str) -> None:
    """The stages for a hand or a head make no whole body, as they lack most of its terms."""
    path = find_config(file)
    own = read_file(path)[0].body.model
    if own in _PARTS and model != own:
        raise UsageError(f"--config {file}: has settings for {own}, which do not suit {model}; fit_{model} does")


def settings_help() -> str:
    """A list of all settings with help and default, one paragraph each section."""
    lines = ["settings (--SECTION.KEY VALUE; the same names make the YAML file):"]
    section = None
    for leaf in all_settings():
        name = leaf.key.split(".")[0]
        if name != section:
            section = name
            lines.append(f"\n  {name}")
        choices = _choices(leaf.hint)
        text = f"{leaf.rule.help}{f' {choices}' if choices else ''} [{_default(leaf)}]"
        first, *rest = textwrap.wrap(text, _HELP_WIDTH - _HELP_COLUMN)
        lines.append(f"    --{leaf.key}".ljust(_HELP_COLUMN - 1) + f" {first}")
        lines += [" " * _HELP_COLUMN + line for line in rest]
    return "\n".join(lines)


def _default(leaf: Leaf) -> str:
    if not leaf.key.startswith("stages.N."):
        return _brief(leaf.default)
    name = leaf.key.rsplit(".", 1)[-1]
    values = [_brief(getattr(stage, name)) for stage in Config().stages]
    return values[0] if len(set(values)) == 1 else " | ".join(values)


def _brief(value: Any) -> str:
    if isinstance(value, tuple) and value:
        return ",".join(map(_brief, value))
    if isinstance(value, float):
        return f"{value:g}"
    return shown(list(value) if isinstance(value, tuple) else value)
