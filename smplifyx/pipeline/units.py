"""Messages to a worker and back: a photo, the job that all photos share, and the record of the work done.

All of them can be pickled, so that they travel between processes and machines.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smplifyx.camera import Camera
from smplifyx.config import Config, RunOptions
from smplifyx.gender import GenderDecision
from smplifyx.keypoints.loading import Judgement, Skipped
from smplifyx.lens import undistorted_picture
from smplifyx.output.summary import SummaryRow
from smplifyx.packs import Sample


@dataclass(frozen=True)
class Unit:
    """A photo, the smallest piece of work.

    Attributes:
        stem: name of the output folders; unique in a run.
        image: the photo.
        keypoints: its keypoint file; None: people are detected.
        is_shared: the keypoint file is about several photos, so that a worker keeps it in memory.
        camera: from the calibration, if it has one for this photo.
        packed: its files that earlier runs have packed.
    """

    stem: str
    image: Path
    keypoints: Path | None
    is_shared: bool = False
    camera: Camera | None = None
    packed: tuple[Sample, ...] = ()

    def undistorted(self, picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
        """The photo [H, W, 3], at its full size (width, height) or shrunk, without the distortion of its lens."""
        if self.camera is None or not self.camera.distortion:
            return picture
        return undistorted_picture(picture, self.camera.for_image(size), self.camera.distortion)


@dataclass(frozen=True)
class Job:
    """Everything that the units of a run share.

    Attributes:
        config: the settings; paths are absolute.
        run: the arguments of the run; paths are absolute. A worker uses ``output``, ``device``, ``dtype``,
            ``batch_size``, ``threads``, ``layout``, ``keypoint_frame``, ``keypoint_scale``, ``overwrite``.
        judgement: findings from a sample of the folder about its keypoints; the same for all shards.
        settings_digest: hash of the settings that decide a fit; stored with each result.
    """

    config: Config
    run: RunOptions
    judgement: Judgement = field(default_factory=Judgement)
    settings_digest: str = ""


@dataclass(frozen=True)
class Failure:
    """An input or a person that failed: its name (a file, or ``STEM, person N``) and the reason.

    One that is read from a log has the time of its entry, seconds since 1970.
    """

    name: str
    reason: str
    time: float = field(default=0.0, compare=False)

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class Outcome:
    """The record of a unit, for the summary and the log.

    Attributes:
        unit: the photo.
        people: file names, without ending, of the people who are to have a result: ``000``, ``001_left``.
        rows: a row for each person that was fitted now, the failed ones included.
        kept: people whose earlier result is kept.
        other_settings: those of them who were fitted with other settings, and the hash of these settings.
        changed: people who were fitted again because keypoints, camera, label or photo had changed.
        outdated: people who are not in the photo any more, and whose files were put aside.
        remade: people whose missing mesh, picture or pickle was made from the stored result.
        decisions: about the genders of the people who were fitted.
        failures: inputs and people that failed.
        skipped: people and files that were left out on purpose.
        notes: remarks on the input for ``--verbose``.
        flags: short names of changes and doubts in the keypoints, one entry a person and flag.
        kinds: number of keypoint files of each format and layout.
        unused_keypoints: by part of the body that the model lacks, the numbers of keypoints seen of it and of people.
        details: for ``--verbose``: losses of each person's stages.
        photo_stamp, keypoint_stamp: size and time of change of the files before they were read.
        remarks: of the worker on the whole job so far: settings without effect, a slower renderer.
        is_complete: False if the run was stopped before all people of the photo were done.
    """

    unit: Unit
    people: tuple[str, ...] = ()
    rows: tuple[SummaryRow, ...] = ()
    kept: tuple[str, ...] = ()
    other_settings: dict[str, str] = field(default_factory=dict)
    changed: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()
    remade: tuple[str, ...] = ()
    decisions: tuple[GenderDecision, ...] = ()
    failures: tuple[Failure, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    kinds: dict[tuple[str, str], int] = field(default_factory=dict)
    unused_keypoints: dict[str, tuple[int, int]] = field(default_factory=dict)
    details: tuple[str, ...] = ()
    photo_stamp: tuple[int, int] | None = None
    keypoint_stamp: tuple[int, int] | None = None
    remarks: tuple[str, ...] = ()
    is_complete: bool = True

    @property
    def n_fitted(self) -> int:
        """People who were fitted and written."""
        return sum(row.status == "ok" for row in self.rows)
