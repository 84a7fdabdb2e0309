"""The record of each run: a manifest, and a log of JSON lines that later runs look finished photos up in.

Each run writes into a folder of its own, ``OUTPUT/runs/NAME``, so that runs on many machines need no lock.
"""

from __future__ import annotations

import calendar
import json
import math
import os
import platform
import socket
import time
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import smplifyx
from smplifyx.camera import Camera
from smplifyx.config import Config, RunOptions, to_yaml
from smplifyx.errors import UsageError
from smplifyx.files import name_of_now, output_to, write_text
from smplifyx.locks import is_abandoned, lock
from smplifyx.output.layout import OutputLayout, person_name
from smplifyx.output.summary import SummaryRow
from smplifyx.pipeline.shards import for_all_shards
from smplifyx.pipeline.units import Failure, Outcome

MANIFEST, LOG, SETTINGS = "manifest.json", "log.jsonl", "config.yaml"
#: Columns of the summary in a line about a person.
_FIGURES = ("status", "gender", "loss", "reprojection_error_px", "seconds", "flags")

_TIME = "%Y-%m-%dT%H:%M:%SZ"

#: Seconds without a change after which a run of another machine that has no end was surely killed.
_SILENT = 3600.0

Stamp = tuple[int, int]


@dataclass(frozen=True)
class PhotoRecord:
    """Entry of the log about a photo that a run finished.

    Attributes:
        stem: name of the photo.
        people: names of the files of its people.
        photo, keypoints: size and time of change of the files that were read; None where there was none.
        camera: focal lengths and principal point of the calibration, if it has the photo.
        settings: hashes of the settings of its results, with the number of people each.
        context: see :func:`~smplifyx.pipeline.digests.context_digest`.
    """

    stem: str
    people: tuple[str, ...]
    photo: Stamp | None
    keypoints: Stamp | None
    camera: list[float] | None = None
    settings: dict[str, int] = field(default_factory=dict)
    context: str = ""

    def others(self, settings_digest: str) -> int:
        """Number of people who were fitted with other settings."""
        return sum(count for name, count in self.settings.items() if name != settings_digest)


