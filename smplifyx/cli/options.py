"""Settings on the command line: short options for the common ones, ``--SECTION.KEY VALUE`` for all."""

from __future__ import annotations

import argparse
import re
import textwrap
import types
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from smplifyx.config import Config, Leaf, Override, RunOptions, all_settings, find_config, load_run
from smplifyx.config.fields import leaves as leaves_of
from smplifyx.config.fields import rule_of, shown
from smplifyx.config.loading import read_file
from smplifyx.errors import UsageError

_DOTTED_OPTION = re.compile(r"--([A-Za-z_][\w-]*(?:\.[\w-]+)+)(?:=(.*))?", re.DOTALL)
#: Body models whose shipped configuration is not the default.
_MODELS_WITH_FILES = ("smplh", "smpl", "mano", "flame")
#: Models of a hand and of a head.
_PARTS = ("mano", "flame")
#: Columns of the help.
HELP_WIDTH = 80

_SETTINGS_INTRO = """settings, with their defaults in brackets:
  On the command line --SECTION.KEY VALUE; in a YAML file the same names, nested
  or dotted. Stages are numbered from 1: --stages.4.collision 20 sets one weight
  of one stage, --stages.all.collision 20 of all stages. Relative paths start at
  the working folder, in a YAML file at its folder. ~ is the home folder,
  null no path, ./null a file of that name.
  (paper) marks the values of the SMPLify-X paper, which --config paper sets."""


@dataclass(frozen=True)
class Option:
    """A short option for one setting or argument of a run.

    Attributes:
        flag: as typed, for example ``--focal-length``.
        key: dotted name of the setting; arguments of a run have names such as ``run.device``.
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
    Option("--layout", "run.layout", "NAME"),
    Option("--keypoint-frame", "run.keypoint_frame"),
    Option("--keypoint-scale", "run.keypoint_scale", "FACTOR"),
)
SEQUENCE_OPTIONS = (
    Option("--sequence", "run.sequence", value="true"),
    Option("--video", "run.video", "PATH"),
    Option("--fps", "run.fps", "N"),
    Option("--cameras", "run.cameras", "FILE"),
    Option("--camera-unit", "run.camera_unit", "METRES"),
    Option("--height", "run.height", "METRES"),
    Option("--min-views", "run.min_views", "N"),
    Option("--min-frames", "run.min_frames", "N"),
    Option("--max-gap", "run.max_gap", "SECONDS"),
)
FIT_OPTIONS = (
    Option("--model", "body.model"),
    Option("--models", "body.models_dir", "DIR"),
    Option("--gender", "body.gender"),
    Option("--focal-length", "camera.focal_length", "PIXELS"),
    Option("--calibration", "camera.calibration", "FILE"),
    Option("--max-persons", "people.max_persons", "N"),
    Option("--min-keypoints", "people.min_keypoints", "N"),
)
OUTPUT_OPTIONS = (
    Option("--output", "run.output", "DIR"),
    Option("--overwrite", "run.overwrite", value="true"),
    Option("--mesh-format", "output.mesh_format"),
    Option("--no-mesh", "output.mesh_format", value="none", help="write no meshes"),
    Option("--no-render", "output.render", value="false", help="draw no pictures"),
    Option("--no-report", "output.report", value="false", help="write no report page"),
    Option("--save-pkl", "output.save_pickle", value="true"),
    Option("--pack", "output.pack", value="true"),
    Option("--quiet", "run.quiet", value="true"),
    Option("--verbose", "run.verbose", value="true"),
    Option("--log-level", "run.log_level"),
)
COMPUTER_OPTIONS = (
    Option("--device", "run.device"),
    Option("--dtype", "run.dtype"),
    Option("--batch-size", "run.batch_size", "N|auto"),
    Option("--threads", "run.threads", "N"),
    Option("--workers", "run.workers", "N|auto"),
    Option("--num-shards", "run.num_shards", "N"),
    Option("--shard-index", "run.shard_index", "I"),
    Option("--shard", "run.shard"),
    Option("--executor", "run.executor"),
    Option("--ray-address", "run.ray_address", "ADDRESS"),
)
RUN_OPTIONS = (*FIT_OPTIONS, *OUTPUT_OPTIONS, *COMPUTER_OPTIONS)
#: Headings of the help.
_GROUPS = {
    "inputs": INPUT_OPTIONS,
    "sequences and several cameras": SEQUENCE_OPTIONS,
    "bodies and cameras": FIT_OPTIONS,
    "outputs and messages": OUTPUT_OPTIONS,
    "processors and clusters": COMPUTER_OPTIONS,
}


class HelpFormatter(argparse.HelpFormatter):
    """Help of :data:`HELP_WIDTH` columns; paragraphs with indented lines, such as examples, keep their lines."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=HELP_WIDTH)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(
            paragraph
            if re.search(r"^ ", paragraph, re.MULTILINE)
            else super(HelpFormatter, self)._fill_text(paragraph, width, indent)
            for paragraph in text.split("\n\n")
        )


