"""People of one view followed from frame to frame by their keypoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from smplifyx.keypoints.observation import Observation, box_diagonal
from smplifyx.keypoints.plausibility import stature_of
from smplifyx.skeleton import BODY_KEYPOINTS

#: Body points of less confidence say nothing about who it is.
_SEEN = 0.1
#: Largest mean distance of a person's body points between two frames, in statures: errors of a detector, and what a
#: fast person moves in a second; at most the third value. It grows with each frame of a gap.
_ERROR, _SPEED, _WIDEST_GATE, _GATE_GROWTH = 0.2, 3.0, 1.5, 0.02
#: Points that moved further count as if they had moved this far, statures.
_FARTHEST = 2.0
#: Common points that a comparison by points needs; with fewer the middles of the bodies are compared.
_COMMON = 3
#: Cost of a doubled size.
_SIZE_COST = 0.25
#: Share of the last step that a person is expected to go on with, and the longest time of it in frames.
_INERTIA, _LONGEST_STEP = 0.7, 5
#: A piece belongs to a person whose points in the neighbouring frames are nearer than this share of the stature, and
#: who has no point of it elsewhere in this frame.
_PIECE_GATE, _SAME_PLACE = 0.12, 0.06
#: Frames before and after that tell where a person's points are.
_NEIGHBOURS = 10


@dataclass(frozen=True)
class TrackingOptions:
    """Conditions of tracks.

    Attributes:
        max_gap: frames for which a person may be missing and is still the same afterwards.
        min_frames: frames in which a person must be seen; in clips of less than three times as many frames, a third
            of the frames.
        min_keypoints: body points that a person needs to begin a track; entries with fewer are pieces of people.
        min_confidence: points of less confidence do not count for this.
        min_views: views that must see a person, where there are several.
        max_people: largest number of tracks, those with the most points; None for all.
    """

    max_gap: int = 30
    min_frames: int = 5
    min_keypoints: int = 6
    min_confidence: float = 0.2
    min_views: int = 2
    max_people: int | None = None

    def least_frames(self, n_frames: int) -> int:
        """Frames in which a person must be seen in a clip of some frames."""
        return max(1, min(self.min_frames, n_frames // 3))


@dataclass
class ViewTrack:
    """One person in one view: observations by frame number."""

    observations: dict[int, Observation] = field(default_factory=dict)

    @property
    def first(self) -> int:
        """Number of the first frame."""
        return min(self.observations)

    @property
    def last(self) -> int:
        """Number of the last frame."""
        return max(self.observations)

    @property
    def evidence(self) -> float:
        """Sum of the confidences of all body points."""
        return float(sum(one.keypoints[BODY_KEYPOINTS, 2].sum() for one in self.observations.values()))

    @cached_property
    def size(self) -> float:
        """Median stature, pixels, of the frames at the first call: pieces that are added later do not change it."""
        return float(np.median([size_of(one) for one in self.observations.values()]))


def follow_people(
    frames: Sequence[Sequence[Observation]], options: TrackingOptions, fps: float = 30.0
) -> list[ViewTrack]:
    """Tracks of the people in the frames of one view, in the order in which they appear, larger people first.

    Args:
        frames: the people of each frame; entries with few points are pieces, which are added to the person that they
            belong to by the neighbouring frames.
        options: conditions of tracks; short tracks are not dropped here.
        fps: frames per second; people move further in frames that are far apart in time.
    """
    open_tracks: list[_Walk] = []
    closed: list[_Walk] = []
    pieces: dict[int, list[Observation]] = {}
    for frame, everyone in enumerate(frames):
        people = [one for one in everyone if _n_seen(one, options.min_confidence) >= options.min_keypoints]
        pieces[frame] = [one for one in everyone if not any(one is other for other in people)]
        closed += [one for one in open_tracks if frame - one.frame > options.max_gap]
        open_tracks = [one for one in open_tracks if frame - one.frame <= options.max_gap]
        matched = _match(open_tracks, people, frame, _ERROR + _SPEED / fps)
        for number, person in enumerate(people):
            if number in matched:
                open_tracks[matched[number]].add(frame, person)
            else:
                walk = _Walk()
                walk.add(frame, person)
                open_tracks.append(walk)
    tracks = [one.track for one in (*closed, *open_tracks)]
    tracks.sort(key=lambda one: (one.first, -size_of(one.observations[one.first])))
    for frame, rest in pieces.items():
        for piece in rest:
            _add_piece(tracks, frame, piece)
    return tracks


def size_of(one: Observation) -> float:
    """Stature of a person in pixels, or the size of the points if too few bones are seen."""
    body = one.keypoints[BODY_KEYPOINTS]
    return max(stature_of(body) or box_diagonal(body[body[:, 2] >= _SEEN]), 1.0)


class _Walk:
    """A track that is being followed: the last place of each point, and the last step."""

    def __init__(self) -> None:
        self.track = ViewTrack()
        self.frame = -1
        self._body = np.zeros((0, 3))
        self._step = np.zeros(2)

    def add(self, frame: int, person: Observation) -> None:
        """Go on to a frame."""
        body = person.keypoints[BODY_KEYPOINTS].astype(np.float64)
        if self.frame >= 0:
            both = (self._body[:, 2] >= _SEEN) & (body[:, 2] >= _SEEN)
            if both.sum() >= _COMMON:
                moved = np.median(body[both, :2] - self._body[both, :2], axis=0)
                self._step = moved / (frame - self.frame)
        self._body, self.frame = body, frame
        self.track.observations[frame] = person

    def cost(self, frame: int, person: Observation) -> float:
        """Distance of a person from where this one is expected, as a share of the stature."""
        body = person.keypoints[BODY_KEYPOINTS].astype(np.float64)
        ahead = _INERTIA * self._step * min(frame - self.frame, _LONGEST_STEP)
        expected = self._body[:, :2] + ahead
        last = size_of(self.track.observations[self.frame])
        size = max(last, size_of(person))
        weight = np.minimum(self._body[:, 2], body[:, 2])
        weight = np.where(weight >= _SEEN, weight, 0.0)
        if (weight > 0).sum() >= _COMMON:
            distance = np.minimum(np.linalg.norm(body[:, :2] - expected, axis=1) / size, _FARTHEST)
            apart = float((weight * distance).sum() / weight.sum())
        else:
            seen, was_seen = body[:, 2] >= _SEEN, self._body[:, 2] >= _SEEN
            apart = float(np.linalg.norm(body[seen, :2].mean(axis=0) - expected[was_seen].mean(axis=0))) / size
        return apart + _SIZE_COST * abs(float(np.log2(size_of(person) / last)))


def _match(tracks: Sequence[_Walk], people: Sequence[Observation], frame: int, gate: float) -> dict[int, int]:
    """The track of each person of a frame, by the smallest sum of distances; people who are nobody's are left out."""
    if not tracks or not people:
        return {}
    costs = np.array([[track.cost(frame, person) for person in people] for track in tracks])
    gaps = np.array([frame - track.frame - 1 for track in tracks])
    gates = np.minimum(gate + _GATE_GROWTH * gaps, _WIDEST_GATE)[:, None]
    # Beyond the gate all are equally far, so that one stranger does not shift the others.
    rows, columns = linear_sum_assignment(np.where(costs <= gates, costs, 10.0))
    return {int(k): int(j) for j, k in zip(rows, columns, strict=True) if costs[j, k] <= gates[j, 0]}


