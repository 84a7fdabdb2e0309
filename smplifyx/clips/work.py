"""Fits of clips: from their files to results, pictures and files of tracks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from smplifyx.calibration import CameraRig
from smplifyx.camera import Camera
from smplifyx.clips.files import DEFAULT_FPS, ClipFiles, save_report
from smplifyx.clips.genders import gender_of_track
from smplifyx.clips.listing import Clip
from smplifyx.clips.reading import read_clip
from smplifyx.clips.state import check_results, clip_digest
from smplifyx.clips.writing import ClipWriter, FittedClip
from smplifyx.errors import InputError, reason
from smplifyx.files import output_to
from smplifyx.gender import GenderDecision, given
from smplifyx.keypoints import Observation, read_image
from smplifyx.lens import undistorted_picture
from smplifyx.output import OutputLayout
from smplifyx.output.layout import person_name
from smplifyx.pipeline.choices import gender_chooser, given_gender
from smplifyx.pipeline.fits import BatchFitter, StopRequested
from smplifyx.pipeline.units import Failure, Job, Outcome
from smplifyx.pipeline.writing import OpenRenderer
from smplifyx.sequence import SequenceFitter, TrackFit
from smplifyx.tracking import Track, TrackingOptions, TrackSummary, View, find_tracks, summary_of
from smplifyx.words import count

#: Frames from which the start of a fit is announced, as it takes long.
_MANY_FRAMES = 30
#: Seconds at the ends of a track, all observations rejected, that are kept.
_LONGEST_END = 0.2
#: Frames for which a person may be missing at any frame rate.
_LEAST_GAP = 3


@dataclass
class ClipOutcome:
    """The result of work on a clip.

    Attributes:
        clip: the clip.
        summaries: lines about its tracks.
        fits: the fitted tracks.
        failures: those of the clip, besides single photos.
        notes: remarks for the user.
    """

    clip: Clip
    summaries: list[TrackSummary] = field(default_factory=list)
    fits: list[TrackFit] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class ClipWorker:
    """Worker on the clips of a job.

    Args:
        job: the job.
        rig: the calibrated cameras; None for photos of one camera.
        calibration: cameras by photo, without ``rig``.
        device: where to compute.
        is_stopped: asked between tracks and photos.
        open_renderer: opens the renderer of the pictures; None for one in this process.
        tell: called with a line about a clip before its fit, which may take long.
    """

    def __init__(
        self,
        job: Job,
        rig: CameraRig | None,
        calibration: Mapping[str, Camera],
        device: torch.device,
        is_stopped: Callable[[], bool] = lambda: False,
        open_renderer: OpenRenderer | None = None,
        tell: Callable[[str], object] = lambda line: None,
    ) -> None:
        self._tell = tell
        self._job, self._rig, self._calibration, self._is_stopped = job, rig, calibration, is_stopped
        self._layout = OutputLayout.of(job.run.output, job.config.output)
        self._fits = BatchFitter(job.config, job.run, device, is_stopped)
        self._writer = ClipWriter(job, rig, self._fits, is_stopped, open_renderer)
        self._given = given_gender(job.config)
        self._chooser = gender_chooser(job.config, device) if self._given is None else None
        self._fitters: dict[str, SequenceFitter] = {}
        #: Nothing but a fit is under way, which a signal may give up at any point.
        self.is_fitting = False

    @property
    def _fps(self) -> float:
        return self._job.run.fps or DEFAULT_FPS

    def run(self, clip: Clip, outcome: ClipOutcome) -> Iterator[Outcome]:
        """Fit a clip; yields the record of each photo that is written, and fills in the outcome.

        Raises:
            StopRequested: the run is to end; photos that are written stay.
            UsageError: a body model or prior is missing or damaged.
            OutputError: the disk is full.
        """
        digest = clip_digest(clip, self._job, self._rig)
        without = sum(shot.keypoints is None for shot in clip.all_shots())
        if without:
            photos = count(len(clip.all_shots()), "photo", "photos")
            outcome.notes.append(f"no keypoint file for {without} of {photos}: taken as without people")
        try:
            if not self._job.run.overwrite:
                check_results(clip, self._layout)
            people = read_clip(clip, self._job.config, self._job.run, self._calibration)
        except InputError as error:
            outcome.failures.append(Failure(clip.name or str(error.path or "photos"), str(error)))
            return
        outcome.failures += [Failure(str(one.path), one.problem) for one in people.loaded.failures]
        outcome.notes += people.loaded.notes
        tracks, outcome.summaries = find_tracks(people.frames, people.views, self._fps, self._tracking_options(clip))
        decisions = {track.number: self._gender(track, people.views) for track in tracks}
        if len(clip.shots) >= _MANY_FRAMES:
            lengths = ", ".join(str(len(track)) for track in tracks) or "no"
            frames = count(len(clip.shots), "frame", "frames")
            self._tell(_about(clip, f"{frames}; fitting tracks of {lengths} frames"))
        outcome.fits = self._fitted(tracks, decisions, outcome)
        written: list[Path] = []
        has_failed = bool(outcome.failures)
        fitted = FittedClip(clip, people.views, outcome.fits, decisions)
        for record in self._writer.write_photos(fitted, digest):
            written += [self._layout.result_path(record.unit.stem, int(name)) for name in record.people]
            has_failed = has_failed or bool(record.failures)
            yield record
        files = ClipFiles.of(self._layout.root, clip.name)
        with output_to(files.folder):
            save_report(outcome.summaries, outcome.fits, files.report)
            paths, notes = self._writer.write_tracks(fitted, files)
            outcome.notes += notes
            if not has_failed:
                files.finish(digest, [*written, files.report, *paths])

    def _tracking_options(self, clip: Clip) -> TrackingOptions:
        run, people = self._job.run, self._job.config.people
        return TrackingOptions(
            max_gap=max(_LEAST_GAP, round(run.max_gap * self._fps)),
            min_frames=run.min_frames,
            min_keypoints=people.min_keypoints,
            min_views=run.min_views,
            max_people=people.max_persons,
        )

    def _gender(self, track: Track, views: Sequence[View]) -> GenderDecision:
        if self._chooser is None:
            return given(self._given or "neutral")

        lens = {id(one): view for row in track.observations for one, view in zip(row, views, strict=True)}

        def read(one: Observation) -> NDArray[np.uint8]:
            picture, distortion = read_image(one.image_file), lens[id(one)].distortion
            return picture if one.camera is None else undistorted_picture(picture, one.camera, distortion)

        return gender_of_track(track, self._chooser, read)

    def _fitter(self, gender: str) -> SequenceFitter:
        if gender not in self._fitters:
            floor = None
            if self._rig is not None and self._rig.ground is not None:
                floor = (*self._rig.up_vector.tolist(), -self._rig.ground)
            fitter = self._fits.fitter_of(gender)
            self._fitters[gender] = SequenceFitter(fitter, height=self._job.run.height, floor=floor)
        return self._fitters[gender]

    def _fitted(
        self, tracks: Sequence[Track], decisions: Mapping[int, GenderDecision], outcome: ClipOutcome
    ) -> list[TrackFit]:
        """The fits of all tracks; a track that fails alone is a failure."""
        fits: list[TrackFit] = []
        for gender in dict.fromkeys(decisions[track.number].gender for track in tracks):
            group = [track for track in tracks if decisions[track.number].gender == gender]
            fits += self._fit_group(self._fitter(gender), group, outcome)
        fits.sort(key=lambda fit: fit.track.number)
        trimmed = [fit.trimmed(round(_LONGEST_END * self._fps)) for fit in fits]
        for before, after in zip(fits, trimmed, strict=True):
            if len(after) < len(before):
                outcome.notes.append(_trimmed_in_words(before, after))
        by_number = {fit.track.number: summary_of(fit.track) for fit in trimmed}
        outcome.summaries = [by_number.get(one.track, one) for one in outcome.summaries]
        return trimmed

    def _fit_group(self, fitter: SequenceFitter, tracks: list[Track], outcome: ClipOutcome) -> list[TrackFit]:
        def check(n_done: int, n_all: int) -> None:
            if self._is_stopped():
                raise StopRequested
            if 0 < n_done < n_all and len(outcome.clip.shots) >= _MANY_FRAMES:
                self._tell(_about(outcome.clip, f"{n_done} of {n_all} tracks fitted"))

        check(0, len(tracks))
        self.is_fitting = True
        try:
            return [one for one in fitter.fit(tracks, check) if not self._has_failed(one, outcome)]
        except InputError as error:
            problem = str(error)
        except (ValueError, ArithmeticError, RuntimeError) as error:
            problem = f"{type(error).__name__}: {reason(error)}"
        finally:
            self.is_fitting = False
        if len(tracks) > 1:
            return [fit for track in tracks for fit in self._fit_group(fitter, [track], outcome)]
        outcome.failures.append(Failure(_track_name(outcome.clip, tracks[0].number), f"fit failed: {problem}"))
        return []

    def _has_failed(self, fit: TrackFit, outcome: ClipOutcome) -> bool:
        """Whether no frame of a track is fitted; frames that are not are failures."""
        lost = np.flatnonzero(~fit.has_result)
        if len(lost):
            flags = ", ".join(sorted({flag for one in lost for flag in fit.results[one].flags}))
            frames = (
                "" if fit.failed else f" in {len(lost)} of {len(fit)} frames, such as {fit.track.frames[lost[0]]}"
            )
            name = _track_name(outcome.clip, fit.track.number)
            outcome.failures.append(Failure(name, f"fit failed{frames} ({flags})"))
        return fit.failed

    @property
    def remark(self) -> str:
        """Remark on the renderer."""
        return self._writer.remark


def _trimmed_in_words(before: TrackFit, after: TrackFit) -> str:
    """A remark on the ends that a track has lost."""
    first, last = after.track.frames[0], after.track.frames[-1]
    lost = len(before) - len(after)
    return (
        f"track {after.track.number} goes from frame {first} to {last}: the observations of its other "
        f"{count(lost, 'frame', 'frames')} contradict them"
    )


def _about(clip: Clip, line: str) -> str:
    return f"{clip.name}: {line}" if clip.name else line


def _track_name(clip: Clip, number: int) -> str:
    return f"{clip.name}, track {number}" if clip.name else f"track {person_name(number)}"
