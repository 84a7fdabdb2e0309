"""One person over time, seen by one or more cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smplifyx.errors import InputError
from smplifyx.keypoints.observation import Observation
from smplifyx.tracking.view import View


@dataclass(frozen=True)
class Track:
    """The observations of one person: F frames, V views.

    Attributes:
        number: stable number of the person, from 0; names the output files.
        frames: F frame numbers, ascending without gaps: unobserved frames have None.
        observations: F rows of V observations; None where a view does not show the person. Keypoints are those of
            the undistorted image.
        views: the V cameras; a single camera that does not move may be the default View.
        fps: frames per second.

    Raises:
        InputError: sizes or frame numbers do not fit, or nothing is observed.
    """

    number: int
    frames: Sequence[int]
    observations: Sequence[Sequence[Observation | None]]
    views: Sequence[View] = (View(),)
    fps: float = 30.0

    def __post_init__(self) -> None:
        frames, rows = tuple(self.frames), tuple(tuple(row) for row in self.observations)
        name = f"track {self.number}"
        if not frames or frames != tuple(range(frames[0], frames[0] + len(frames))):
            raise InputError(None, "expected consecutive frame numbers", name)
        if len(rows) != len(frames) or any(len(row) != len(self.views) for row in rows):
            problem = f"expected {len(frames)} rows of {len(self.views)} observations"
            raise InputError(None, problem, name)
        if all(one is None for row in rows for one in row):
            raise InputError(None, "expected at least one observation, found none", name)
        if not self.fps > 0:
            raise InputError(None, f"expected a positive number of frames per second, found {self.fps}", name)
        object.__setattr__(self, "frames", frames)
        object.__setattr__(self, "observations", rows)
        object.__setattr__(self, "views", tuple(self.views))

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.frames)