def positive(text: str) -> int:
    """A whole number from 1, the type of arguments that count something."""
    return _whole(text, 1)


def natural(text: str) -> int:
    """A whole number from 0, the type of counts of things that may be left out, and of random seeds."""
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"expected a whole number from {least}, found {text!r}")
    return int(text)


def add_results(parser: argparse.ArgumentParser, photos: bool = False) -> None:
    """Give a command the output folder of a fit, the folder of body models, and maybe a choice of photos."""
    parser.add_argument("results", metavar="OUTPUT", type=Path, help="output folder of `fit`")
    if photos:
        parser.add_argument(
            "--photo", metavar="NAME", nargs="+", default=[], help="only these photos; * and ? stand for any text"
        )
    parser.add_argument("--models", metavar="DIR", type=Path, help="the only folder to take body models from")


def all_parsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """A parser and those of its commands, at every level."""
    found = [parser]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in dict.fromkeys(action.choices.values()):
                found += all_parsers(command)
    return found


#: Where a command line has the input in its documented spelling after it had the other one.
SECOND_INPUT = "second_input"


class _OtherSpelling(argparse.Action):
    """The input of a command in another spelling, which stands for the documented one."""

    def __init__(self, documented: argparse.Action, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._documented = documented

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        if getattr(namespace, self.dest, None) is None:
            setattr(namespace, self.dest, parser._get_value(self._documented, values))
            # A parser parses once. The documented spelling would overwrite this one without a word.
            self._documented.required, self._documented.dest = False, SECOND_INPUT
        else:  # a second one is as unknown as any other argument
            unknown = vars(namespace).setdefault(argparse._UNRECOGNIZED_ARGS_ATTR, [])
            unknown.append(str(values))


def accept_both(parser: argparse.ArgumentParser, flag: str) -> None:
    """Take the input of a command as the value of an option and as an argument without a name.

    Args:
        parser: of the command, which has one of the two.
        flag: the name of the option.
    """
    documented = parser._option_string_actions.get(flag)
    more: dict[str, Any] = {"action": _OtherSpelling, "help": argparse.SUPPRESS}
    if documented is not None:
        parser.add_argument(documented.dest, nargs="?", default=argparse.SUPPRESS, documented=documented, **more)
    else:
        documented = next(action for action in parser._actions if not action.option_strings)
        parser.add_argument(flag, dest=documented.dest, documented=documented, **more)


def add_options(parser: argparse.ArgumentParser, options: Sequence[Option]) -> None:
    """Give a command ``--config``, short options, and a closing list of all settings in its help."""
    leaves = {leaf.key: leaf for leaf in (*all_settings(), *leaves_of(RunOptions(), "run."))}
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="YAML file with settings, or a shipped one by name: fit_smplx (the default), fit_smplx_paper "
        "(or paper), fit_smplh, fit_smpl, fit_mano, fit_flame (the default with --model of that name)",
    )
    for title, group in _GROUPS.items():
        heading = parser.add_argument_group(title)  # without options it is not shown
        for option in options:
            if option in group:
                _add_option(heading, option, leaves[option.key])
    inputs = "--images DIR [--keypoints DIR] " if INPUT_OPTIONS[0] in options else ""
    parser.usage = f"%(prog)s {inputs}[--output DIR] [OPTION ...]"
    parser.epilog = settings_help()
    parser.set_defaults(options=tuple(options))


