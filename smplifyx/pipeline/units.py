"""What goes to a worker and comes back: a photo, the job that all photos share, and the record of what was done.

All of them can be pickled, so that they travel between processes and machines.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from smplifyx.config import Config, RunOptions
from smplifyx.keypoints.loading import Judgement, Skipped
from smplifyx.output.summary import SummaryRow


@dataclass(frozen=True)
class Unit:
    """A photo, the smallest piece of work.

    Attributes:
        stem: name of the output folders; unique in a run.
        image: the photo.
        keypoints: its keypoint file; None: people are detected.
        is_shared: the keypoint file is about several photos, so that a worker keeps it in memory.
    """

    stem: str
    image: Path
    keypoints: Path | None
    is_shared: bool = False


@dataclass(frozen=True)
class Job:
    """Everything that the units of a run share.

    Attributes:
        config: the settings; paths are absolute.
        run: the arguments of the run; paths are absolute. A worker uses ``output``, ``device``, ``dtype``,
            ``batch_size``, ``threads``, ``layout``, ``keypoint_frame``, ``keypoint_scale`` and ``overwrite``.
        judgement: what a sample of the whole folder told about its keypoints; the same for all shards.
        settings_digest: hash of the settings that decide a fit; stored with each result.
    """

    config: Config
    run: RunOptions
    judgement: Judgement = field(default_factory=Judgement)
    settings_digest: str = ""


@dataclass(frozen=True)
class Failure:
    """An input or a person that failed: its name (a file, or ``STEM, person N``) and the reason."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class Outcome:
    """The record of a unit, for the summary and the log.

    Attributes:
        unit: the photo.
        rows: a row for each person that was fitted now, the failed ones included.
        n_people: people of the photo that are to have a result.
        n_kept: those whose earlier result is kept.
        n_other_settings: kept results that were fitted with other settings.
        n_changed: people who were fitted again because keypoints or photo had changed.
        n_remade: people whose missing mesh, picture or pickle was made from the stored result.
        failures: inputs and people that failed.
        skipped: people and files that were left out on purpose.
        notes: remarks for ``--verbose``.
        flags: short names of what was changed or is doubtful in the keypoints, one entry a person and flag.
        kind: format and layout of the keypoint file; None without people.
        unused_keypoints: by part of the body that the model lacks, the keypoints seen of it, one number a person.
        is_complete: False if the run was stopped before all people of the photo were done.
    """

    unit: Unit
    rows: tuple[SummaryRow, ...] = ()
    n_people: int = 0
    n_kept: int = 0
    n_other_settings: int = 0
    n_changed: int = 0
    n_remade: int = 0
    failures: tuple[Failure, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    kind: tuple[str, str] | None = None
    unused_keypoints: dict[str, tuple[int, ...]] = field(default_factory=dict)
    is_complete: bool = True

    @property
    def n_fitted(self) -> int:
        """People who were fitted and written."""
        return sum(row.status == "ok" for row in self.rows)
