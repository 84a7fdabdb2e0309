"""Checks of a results folder without truth: reprojection, facing, joints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smplifyx.errors import InputError
from smplifyx.evaluation.posture import HINGE_NAMES, MAX_WRONG_BEND, hinge_bends_of_pose
from smplifyx.evaluation.tables import Row
from smplifyx.output.layout import OutputLayout
from smplifyx.result import FitResult, load_result
from smplifyx.skeleton import BODY_KEYPOINT_NAMES, BODY_KEYPOINTS, JOINT_NAMES

FloatArray = NDArray[np.float64]

_CONFIDENT = 0.5
#: A keypoint this near, as a share of the person's box, is hit.
_HIT = 0.05
#: Column of the share of such keypoints.
_WITHIN = f"within {_HIT:.0%}"
#: Shoulders further apart than this share of the trunk, across it, distinguish chest from back.
_CLEAR_ORDER = 0.25


@dataclass(frozen=True)
class PhotoFit:
    """Checks of one person without truth.

    Attributes:
        name: image stem and person.
        errors: [25] distance of each confident body keypoint from its projection, as a share of the longer side of
            the box about those keypoints; NaN for the others.
        faces_away: True where the fitted chest and the shoulders in the photo disagree about facing the camera;
            None where the shoulders do not tell.
        wrong_bends: joints bent against their hinge, with the angle in degrees.
        flags: the fit's own warnings.
    """

    name: str
    errors: FloatArray
    faces_away: bool | None
    wrong_bends: dict[str, float]
    flags: tuple[str, ...]

    @property
    def n_problems(self) -> int:
        """Number of faults of the pose itself."""
        return int(self.faces_away is True) + len(self.wrong_bends)

    @property
    def mean_error(self) -> float:
        """Mean of the distances; NaN for a person without confident keypoints."""
        return float(np.nanmean(self.errors)) if np.isfinite(self.errors).any() else float("nan")


def judge_folder(folder: str | Path, left_out: Callable[[InputError], None]) -> list[PhotoFit]:
    """Judge all people of a folder that ``smplifyx fit`` wrote, by name.

    Args:
        folder: output folder of ``smplifyx fit``.
        left_out: called with the reason for each result that cannot be read.

    Raises:
        InputError: there are no results in it.
    """
    paths = [path for *_, path in OutputLayout(Path(folder)).results()]
    if not paths:
        raise InputError(Path(folder), "holds no results; expected an output folder of `smplifyx fit`")
    fits = []
    for path in paths:
        try:
            fits.append(judge(load_result(path), f"{path.parent.name}/{path.stem}"))
        except InputError as error:
            left_out(error)
    return fits


def judge(result: FitResult, name: str) -> PhotoFit:
    """Judge one person."""
    return PhotoFit(name, _errors(result), _faces_away(result), _wrong_bends(result), tuple(result.flags))


def summary_rows(fits: Sequence[PhotoFit]) -> list[Row]:
    """One row a figure over all people; at least one person is needed."""
    n_judged = sum(fit.faces_away is not None for fit in fits)
    flags = Counter(flag for fit in fits for flag in fit.flags)
    hits = np.concatenate([_hits(fit.errors) for fit in fits])
    rows = [
        ("people", str(len(fits)), ""),
        (f"keypoints within {_HIT:.0%} of the box", _percent(hits), f"of {len(hits)}"),
        ("people facing the wrong way", str(sum(fit.faces_away is True for fit in fits)), f"of {n_judged}"),
        ("people with a joint bent backwards", str(sum(bool(fit.wrong_bends) for fit in fits)), f"of {len(fits)}"),
        ("flags", str(flags.total()), ", ".join(f"{flag} {count}" for flag, count in flags.most_common())),
    ]
    return [{"": title, "value": value, "remark": remark} for title, value, remark in rows]


def keypoint_rows(fits: Sequence[PhotoFit]) -> list[Row]:
    """One row a visible body keypoint: number of people, share of hits, median distance."""
    columns = np.stack([fit.errors for fit in fits], axis=1)
    rows: list[Row] = []
    for name, column in zip(BODY_KEYPOINT_NAMES, columns, strict=True):
        hits = _hits(column)
        if len(hits):
            median = f"{100 * np.nanmedian(column):.1f} %"
            rows.append({"keypoint": name, "seen": len(hits), _WITHIN: _percent(hits), "median distance": median})
    return rows


def worst_rows(fits: Sequence[PhotoFit], count: int = 10) -> list[Row]:
    """The people with the most problems of pose first; among equals, those whose keypoints are furthest off."""

    def badness(fit: PhotoFit) -> tuple[int, float]:
        return fit.n_problems, 0.0 if np.isnan(fit.mean_error) else fit.mean_error

    return [
        {
            "worst people": fit.name,
            _WITHIN: _percent(_hits(fit.errors)),
            "mean distance": "-" if np.isnan(fit.mean_error) else f"{100 * fit.mean_error:.1f} %",
            "remarks": ", ".join(_remarks(fit)),
        }
        for fit in sorted(fits, key=badness, reverse=True)[:count]
    ]


def _errors(result: FitResult) -> FloatArray:
    """As :attr:`PhotoFit.errors`."""
    observed = np.asarray(result.keypoints_2d[BODY_KEYPOINTS], np.float64)
    projected = np.asarray(result.projected_keypoints_2d[BODY_KEYPOINTS], np.float64)
    confident = observed[:, 2] > _CONFIDENT
    errors = np.full(len(observed), np.nan)
    if confident.any():
        side = np.ptp(observed[confident, :2], axis=0).max()
        if side > 0:
            errors[confident] = np.linalg.norm(observed[confident, :2] - projected[confident], axis=1) / side
    return errors


def _faces_away(result: FitResult) -> bool | None:
    """As :attr:`PhotoFit.faces_away`; None for a hand or a head alone.

    Signs are taken relative to the trunk, so that a handstand counts too.
    """
    if not result.body_pose.size:
        return None
    names = ("left_shoulder", "right_shoulder", "neck", "mid_hip")
    points = np.asarray(result.keypoints_2d[[BODY_KEYPOINT_NAMES.index(name) for name in names]], np.float64)
    if points[:, 2].min() <= _CONFIDENT:
        return None
    left, right, neck, hip = points[:, :2]
    trunk, across = neck - hip, left - right
    length = np.linalg.norm(trunk)
    if not length:
        return None
    # Positive where the left shoulder lies to the right of a trunk that points up: a person seen from the front.
    order = (trunk[0] * across[1] - trunk[1] * across[0]) / length**2
    if abs(order) <= _CLEAR_ORDER:
        return None
    return bool((order > 0) != _chest_faces_camera(result.joints))


def _chest_faces_camera(joints: NDArray[np.floating]) -> bool:
    """Check whether the camera sees the chest of joints [55, 3] in the camera frame."""
    left, right, neck, pelvis = (
        np.asarray(joints[JOINT_NAMES.index(name)], np.float64)
        for name in ("left_shoulder", "right_shoulder", "neck", "pelvis")
    )
    forward = np.cross(left - right, neck - pelvis)
    return float(forward @ (left + right)) < 0


def _wrong_bends(result: FitResult) -> dict[str, float]:
    """As :attr:`PhotoFit.wrong_bends`; none for a hand or a head alone."""
    if not result.body_pose.size:
        return {}
    degrees = hinge_bends_of_pose(result.body_pose).tolist()
    return {name: angle for name, angle in zip(HINGE_NAMES, degrees, strict=True) if angle > MAX_WRONG_BEND}


def _hits(errors: FloatArray) -> NDArray[np.bool_]:
    """Hit or missed, for the keypoints that were seen."""
    return errors[np.isfinite(errors)] <= _HIT


def _percent(hits: NDArray[np.bool_]) -> str:
    return f"{100 * hits.mean():.1f} %" if len(hits) else "-"


def _remarks(fit: PhotoFit) -> Iterator[str]:
    if fit.faces_away:
        yield "faces the wrong way"
    for name, angle in fit.wrong_bends.items():
        yield f"{name} {angle:.0f} deg backwards"
    yield from fit.flags
