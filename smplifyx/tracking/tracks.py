"""From the people of all frames and views to tracks, and the report on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smplifyx.keypoints.observation import Observation
from smplifyx.skeleton import BODY_KEYPOINTS
from smplifyx.tracking.matching import SeenPerson, match_views
from smplifyx.tracking.people import TrackingOptions, follow_people
from smplifyx.tracking.track import Track
from smplifyx.tracking.view import View

#: Least share of the frames between the first and the last of a track, of those with people, that show the person:
#: less are repeated false detections at one place.
_LEAST_SHARE = 0.2


@dataclass(frozen=True)
class TrackSummary:
    """Line of the report about a track.

    Attributes:
        track: number; -1 for one that was dropped.
        first, last: frame numbers.
        frames: frames in which a view sees the person.
        gaps: number of gaps.
        longest_gap: frames.
        keypoints: mean number of observed body points in a frame and view.
        views: names of the views, with the number of frames of each.
        dropped: the reason; empty for a track that is kept.
    """

    track: int
    first: int
    last: int
    frames: int
    gaps: int
    longest_gap: int
    keypoints: float
    views: str
    dropped: str = ""


def find_tracks(
    frames: Sequence[Sequence[Sequence[Observation]]],
    views: Sequence[View] = (View(),),
    fps: float = 30.0,
    options: TrackingOptions | None = None,
) -> tuple[list[Track], list[TrackSummary]]:
    """Tracks of all people, with stable numbers: in the order in which they appear, larger people first.

    Args:
        frames: for each frame and view the people, keypoints undistorted.
        views: the V cameras.
        fps: frames per second.
        options: conditions of tracks.

    Returns:
        The tracks, and a line for each of them and for each that was dropped.
    """
    options = options or TrackingOptions()
    followed = [follow_people([row[view] for row in frames], options, fps) for view in range(len(views))]
    alone = len(views) == 1
    people = [SeenPerson({0: [one]}) for one in followed[0]] if alone else match_views(views, followed)
    people.sort(key=lambda one: (min(one.frames()), -_size(one)))
    with_people = np.array([any(row) for row in frames])
    reasons = {id(one): _reason_to_drop(one, with_people, len(views), options) for one in people}
    if options.max_people is not None:
        kept = sorted((one for one in people if not reasons[id(one)]), key=lambda one: -one.evidence)
        for one in kept[options.max_people :]:
            reasons[id(one)] = f"only {options.max_people} with the most keypoints are fitted"
    tracks: list[Track] = []
    summaries: list[TrackSummary] = []
    for person in people:
        reason = reasons[id(person)]
        track = _track(-1 if reason else len(tracks), person, views, fps)
        summaries.append(summary_of(track, reason))
        if not reason:
            tracks.append(track)
    return tracks, summaries


def _reason_to_drop(
    person: SeenPerson, with_people: NDArray[np.bool_], n_views: int, options: TrackingOptions
) -> str:
    frames, n_frames = person.frames(), len(with_people)
    seen, least = len(frames), options.least_frames(n_frames)
    if seen < least:
        return f"seen in {seen} of {n_frames} frames; needs {least}"
    between = int(with_people[min(frames) : max(frames) + 1].sum())
    if seen < _LEAST_SHARE * between:
        return f"seen in {seen} of {between} frames between its first and last; needs {_LEAST_SHARE:.0%}"
    least = min(options.min_views, n_views)
    if len(person.tracks) < least:
        return f"seen by {len(person.tracks)} of {n_views} cameras; needs {least}"
    return ""


def _size(person: SeenPerson) -> float:
    """Size of a person in the first frame, the largest of all views."""
    first = min(person.frames())
    return max(one.size for tracks in person.tracks.values() for one in tracks if one.first == first)


def _track(number: int, person: SeenPerson, views: Sequence[View], fps: float) -> Track:
    seen = person.frames()
    numbers = range(min(seen), max(seen) + 1)
    rows = [[person.observation(frame, view) for view in range(len(views))] for frame in numbers]
    return Track(number, numbers, rows, views, fps)


def summary_of(track: Track, dropped: str = "") -> TrackSummary:
    """The line of the report about a track."""
    observed = np.array([[one is not None for one in row] for row in track.observations])
    seen = np.flatnonzero(observed.any(1))
    steps = np.diff(seen) - 1
    counts = [
        int((one.keypoints[BODY_KEYPOINTS, 2] > 0).sum())
        for row in track.observations
        for one in row
        if one is not None
    ]
    names = [f"{view.name or number}:{observed[:, number].sum()}" for number, view in enumerate(track.views)]
    return TrackSummary(
        track.number,
        track.frames[0],
        track.frames[-1],
        len(seen),
        int((steps > 0).sum()),
        int(steps.max(initial=0)),
        float(np.mean(counts)),
        " ".join(name for number, name in enumerate(names) if observed[:, number].any()),
        dropped,
    )