def _add_option(parser: argparse._ArgumentGroup, option: Option, leaf: Leaf) -> None:
    text = (option.help or leaf.rule.help).replace("%", "%%")
    dest = _destination(option)
    if option.value is not None:
        parser.add_argument(option.flag, dest=dest, action="store_const", const=option.value, help=text)
        return
    metavar = option.metavar or _choices(leaf.hint) or "VALUE"
    default = "" if leaf.default is None else f" (default: {leaf.default})"
    parser.add_argument(option.flag, dest=dest, metavar=metavar, help=text + default)


def _destination(option: Option) -> str:
    # An option with a value of its own may set the same key as another: --no-mesh and --mesh-format.
    return option.flag.lstrip("-").replace("-", "_")


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
    """Settings and arguments of a run: file, then short options, then dotted settings.

    Without a file, a body model is fitted with the shipped configuration that suits it.

    Raises:
        UsageError: a setting is wrong, the file is for a hand or a head and another model is asked for, or shards
            are counted without the number of this one.
    """
    short = []
    for option in arguments.options:
        text = getattr(arguments, _destination(option))
        if text is not None:
            short.append(Override(option.key, text, option.flag))
    overrides = [*short, *arguments.overrides]
    models = [one.value for one in overrides if one.key == "body.model"]
    file = arguments.config
    if file is not None and models:
        _check_model_of_file(models[-1], file)
    elif models and models[-1] in _MODELS_WITH_FILES:
        file = f"fit_{models[-1]}"
    config, run = load_run(file, overrides)
    keys = {one.key.replace("-", "_") for one in overrides}
    if run.num_shards > 1 and "run.num_shards" in keys and not keys & {"run.shard_index", "run.shard"}:
        last = run.num_shards - 1
        raise UsageError(f"--num-shards {run.num_shards}: expected with --shard-index 0 to {last}, or --shard auto")
    return config, run


def _check_model_of_file(model: str, file: str) -> None:
    """Refuse stages for a hand or a head with another model, as they lack most of its terms."""
    own = read_file(find_config(file))[0].body.model
    if own in _PARTS and model != own:
        raise UsageError(f"--config {file}: has settings for {own}, not for {model}; use fit_{model}")


def settings_help() -> str:
    """All settings with values, default and help, by section."""
    lines = [_SETTINGS_INTRO]
    section = None
    for leaf in all_settings():
        name = leaf.key.split(".")[0]
        if name != section:
            section = name
            lines += ["", *textwrap.wrap(f"{name}: {rule_of(Config, name).help}", HELP_WIDTH - 2, initial_indent="  ",
                                         subsequent_indent="    ")]  # fmt: skip
        call = textwrap.wrap(f"--{leaf.key} {_values(leaf.hint)} [{_default(leaf)}]", HELP_WIDTH - 4,
                             initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False)  # fmt: skip
        text = textwrap.wrap(leaf.rule.help, HELP_WIDTH - 8, initial_indent=" " * 8, subsequent_indent=" " * 8,
                             break_on_hyphens=False)  # fmt: skip
        lines += [*call, *text]
    return "\n".join(lines)


def _values(hint: Any) -> str:
    """The values of a type hint in a few capitals, or its choices."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return "|".join(map(str, arguments))
    if origin in (Union, types.UnionType):
        return "|".join(_values(argument) for argument in arguments)
    if origin is tuple:
        item = _values(arguments[0])
        return f"{item},..." if arguments[-1] is Ellipsis else ",".join([item] * len(arguments))
    return {bool: "true|false", int: "N", float: "X", str: "NAME", Path: "PATH", type(None): "null"}[hint]


def _default(leaf: Leaf) -> str:
    if not leaf.key.startswith("stages.N."):
        return _brief(leaf.default)
    name = leaf.key.rsplit(".", 1)[-1]
    values = [_brief(getattr(stage, name)) for stage in Config().stages]
    return values[0] if len(set(values)) == 1 else " | ".join(values)


def _brief(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_brief, value)) if value and isinstance(value[0], str) else ",".join(map(_brief, value))
    if isinstance(value, float):
        return f"{value:g}"
    return shown(value)
