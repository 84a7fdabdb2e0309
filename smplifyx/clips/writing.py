"""Results and pictures of the photos of a clip, and the files about its tracks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smplifyx.calibration import CameraRig
from smplifyx.clips.files import DEFAULT_FPS, ClipFiles, save_scene, save_track
from smplifyx.clips.listing import Clip, Shot
from smplifyx.errors import InputError, reason
from smplifyx.files import file_digest
from smplifyx.gender import GenderDecision
from smplifyx.keypoints import Observation, read_image
from smplifyx.keypoints.images import read_header
from smplifyx.lens import undistorted_picture
from smplifyx.output import BodyMesh, OutputLayout, person_color
from smplifyx.output.film import SideStage, side_by_side, write_video
from smplifyx.pipeline.fits import BatchFitter, StopRequested, with_decision
from smplifyx.pipeline.reading import Person, Photo, shrunk
from smplifyx.pipeline.units import Failure, Job, Outcome, Unit
from smplifyx.pipeline.writing import OpenRenderer, PhotoWriter
from smplifyx.result import FitResult
from smplifyx.sequence import TrackFit
from smplifyx.skeleton import N_KEYPOINTS
from smplifyx.tracking import View

#: Frames per second of a video at least: with frames far apart in time it would stand still.
_LEAST_FPS = 2.0
#: Frames whose results in all views are held together.
_FRAMES_HELD = 64


@dataclass(frozen=True)
class FittedClip:
    """A clip with its fitted tracks.

    Attributes:
        clip: the photos.
        views: the cameras, for photos of this size.
        fits: the tracks.
        decisions: about the genders of the tracks, by number.
    """

    clip: Clip
    views: tuple[View, ...]
    fits: list[TrackFit]
    decisions: Mapping[int, GenderDecision]


class ClipWriter:
    """Writer of the files of clips.

    Args:
        job: the job.
        rig: the calibrated cameras; None for photos of one camera.
        fits: poses the bodies.
        is_stopped: asked between photos.
        open_renderer: opens the renderer of the pictures; None for one in this process.
    """

    def __init__(
        self,
        job: Job,
        rig: CameraRig | None,
        fits: BatchFitter,
        is_stopped: Callable[[], bool],
        open_renderer: OpenRenderer | None = None,
    ) -> None:
        self._job, self._rig, self._fits, self._is_stopped = job, rig, fits, is_stopped
        self._layout = OutputLayout.of(job.run.output, job.config.output)
        self._writer = PhotoWriter(job, fits, open_renderer)

    @property
    def remark(self) -> str:
        """Remark on the renderer."""
        return self._writer.remark

    @property
    def _fps(self) -> float:
        return self._job.run.fps or DEFAULT_FPS

    def write_photos(self, fitted: FittedClip, digest: str) -> Iterator[Outcome]:
        """Write results and pictures of all photos; yields the record of each.

        A photo has the people that its camera observed in this frame. People that no camera observed are in the photo
        of the camera that sees them most.
        """
        appearances = [_Appearance(fit, fitted.decisions[fit.track.number]) for fit in fitted.fits]
        for frame, row in enumerate(fitted.clip.shots):
            for view, shot in enumerate(row):
                if shot is None:
                    continue
                if self._is_stopped():
                    raise StopRequested
                people = [self._person(one, frame, view, shot, digest) for one in appearances]
                yield self._write_photo(shot, fitted.views[view], [one for one in people if one is not None])

    def _person(
        self, shown: _Appearance, frame: int, view: int, shot: Shot, digest: str
    ) -> tuple[Person, FitResult] | None:
        """A track in a photo, with frame, number and place in the world; None where it does not appear."""
        result = shown.result(frame, view)
        if result is None:
            return None
        track = shown.fit.track
        seen = track.observations[frame - track.frames[0]]
        place = track.views[view]
        result = replace(
            result,
            frame=frame,
            track=track.number,
            view=place.name,
            image_path=str(shot.image),
            keypoint_path=str(shot.keypoints or ""),
        )
        if self._rig is not None:
            rotation, translation = np.asarray(place.rotation, np.float32), np.asarray(place.translation, np.float32)
            result = replace(result, world_rotation=rotation, world_translation=translation)
        if sum(one is not None for one in seen) > 1:  # the predictor knows fits of one view
            result = replace(result, expected_error_mm=math.nan)
        person = Person(_observation(seen[view], result, shot, track.number), digest, shown.decision, is_new=True)
        return person, with_decision(result, shown.decision)

    def _write_photo(self, shot: Shot, view: View, shown: list[tuple[Person, FitResult]]) -> Outcome:
        """Write the results and pictures of one photo; its failures are in its record."""
        names = tuple(person.name for person, _ in shown)
        photo = Photo(Outcome(Unit(shot.stem, shot.image, shot.keypoints), people=names))
        photo.people = [person for person, _ in shown]
        keys = {person.key for person in photo.people}
        photo.outdated = [key for key in self._layout.people_of(shot.stem) if key not in keys]
        photo.draws_overlay = bool(shown) and self._job.config.output.render
        try:
            photo.digest = file_digest(shot.image) if shown else ""
            if photo.draws_overlay:
                photo.picture = self._picture(shot, view)
        except (InputError, OSError) as error:
            failure = Failure(str(shot.image), error.problem if isinstance(error, InputError) else reason(error))
            photo.draws_overlay = False
            photo.outcome = replace(photo.outcome, failures=(failure,))
        record = self._writer.begin(photo)
        for person, result in shown:
            record = self._writer.write(photo, person, result)
        assert record is not None
        return record

    def _picture(self, shot: Shot, view: View) -> NDArray[np.uint8]:
        """A photo at the size of the drawings, without distortion."""
        size, longest = read_header(shot.image).size, self._job.config.output.max_render_size
        picture = read_image(shot.image, min(1.0, longest / max(size)))
        if view.camera is not None:
            picture = undistorted_picture(picture, view.camera, view.distortion)
        return shrunk(picture, size, longest)

    def write_tracks(self, fitted: FittedClip, files: ClipFiles) -> tuple[list[Path], list[str]]:
        """Write the files about all frames together.

        Returns:
            The files, and remarks for the user.
        """
        written, notes = [], []
        wanted = {files.track(fit.track.number) for fit in fitted.fits}
        for old in files.folder.glob("[0-9]*.npz"):
            if old not in wanted:
                old.unlink()
        for fit in fitted.fits:
            path = files.track(fit.track.number)
            if save_track(fit, path, self._rig):
                written.append(path)
        if fitted.fits:
            name = fitted.clip.name or "animation"
            save_scene(fitted.fits, files.scene, name, self._fps, self._rig, fitted.views)
            written.append(files.scene)
        if fitted.fits and self._job.config.output.render and len(fitted.clip.shots) > 1:
            if write_video(self._film(fitted), files.video, max(self._fps, _LEAST_FPS)):
                written.append(files.video)
            else:
                files.video.unlink(missing_ok=True)
                notes.append("no video: OpenCV cannot write MP4 here")
        return written, notes

    def _film(self, fitted: FittedClip) -> Iterator[NDArray[np.uint8]]:
        """Frames of the video: the pictures of the view that sees most, and the bodies from the side."""
        view = _view_of_most(fitted.fits)
        place = fitted.views[view]
        results = {fit.track.number: fit.results_in_view(view) for fit in fitted.fits}
        up = np.array([0.0, -1.0, 0.0])
        if self._rig is not None and self._rig.up is not None:
            up = np.asarray(place.rotation) @ self._rig.up_vector
        joints = [one.joints for some in results.values() for one in some if one.status != "failed"]
        bodies = {
            fit.track.number: _Bodies(results[fit.track.number], fit.track.number, self._fits) for fit in fitted.fits
        }
        stage: SideStage | None = None
        size: tuple[int, ...] | None = None
        for frame, row in enumerate(fitted.clip.shots):
            if self._is_stopped():
                raise StopRequested
            shot = row[view]
            left = None if shot is None else self._shown(shot, place)
            if left is None:
                if size is None:
                    continue  # the video begins with the first photo
                left = np.full(size, 128, np.uint8)
            size = left.shape
            stage = stage or SideStage.around(joints, left.shape[0], up)
            meshes = [bodies[fit.track.number].mesh(frame - fit.track.frames[0]) for fit in fitted.fits]
            shown = [one for one in meshes if one is not None]
            yield side_by_side(left, stage.picture(shown, self._writer.renderer))

    def _shown(self, shot: Shot, view: View) -> NDArray[np.uint8] | None:
        """The photo with its people as it was drawn, else the photo alone."""
        people = self._layout.people_of(shot.stem)
        path = self._layout.photo_overlay_path(people) if people else None
        try:
            return read_image(path) if path is not None and path.is_file() else self._picture(shot, view)
        except (InputError, OSError):
            return None


class _Bodies:
    """The meshes of a track in the axes of a view, posed many frames at a time.

    Args:
        results: of all frames in this view.
        number: of the track, for its colour.
        fits: poses the bodies.
    """

    def __init__(self, results: Sequence[FitResult], number: int, fits: BatchFitter) -> None:
        self._results, self._color, self._fits = results, person_color(number), fits
        self._posed: dict[int, BodyMesh] = {}

    def mesh(self, position: int) -> BodyMesh | None:
        """The mesh of a frame of the track; None outside of the track and where the fit failed."""
        if not 0 <= position < len(self._results) or self._results[position].status == "failed":
            return None
        if position not in self._posed:
            end = position + _FRAMES_HELD
            chosen = {
                number: one
                for number, one in enumerate(self._results[position:end], position)
                if one.status != "failed"
            }
            meshes = self._fits.meshes(list(chosen.values()))
            self._posed = {
                number: BodyMesh(vertices + one.camera_translation, faces, self._color)
                for (number, one), (vertices, faces) in zip(chosen.items(), meshes, strict=True)
            }
        return self._posed[position]


class _Appearance:
    """A fitted track in the photos of a clip: those of the views that observed it.

    A frame that no view observed is shown in the view that observes the track most.
    """

    def __init__(self, fit: TrackFit, decision: GenderDecision) -> None:
        self.fit, self.decision = fit, decision
        self._reference = _view_of_most([fit])
        self._placed: dict[int, list[FitResult]] = {}
        self._frames = range(0)

    def result(self, frame: int, view: int) -> FitResult | None:
        """The result of a frame of the clip in a view; None where the track does not appear."""
        position = frame - self.fit.track.frames[0]
        if not 0 <= position < len(self.fit):
            return None
        row = self.fit.track.observations[position]
        shows = row[view] is not None or (view == self._reference and all(one is None for one in row))
        return self._result(position, view) if shows and self.fit.results[position].status != "failed" else None

    def _result(self, position: int, view: int) -> FitResult:
        """The result of a frame of the track; views of a long track are not all held together."""
        if position not in self._frames:
            start = position // _FRAMES_HELD * _FRAMES_HELD
            self._frames = range(start, min(start + _FRAMES_HELD, len(self.fit)))
            self._placed = {}
        if view not in self._placed:
            self._placed[view] = self.fit.results_in_view(view, self._frames)
        return self._placed[view][position - self._frames.start]


def _view_of_most(fits: Sequence[TrackFit]) -> int:
    """The view with the most observations of some people."""
    rows = [row for fit in fits for row in fit.track.observations]
    return int(np.argmax([sum(one is not None for one in column) for column in zip(*rows, strict=True)]))


def _observation(seen: Observation | None, result: FitResult, shot: Shot, number: int) -> Observation:
    """The observation that names the files of a result."""
    if seen is not None:
        return replace(seen, person_index=number, stem=shot.stem)
    size = int(result.image_size[0]), int(result.image_size[1])
    nothing = np.zeros((N_KEYPOINTS, 3), np.float32)
    return Observation(nothing, size, result.camera, shot.image, shot.keypoints, number, stem=shot.stem)
