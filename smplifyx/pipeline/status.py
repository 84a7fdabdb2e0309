"""The state of an output folder: finished and remaining work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from numpy.typing import NDArray

from smplifyx.camera import Camera, read_calibration
from smplifyx.config import Config, RunOptions, load_recorded, to_yaml
from smplifyx.errors import UsageError
from smplifyx.files import write_text
from smplifyx.keypoints.folder import keypoint_path
from smplifyx.output import OutputLayout
from smplifyx.pipeline.digests import context_digest, file_stamp, settings_digest
from smplifyx.pipeline.journal import SETTINGS, PhotoRecord, may_be_running, read_logs, read_manifests
from smplifyx.pipeline.reading import Photo, PhotoReader
from smplifyx.pipeline.shards import shards_of
from smplifyx.pipeline.units import Failure, Job, Unit
from smplifyx.pipeline.worklist import Finished, judge_sample, list_work, unfinished

#: The settings of a run of another version, as this version has them.
_UPDATED = "config_updated.yaml"


@dataclass
class Status:
    """Counts and names of an output folder.

    Attributes:
        settings: the file with the settings of the latest run.
        n_runs, n_without_end, n_going_on: runs, those without an end, and those of them that were not killed.
        n_photos, n_done: photos of the input, and those of which nothing is left to do.
        n_people: people of the photos that are done.
        n_other_settings: people whose result was fitted with other settings.
        n_shards: number of shards of the latest run.
        open_shards: those of them that have something left to do.
        failed: failures of photos that the last run over them left.
        missing: people without a result, and photos that were not begun.
        damaged: people whose result cannot be read.
        changed: people whose keypoints or photo have changed since.
        outdated: people with a result who are not in the photo any more.
        incomplete: people who lack a mesh, picture or pickle.
        left_out: recorded settings that this version does not have or refuses.
    """

    settings: Path
    n_runs: int = 0
    n_without_end: int = 0
    n_going_on: int = 0
    n_photos: int = 0
    n_done: int = 0
    n_people: int = 0
    n_other_settings: int = 0
    n_shards: int = 1
    open_shards: set[int] = field(default_factory=set)
    failed: list[Failure] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    outdated: list[str] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def is_finished(self) -> bool:
        """Nothing is left to do, except failures that would come again."""
        return not self.open_shards


def last_settings(layout: OutputLayout) -> tuple[Path, Config, RunOptions, list[str]]:
    """File, settings and arguments of the last run, and the names of recorded settings that this version lacks.

    Raises:
        UsageError: the folder has no record of a run.
    """
    runs = list(read_manifests(layout))
    if not runs:
        raise UsageError(f"{layout.root} holds no record of a run; expected an output folder of `smplifyx fit`")
    path = layout.runs_path / runs[-1][0] / SETTINGS
    return path, *load_recorded(path)


def read_status(root: Path) -> Status:
    """Read the state of an output folder; photos are not decoded, and those that are finished not opened.

    Raises:
        UsageError: the folder has no record of a run, or the inputs are gone.
    """
    layout = OutputLayout(root)
    settings, config, run, left_out = last_settings(layout)
    runs = list(read_manifests(layout))
    manifest = runs[-1][1]
    if left_out:  # the command that finishes the rest needs settings that this version has
        settings = settings.with_name(_UPDATED)
        write_text(settings, to_yaml(config, run))
    run = replace(run, output=root.absolute())
    path = config.camera.calibration
    calibration: dict[str, Camera] = {} if path is None else read_calibration(path)
    work, pairs = list_work(run, calibration)
    judgement = judge_sample(pairs, config, run)
    job = Job(config, run, judgement, settings_digest(config, run))
    shard = manifest.get("shard")
    status = Status(settings, len(runs), n_photos=work.n_photos, left_out=left_out)
    status.n_without_end = sum(one.get("ended") is None for _, one in runs)
    status.n_going_on = sum(may_be_running(layout.runs_path / name, one) for name, one in runs)
    if isinstance(shard, list) and len(shard) == 2 and isinstance(shard[1], int):
        status.n_shards = max(1, shard[1])
    records, failures = read_logs(layout)
    status.failed.extend(work.failures)
    shards = shards_of(work.units, status.n_shards)
    shard_of = {unit.stem: shard for unit, shard in zip(work.units, shards, strict=True)}
    context = context_digest(config, run, judgement)
    reader = PhotoReader(job, "cpu", _detect_nobody)
    for unit in _open_units(status, work.units, job, context, records):
        has_results = bool(unit.packed) or layout.results_of(unit.stem).is_dir()
        if failed := failures.get(unit.stem):
            status.failed.extend(failed)
            if not _has_changed_since(unit, layout, failed[-1].time):
                continue  # it would fail again
        elif not has_results:
            status.missing.append(unit.stem)
        elif _is_done(status, reader.inspect(unit)):
            status.n_done += 1
            continue
        status.open_shards.add(shard_of[unit.stem])
    return status


def _open_units(
    status: Status, units: list[Unit], job: Job, context: str, records: dict[str, PhotoRecord]
) -> Iterator[Unit]:
    """The photos that have no record of their end, or whose files have changed since."""
    finished = Finished()
    yield from unfinished(units, job, context, records, finished)
    status.n_done += finished.n_photos
    status.n_people += finished.n_people
    status.n_other_settings += finished.n_other_settings


def _has_changed_since(unit: Unit, layout: OutputLayout, time: float) -> bool:
    """Whether the photo or its keypoint file is newer than a time, which the log has in whole seconds."""
    stamps = (file_stamp(unit.image), file_stamp(unit.keypoints or keypoint_path(unit.image, layout.keypoints_path)))
    return any(stamp is not None and stamp[1] >= (time + 1) * 1e9 for stamp in stamps)


def _is_done(status: Status, photo: Photo) -> bool:
    """Whether nothing is left to do of a photo; counts and names its people."""
    status.n_other_settings += len(photo.outcome.other_settings)
    status.n_people += len(photo.outcome.kept)
    for one in photo.people:
        if one.name in photo.outcome.changed:
            status.changed.append(one.observation.name)
        elif one.is_damaged:
            status.damaged.append(one.observation.name)
        elif one.is_new:
            status.missing.append(one.observation.name)
        elif one.missing or photo.draws_overlay:
            status.incomplete.append(one.observation.name)
    status.failed.extend(photo.outcome.failures)
    status.outdated.extend(f"{stem}, person {number}" for stem, number, _ in photo.outdated)
    lacks_files = photo.draws_overlay or any(one.missing for one in photo.people)
    return not photo.new_people and not photo.outdated and not lacks_files and not photo.outcome.failures


def _detect_nobody(photo: NDArray, path: Path, digest: str) -> None:
    raise UsageError("people are not detected to tell a state")


def as_ranges(numbers: set[int]) -> str:
    """Numbers as the ``--array`` option of Slurm takes them: ``0-2,5``."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)