def _n_seen(one: Observation, min_confidence: float) -> int:
    return int((one.keypoints[BODY_KEYPOINTS, 2] >= min_confidence).sum())


def _add_piece(tracks: Sequence[ViewTrack], frame: int, piece: Observation) -> None:
    """Add a piece of a person to the one it belongs to."""
    found: list[tuple[float, ViewTrack]] = []
    for track in tracks:
        place = _expected(track, frame)
        here = track.observations.get(frame)
        if place is None or (here is not None and _conflicts(here, piece)):
            continue
        body = piece.keypoints[BODY_KEYPOINTS]
        both = (body[:, 2] >= _SEEN) & (place[:, 2] > 0)
        if both.sum() < min(_COMMON, int((body[:, 2] >= _SEEN).sum())) or not both.any():
            continue
        distance = float(np.linalg.norm(body[both, :2] - place[both, :2], axis=1).mean()) / track.size
        if distance <= _PIECE_GATE:
            found.append((distance, track))
    if found:
        owner = min(found, key=lambda one: one[0])[1]
        here = owner.observations.get(frame)
        owner.observations[frame] = piece if here is None else joined(here, piece)


def _expected(track: ViewTrack, frame: int) -> NDArray[np.float64] | None:
    """Body points [25, 3] of a person at the nearest frames before and after; None if there is none near."""
    sums, weights = np.zeros((25, 2)), np.zeros(25)
    for step in (-1, 1):
        missing = np.ones(25, bool)
        for distance in range(1, _NEIGHBOURS + 1):
            one = track.observations.get(frame + step * distance)
            if one is None:
                continue
            body = one.keypoints[BODY_KEYPOINTS]
            fresh = missing & (body[:, 2] >= _SEEN)
            sums[fresh] += body[fresh, :2] / distance
            weights[fresh] += 1.0 / distance
            missing &= ~fresh
    if not weights.any():
        return None
    return np.column_stack([sums / np.maximum(weights, 1e-9)[:, None], weights])


def _conflicts(person: Observation, piece: Observation) -> bool:
    """Whether both have a point at different places."""
    a, b = person.keypoints, piece.keypoints
    both = (a[:, 2] >= _SEEN) & (b[:, 2] >= _SEEN)
    return bool((np.linalg.norm(a[both, :2] - b[both, :2], axis=1) > _SAME_PLACE * size_of(person)).any())


def joined(person: Observation, piece: Observation) -> Observation:
    """The person with the points of a piece where these are more confident."""
    better = piece.keypoints[:, 2:] > person.keypoints[:, 2:]
    note = f"merged from people {person.person_index} and {piece.person_index} of the file"
    return replace(
        person,
        keypoints=np.where(better, piece.keypoints, person.keypoints),
        gender=person.gender or piece.gender,
        warnings=(*person.warnings, note),
    )