class Journal:
    """Manifest and log of one run.

    Args:
        layout: of the output folder.
        config: the settings.
        run: the arguments of the run.
        settings_digest: hash of the decisive settings.
        context: hash of the settings that choose the people of a photo.
    """

    def __init__(
        self, layout: OutputLayout, config: Config, run: RunOptions, settings_digest: str, context: str
    ) -> None:
        self.name = f"{name_of_now()}-{run.shard_index}of{run.num_shards}"
        self.folder = layout.runs_path / self.name
        self._digest, self._level = settings_digest, run.log_level
        self._manifest: dict[str, Any] = {
            "version": smplifyx.__version__,
            "host": socket.gethostname(),
            "process": os.getpid(),
            "python": platform.python_version(),
            "images": _text(run.images),
            "keypoints": _text(run.keypoints),
            "shard": [run.shard_index, run.num_shards],
            "settings_digest": settings_digest,
            "started": _now(),
            "ended": None,
        }
        with output_to(self.folder):
            self._begin(config, run, context)

    def _begin(self, config: Config, run: RunOptions, context: str) -> None:
        self.folder.mkdir(parents=True)
        write_text(self.folder / SETTINGS, to_yaml(config, for_all_shards(run)))
        self._log = (self.folder / LOG).open("a", encoding="utf-8")
        lock(self._log)  # shows that the run goes on; before the manifest, since who reads that tries the lock
        self._write_manifest()
        shard = [run.shard_index, run.num_shards]
        about = {"settings": self._digest, "context": context, "shard": shard, "overwrite": run.overwrite}
        self._line("start", about)

    def record(self, outcome: Outcome) -> None:
        """Log a photo: its people, its failures, and that it is finished; raises OutputError for a full disk."""
        with output_to(self.folder / LOG):
            self._record(outcome)
            self._log.flush()

    def _record(self, outcome: Outcome) -> None:
        for row in outcome.rows if self._level != "error" else ():
            self._line("person", {"stem": row.stem, "person": person_name(row.person, row.side)} | _figures(row))
        if self._level == "debug":
            skipped = [f"{one.path}, person {one.person_index}: {one.reason}" for one in outcome.skipped]
            for text in (*outcome.notes, *skipped, *outcome.details):
                self._line("note", {"stem": outcome.unit.stem, "text": text})
        for failure in outcome.failures:
            self.fail(failure, outcome.unit.stem)
        if outcome.is_complete and not outcome.failures:
            others = Counter(outcome.other_settings.values())
            settings = {self._digest: len(outcome.people) - others.total()} | others
            self._line(
                "photo",
                {
                    "stem": outcome.unit.stem,
                    "people": outcome.people,
                    "photo": outcome.photo_stamp,
                    "keypoints": outcome.keypoint_stamp,
                    "camera": camera_figures(outcome.unit.camera),
                    "settings": {name: count for name, count in settings.items() if count},
                },
            )

    def fail(self, failure: Failure, stem: str = "") -> None:
        """Log a failure, with the name of the photo if it is known."""
        self._line("failure", {"stem": stem, "name": failure.name, "reason": failure.reason})

    def close(self, status: str, counts: dict[str, int]) -> None:
        """Write the end.

        Args:
            status: ``done``, ``stopped`` or ``error``.
            counts: figures of the run.

        Raises:
            OutputError: the disk is full.
        """
        with output_to(self.folder):
            self._line("end", {"status": status} | counts)
            self._log.close()
            self._manifest |= {"ended": _now(), "status": status} | counts
            self._write_manifest()

    def _line(self, event: str, values: dict[str, Any]) -> None:
        self._log.write(json.dumps({"event": event, "time": _now()} | values) + "\n")

    def _write_manifest(self) -> None:
        write_text(self.folder / MANIFEST, json.dumps(self._manifest, indent=1) + "\n")


