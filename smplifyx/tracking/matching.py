"""People of several calibrated views: who is the same person in which view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from smplifyx.keypoints.observation import Observation
from smplifyx.skeleton import BODY_KEYPOINTS
from smplifyx.tracking.people import ViewTrack
from smplifyx.tracking.view import View, triangulated_slopes

#: Body points of less confidence are not compared.
_SEEN = 0.3
#: Largest median reprojection error of the triangulated points of one person, as a share of the stature.
_GATE = 0.06
#: Advantage of a person who is known from another view more.
_MORE_VIEWS = 0.01
#: Frames that are compared, spread over the time in which both are seen.
_COMPARED_FRAMES = 20
#: Common points without which nothing is known about two views.
_LEAST_POINTS = 4


@dataclass
class SeenPerson:
    """A person in several views.

    Attributes:
        tracks: for each view its tracks of this person, at different times.
    """

    tracks: dict[int, list[ViewTrack]] = field(default_factory=dict)

    def observation(self, frame: int, view: int) -> Observation | None:
        """The observation of a view in a frame, if there is one."""
        for track in self.tracks.get(view, ()):
            if frame in track.observations:
                return track.observations[frame]
        return None

    def frames(self, view: int | None = None) -> set[int]:
        """Frames in which a view, or any view, sees the person."""
        views = self.tracks.values() if view is None else [self.tracks.get(view, [])]
        return {frame for tracks in views for track in tracks for frame in track.observations}

    @property
    def evidence(self) -> float:
        """Sum of the confidences of all body points."""
        return sum(track.evidence for tracks in self.tracks.values() for track in tracks)


def match_views(views: Sequence[View], tracks: Sequence[Sequence[ViewTrack]]) -> list[SeenPerson]:
    """Match the tracks of several views by the reprojection error of triangulated keypoints.

    One view after the other is assigned to the people known so far; a track that fits nobody is another person. Two
    views alone can be ambiguous, for people in a row parallel to the line between the cameras; so each view is tried
    as the first one, and the fewest people with the smallest errors are chosen.

    Args:
        views: V calibrated cameras, each with ``camera``.
        tracks: for each view its tracks.
    """
    order = sorted(range(len(views)), key=lambda view: -sum(one.evidence for one in tracks[view]))
    order = [view for view in order if tracks[view]]
    most = max((len(one) for one in tracks), default=0)
    best: tuple[float, list[SeenPerson]] = (np.inf, [])
    for first in order if most > 1 else order[:1]:
        people, error = _matched(views, tracks, [first, *(view for view in order if view != first)])
        # Three views that agree are no coincidence: one person in three and another in one beat two in two.
        cost = len(people) * _GATE + error - _MORE_VIEWS * sum(len(one.tracks) ** 2 for one in people)
        if cost < best[0]:
            best = cost, people
    return best[1]


def _matched(
    views: Sequence[View], tracks: Sequence[Sequence[ViewTrack]], order: Sequence[int]
) -> tuple[list[SeenPerson], float]:
    """People of views that are assigned in an order, and the mean error of the assignments."""
    people: list[SeenPerson] = []
    errors: list[float] = []
    for view in order:
        rest = list(tracks[view])
        while rest:
            matched = _assigned(views, people, view, rest)
            if not matched:
                break
            for number, (person, error) in matched.items():
                person.tracks.setdefault(view, []).append(rest[number])
                errors.append(error)
            rest = [one for number, one in enumerate(rest) if number not in matched]
        people += [SeenPerson({view: [one]}) for one in rest]
    return people, float(np.mean(errors)) if errors else 0.0


def _assigned(
    views: Sequence[View], people: Sequence[SeenPerson], view: int, tracks: Sequence[ViewTrack]
) -> dict[int, tuple[SeenPerson, float]]:
    """The person of each track and the error, by the smallest sum; tracks of other people are left out."""
    if not people:
        return {}
    errors = np.array([[_error(views, person, view, track) for track in tracks] for person in people])
    costs = errors - _MORE_VIEWS * np.array([len(person.tracks) for person in people])[:, None]
    rows, columns = linear_sum_assignment(np.where(errors <= _GATE, costs, 10.0))
    return {
        int(k): (people[j], float(errors[j, k])) for j, k in zip(rows, columns, strict=True) if errors[j, k] <= _GATE
    }


def _error(views: Sequence[View], person: SeenPerson, view: int, track: ViewTrack) -> float:
    """Median reprojection error of the union, as a share of the stature; infinite where it cannot be one person."""
    if person.frames(view) & set(track.observations):
        return np.inf
    others = [other for other in person.tracks if other != view]
    together = sorted(set(track.observations) & set().union(*(person.frames(other) for other in others)))
    if not together:
        return np.inf
    frames = [together[k] for k in np.unique(np.linspace(0, len(together) - 1, _COMPARED_FRAMES).round().astype(int))]
    chosen = [view, *others]
    keypoints = np.zeros((len(chosen), len(frames), 25, 3))
    for row, other in enumerate(chosen):
        for column, frame in enumerate(frames):
            one = track.observations[frame] if other == view else person.observation(frame, other)
            if one is not None:
                keypoints[row, column] = one.keypoints[BODY_KEYPOINTS]
    points = keypoints.reshape(len(chosen), -1, 3)
    # Only points that the new view shares with another one tell anything.
    used = (points[..., 2] >= _SEEN) & (points[0, :, 2] >= _SEEN)
    used &= used.sum(axis=0) >= 2
    if used.any(axis=0).sum() < _LEAST_POINTS:
        return np.inf
    errors = reprojection_errors([views[one] for one in chosen], points[..., :2], used)
    sizes = [track.size, *(np.median([one.size for one in person.tracks[other]]) for other in others)]
    relative = errors / np.array(sizes)[:, None]
    n_views = len(chosen)
    # A point has three coordinates to fit the two of each view with: fewer views fit too well.
    return float(np.median(relative[used])) / np.sqrt((2 * n_views - 3) / (2 * n_views))


def triangulated(views: Sequence[View], pixels: NDArray[np.floating], used: NDArray[np.bool_]) -> NDArray[np.float64]:
    """World points [N, 3] of undistorted pixels; NaN with fewer than two views.

    Args:
        views: V cameras.
        pixels: [V, N, 2].
        used: [V, N] which views see a point.
    """
    placements = np.stack([np.column_stack([one.rotation, one.translation]) for one in views])
    slopes = np.stack([_slopes(view, one) for view, one in zip(views, pixels, strict=True)])
    return triangulated_slopes(placements, slopes, used)


def reprojection_errors(
    views: Sequence[View], pixels: NDArray[np.floating], used: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Distances [V, N] of observed pixels from those of the triangulated points; infinite behind a camera.

    Args:
        views: V cameras.
        pixels: [V, N, 2] undistorted.
        used: [V, N] which views see a point; the others have errors too where the point is known.
    """
    points = triangulated(views, pixels, used)
    errors = np.full(used.shape, np.nan)
    for row, view in enumerate(views):
        assert view.camera is not None
        local = view.to_camera(points)
        with np.errstate(all="ignore"):
            distance = np.linalg.norm(view.camera.project(local) - pixels[row], axis=1)
        errors[row] = np.where(local[:, 2] > 0, distance, np.where(np.isfinite(local[:, 2]), np.inf, np.nan))
    return errors


def _slopes(view: View, pixels: NDArray[np.floating]) -> NDArray[np.float64]:
    assert view.camera is not None
    return (np.asarray(pixels, np.float64) - view.camera.center) / view.camera.focal_length
