"""``smplifyx status``: the state of an output folder, and the command that finishes the rest."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from smplifyx.cli import messages
from smplifyx.config import Config, RunOptions

_DESCRIPTION = """Tell what is done, failed, missing, damaged, fitted with other settings or from inputs that have
changed since in the output folder of `smplifyx fit`, also of several shards; complete and sort its
summary.csv; print the command that finishes the rest.

example:
  smplifyx status output

exit status: 0 nothing is left to do but inputs that failed and have not changed, 1 something is."""
#: Names that are printed of each kind without --verbose.
_SHOWN = 10


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "status", help="state of an output folder, and the command that finishes the rest", description=_DESCRIPTION
    )
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="output folder of smplifyx fit")
    parser.add_argument("--verbose", action="store_true", help="print all names")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the state of a folder; returns the exit status."""
    from smplifyx.output import OutputLayout
    from smplifyx.pipeline.status import as_ranges, last_settings, read_status
    from smplifyx.pipeline.summary import SummaryTable

    messages.check_input(arguments.output, "OUTPUT")
    settings, config, run, left_out = last_settings(OutputLayout(arguments.output))
    if run.fits_clips:
        messages.note_left_out(left_out)
        return _say_clips(settings, config, replace(run, output=arguments.output.absolute()), arguments)
    status = read_status(arguments.output)
    table = SummaryTable(OutputLayout(arguments.output))
    table.close()
    messages.note_left_out(status.left_out)
    if table.restored is not None:
        messages.note(table.restored)
    for problem in table.problems:
        messages.note(f"failed: {problem}")
    n_killed = status.n_without_end - status.n_going_on
    messages.say(f"runs:    {status.n_runs}; {status.n_going_on} of them going on, {n_killed} killed")
    messages.say(f"photos:  {status.n_done} of {status.n_photos} are done")
    messages.say(f"people:  {status.n_people} have results, {status.n_other_settings} of them with other settings")
    _say_names("failed", [str(one) for one in status.failed], arguments.verbose)
    _say_names("missing", status.missing, arguments.verbose)
    _say_names("damaged", status.damaged, arguments.verbose)
    _say_names("keypoints or photo changed", status.changed, arguments.verbose)
    _say_names("not in the photo any more", status.outdated, arguments.verbose)
    _say_names("mesh or picture missing", status.incomplete, arguments.verbose)
    if status.is_finished:
        return 0
    command = messages.command("fit", "--config", status.settings, "--output", arguments.output)
    messages.say(f"to finish the rest:\n  {command}")
    if status.n_shards > 1:
        shards = as_ranges(status.open_shards)
        command += f" --num-shards {status.n_shards} --shard auto"
        messages.say(f"or as a job array, with --array={shards}:\n  {command}")
    return 1


def _say_clips(settings: Path, config: Config, run: RunOptions, arguments: argparse.Namespace) -> int:
    """Print the state of sequences; returns the exit status."""
    from smplifyx.clips.plan import plan_clips
    from smplifyx.clips.state import is_finished
    from smplifyx.clips.video import FramesMissingError
    from smplifyx.pipeline.digests import settings_digest
    from smplifyx.pipeline.units import Job

    try:
        plan = plan_clips(run, writes_frames=False)
    except FramesMissingError as error:
        messages.say(f"clips:   none is done: {error}")
    else:
        job = Job(config, plan.run, settings_digest=settings_digest(config, plan.run))
        missing = [clip.name or "the clip" for clip in plan.clips if not is_finished(clip, job, plan.rig)]
        messages.say(f"clips:   {len(plan.clips) - len(missing)} of {len(plan.clips)} are done")
        _say_names("missing, failed or changed", missing, arguments.verbose)
        if not missing:
            return 0
    command = messages.command("fit", "--config", settings, "--output", arguments.output)
    messages.say(f"to finish the rest:\n  {command}")
    return 1


def _say_names(kind: str, names: Sequence[str], verbose: bool) -> None:
    if not names:
        return
    messages.say(f"{kind}: {len(names)}")
    shown = names if verbose else names[:_SHOWN]
    for name in shown:
        messages.say(f"  {name}")
    if len(shown) < len(names):
        messages.say("  ... (--verbose prints all)")