def read_manifests(layout: OutputLayout) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and manifest of each run of an output folder, by time; damaged ones are left out."""
    for path in sorted(layout.runs_path.glob(f"*/{MANIFEST}")):
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(manifest, dict) and isinstance(manifest.get("started"), str):
            yield path.parent.name, manifest


def check_no_run(layout: OutputLayout) -> None:
    """Refuse to change an output folder into which a run may be writing.

    Raises:
        UsageError: a run without an end holds its log or, on another machine, has written in the last hour.
    """
    for name, manifest in read_manifests(layout):
        if may_be_running(layout.runs_path / name, manifest):
            raise UsageError(
                f"{layout.runs_path / name} is a run on {manifest.get('host')} without an end: expected that nothing "
                f"writes into the folder; try again when it has ended, or, if it was killed, {_SILENT / 60:.0f} "
                "minutes after it last wrote"
            )


def may_be_running(folder: Path, manifest: dict[str, Any]) -> bool:
    """Whether a run, with this folder and manifest, goes on; of another machine, whether it has lately written."""
    if manifest.get("ended") is not None:
        return False
    path = folder / LOG
    try:
        if not os.access(path, os.R_OK):  # of another user: its time can be read
            return time.time() - path.stat().st_mtime <= _SILENT
        # Some network file systems only lock files that can be written.
        with path.open("r+b" if os.access(path, os.W_OK) else "rb") as stream:
            return not is_abandoned(stream, manifest.get("host") == socket.gethostname(), _SILENT)
    except FileNotFoundError:
        return False


def finished_photos(layout: OutputLayout, stems: Collection[str] | None = None) -> dict[str, PhotoRecord]:
    """The photos that the logs of an output folder call finished, by stem; see :func:`read_logs`."""
    return read_logs(layout, stems)[0]


def read_logs(
    layout: OutputLayout, stems: Collection[str] | None = None
) -> tuple[dict[str, PhotoRecord], dict[str, list[Failure]]]:
    """Photos that are finished, and the failures of those that are not, by stem; the last record of a photo counts.

    With ``stems``, those of other photos are left out, such as those of other shards.

    Lines that are damaged, as a killed run leaves its last one, are left out: the log saves reading, it is no proof.
    """
    latest: dict[str, tuple[float, PhotoRecord | list[Failure]]] = {}

    def remember(stem: str, when: float, record: PhotoRecord | list[Failure]) -> None:
        # By time of the line: runs overlap.
        if (stems is None or stem in stems) and (stem not in latest or latest[stem][0] <= when):
            latest[stem] = when, record

    for path in sorted(layout.runs_path.glob(f"*/{LOG}")):
        context = ""
        failed_now: dict[str, list[Failure]] = {}
        for line in read_lines(path):
            if line.get("event") == "start":
                context = str(line.get("context", ""))
            elif line.get("event") == "failure" and line.get("stem"):
                failure = Failure(str(line.get("name", "")), str(line.get("reason", "")), _seconds(line))
                failed_now.setdefault(str(line["stem"]), []).append(failure)
            elif line.get("event") == "photo" and (record := _record(line, context)) is not None:
                remember(record.stem, _seconds(line), record)
        for stem, failures in failed_now.items():
            remember(stem, failures[-1].time, failures)
    found = {stem: record for stem, (_, record) in latest.items() if isinstance(record, PhotoRecord)}
    return found, {stem: record for stem, (_, record) in latest.items() if isinstance(record, list)}


def overwritten_photos(layout: OutputLayout, run: RunOptions, settings_digest: str, context: str) -> set[str]:
    """Photos that runs of the same shard with ``overwrite`` have finished since the last one that came to its end.

    A run that was stopped or killed so goes on where it was, instead of from the start.
    """
    own = {"overwrite": True, "shard": [run.shard_index, run.num_shards]}
    own |= {"settings": settings_digest, "context": context}
    stems: set[str] = set()
    for path in sorted(layout.runs_path.glob(f"*/{LOG}")):
        for line in read_lines(path):
            event = line.get("event")
            if event == "start" and any(line.get(name) != value for name, value in own.items()):
                break
            if event == "photo":
                stems.add(str(line.get("stem")))
            elif event == "end" and line.get("status") == "done":
                stems.clear()
    return stems


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a log, without the damaged ones."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            for line in stream:
                try:
                    values = json.loads(line)
                except (ValueError, RecursionError):
                    continue
                if isinstance(values, dict):
                    yield values
    except OSError:
        return


def camera_figures(camera: Camera | None) -> list[float] | None:
    """Focal lengths, principal point and distortion of a calibrated camera, for the log."""
    return (
        None if camera is None else [*map(float, camera.focal_length), *map(float, camera.center), *camera.distortion]
    )


def _record(line: dict[str, Any], context: str) -> PhotoRecord | None:
    try:
        people = line["people"]
        settings = {str(name): int(count) for name, count in line["settings"].items()}
        if not isinstance(line["stem"], str) or not all(isinstance(one, str) for one in people):
            return None
        stamps = _stamp(line["photo"]), _stamp(line["keypoints"])
        return PhotoRecord(line["stem"], tuple(people), *stamps, line.get("camera"), settings, context)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _seconds(line: dict[str, Any]) -> float:
    """The time of a line in seconds since 1970; 0 if it has none."""
    try:
        return float(calendar.timegm(time.strptime(line["time"], _TIME)))
    except (KeyError, TypeError, ValueError):
        return 0.0


def _stamp(value: Any) -> Stamp | None:
    if value is None:
        return None
    size, changed = value
    return int(size), int(changed)


def _figures(row: SummaryRow) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in _FIGURES}
    return {name: None if isinstance(value, float) and not math.isfinite(value) else _rounded(value)
            for name, value in values.items()}  # fmt: skip


def _rounded(value: Any) -> Any:
    return float(f"{value:.7g}") if isinstance(value, float) else value


def _now() -> str:
    return time.strftime(_TIME, time.gmtime())


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
