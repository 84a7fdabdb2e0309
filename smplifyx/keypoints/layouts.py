"""Layouts of keypoints: the order of the points of each detector, as tables in ``data/layouts``.

A table holds ``description``, ``points`` (the names in order) and ``derived``. Names of
:data:`smplifyx.skeleton.CANONICAL_KEYPOINT_NAMES` are used; other names are points without a counterpart, or sources
of derived points. ``face_0..67`` stands for a range of numbers, ``left_hand_*`` for the 21 points of a hand. A new
file adds a layout.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from smplifyx.errors import UsageError
from smplifyx.skeleton import CANONICAL_KEYPOINT_NAMES, HAND_KEYPOINT_NAMES, N_KEYPOINTS

AUTO = "auto"
#: Share of the confidence that a derived point gets: it is no evidence of its own.
DERIVED_WEIGHT = 0.5

_INDEX = {name: index for index, name in enumerate(CANONICAL_KEYPOINT_NAMES)}


@dataclass(frozen=True)
class DerivedPoint:
    """A canonical keypoint that a layout lacks.

    Attributes:
        sources: points of the layout; the derived point is their mean, and is seen where all of them are.
        weight: its confidence is this share of their smallest one.
    """

    sources: tuple[str, ...]
    weight: float = DERIVED_WEIGHT


@dataclass(frozen=True)
class Layout:
    """The points of one detector.

    Attributes:
        name: file name of the table, for example ``coco_17``.
        description: a line of text.
        points: the N names in order.
        derived: canonical keypoints that are computed from others.
    """

    name: str
    description: str
    points: tuple[str, ...]
    derived: Mapping[str, DerivedPoint]

    @property
    def n_points(self) -> int:
        """Number of points N."""
        return len(self.points)

    def to_canonical(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bring points `[N, 3]` (x, y, confidence) into the canonical layout `[135, 3]`; others are unseen."""
        keypoints = np.zeros((N_KEYPOINTS, 3), np.float32)
        positions, targets = self._direct
        keypoints[targets] = points[positions]
        for target, sources, weight in self._computed:
            found = points[sources]
            if found[:, 2].min() > 0:
                keypoints[target] = (*found[:, :2].mean(axis=0), weight * found[:, 2].min())
        return keypoints

    def from_canonical(self, keypoints: NDArray[np.float32]) -> NDArray[np.float32]:
        """The points `[N, 3]` of this layout in canonical keypoints `[135, 3]`; those without counterpart are unseen.

        A source of a single derived point gets the place of that point.
        """
        points = np.zeros((self.n_points, 3), np.float32)
        positions, targets = self._direct
        for target, sources, _ in self._computed:
            for position in sources:
                if position not in positions:
                    points[position] = keypoints[target]
        points[positions] = keypoints[targets]
        return points

    @functools.cached_property
    def _direct(self) -> tuple[list[int], list[int]]:
        pairs = [(k, _INDEX[name]) for k, name in enumerate(self.points) if name in _INDEX]
        return [k for k, _ in pairs], [target for _, target in pairs]

    @functools.cached_property
    def _computed(self) -> list[tuple[int, list[int], float]]:
        place = {name: k for k, name in enumerate(self.points)}
        return [(_INDEX[name], [place[s] for s in one.sources], one.weight) for name, one in self.derived.items()]


@functools.cache
def layouts() -> Mapping[str, Layout]:
    """All layouts by name."""
    folder = Path(str(resources.files("smplifyx") / "data" / "layouts"))
    return {path.stem: read_layout(path) for path in sorted(folder.glob("*.yaml"))}


def layout_named(name: str) -> Layout:
    """The layout of a name.

    Raises:
        UsageError: there is none; the message names the nearest.
    """
    known = layouts()
    if name in known:
        return known[name]
    near = get_close_matches(name.lower().replace("-", "_"), known, 1, 0.3)
    advice = f"; did you mean {near[0]}?" if near else ""
    raise UsageError(f"no keypoint layout {name!r}{advice} (expected auto, {', '.join(known)})")


def layouts_of_length(n_points: int) -> list[Layout]:
    """The layouts with this number of points."""
    return [layout for layout in layouts().values() if layout.n_points == n_points]


def named_layout(names: Sequence[str], source: str = "names in the file") -> Layout:
    """A layout of the names that a file gives its points; unknown ones have no counterpart.

    Neck and middle of the hips are derived where the names lack them.
    """
    plain = tuple(_plain_name(name) for name in names)
    twice = {name for name in plain if plain.count(name) > 1}
    points = tuple(f"{name}_{k}" if name in twice else name for k, name in enumerate(plain))
    derived = {
        middle: DerivedPoint(sides)
        for middle, sides in (("neck", ("left_shoulder", "right_shoulder")), ("mid_hip", ("left_hip", "right_hip")))
        if middle not in points and set(sides) <= set(points)
    }
    return Layout(source, source, points, derived)


def read_layout(path: Path) -> Layout:
    """Read a table; raises ``ValueError`` for a derived point without its sources or a name given twice."""
    content = yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    points = tuple(name for entry in content["points"] for name in _expanded(entry))
    derived = {name: _derived(one) for name, one in (content.get("derived") or {}).items()}
    unknown = [source for one in derived.values() for source in one.sources if source not in points]
    unknown += [name for name in derived if name not in _INDEX or name in points]
    if unknown or len(set(points)) < len(points):
        raise ValueError(f"{path}: names that are unknown or given twice: {', '.join(unknown) or 'points'}")
    return Layout(path.stem, content["description"], points, derived)


def _derived(entry: Mapping[str, Any]) -> DerivedPoint:
    return DerivedPoint(tuple(entry["from"]), float(entry.get("weight", DERIVED_WEIGHT)))


def _expanded(entry: str) -> list[str]:
    span = re.fullmatch(r"(\w+_)(\d+)\.\.(\d+)", entry)
    if span:
        return [f"{span[1]}{k}" for k in range(int(span[2]), int(span[3]) + 1)]
    if entry.endswith("_hand_*"):
        return [f"{entry[:-1]}{name}" for name in HAND_KEYPOINT_NAMES]
    return [entry]


#: Names of other data sets for our points.
_OTHER_NAMES = {
    "hip": "mid_hip",
    "pelvis": "mid_hip",
    "root": "mid_hip",
    "middle_hip": "mid_hip",
    "midhip": "mid_hip",
}


def _plain_name(name: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "_", str(name).strip().lower()).strip("_")
    face = re.fullmatch(r"face_(\d+)", plain)
    hand = re.fullmatch(r"(left|right)_hand_root", plain)
    finger = re.fullmatch(r"(left|right)_(thumb|forefinger|middle_finger|ring_finger|pinky_finger)(\d)", plain)
    if face:
        return f"face_{int(face[1])}"
    if hand:
        return f"{hand[1]}_hand_wrist"
    if finger:
        return f"{finger[1]}_hand_{finger[2].replace('forefinger', 'index').removesuffix('_finger')}{finger[3]}"
    return _OTHER_NAMES.get(plain, plain)
