"""Errors of single joints and limbs: along the line of sight, which one photo hardly shows, and across it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smplifyx.body.canonical_keypoints import BODY_KEYPOINT_NAMES
from smplifyx.body.skeleton import joint_index
from smplifyx.evaluation.benchmark_fits import BenchmarkFit
from smplifyx.evaluation.benchmark_rows import Row, Truths
from smplifyx.evaluation.metrics import MILLIMETRES_PER_METRE

FloatArray = NDArray[np.float64]

_SIDES = ("left", "right")
_JOINTS = ("shoulder", "elbow", "wrist", "knee", "ankle")
#: A limb and the joints at its ends.
LIMBS = {"thigh": ("hip", "knee"), "shin": ("knee", "ankle"), "upper arm": ("shoulder", "elbow"),
         "forearm": ("elbow", "wrist")}  # fmt: skip
#: A limb counts as mirrored in depth where both its slopes exceed this sine and have different signs.
_SLOPE = 0.25


def joint_rows(fits: Sequence[BenchmarkFit], truths: Truths) -> list[Row]:
    """A row a person and joint of arms and legs, millimetres with the pelvis moved onto the true one.

    ``seen`` is 1 where the detector reported the joint; ``depth`` lies along the line of sight and is signed
    (positive: too far away), ``across`` is perpendicular to it.
    """
    rows: list[Row] = []
    for fit in fits:
        true = truths.of(fit.frame).joints
        offset = (fit.joints - fit.joints[0]) - (true - true[0])
        for name in (f"{side}_{joint}" for joint in _JOINTS for side in _SIDES):
            joint = joint_index(name)
            sight = true[joint] / np.linalg.norm(true[joint])
            depth = float(offset[joint] @ sight)
            across = float(np.linalg.norm(offset[joint] - depth * sight))
            seen = fit.result.keypoints_2d[BODY_KEYPOINT_NAMES.index(name), 2] > 0
            rows.append(
                {
                    "person": fit.frame.name,
                    "joint": name,
                    "seen": float(seen),
                    "error": MILLIMETRES_PER_METRE * float(np.linalg.norm(offset[joint])),
                    "depth": MILLIMETRES_PER_METRE * depth,
                    "across": MILLIMETRES_PER_METRE * across,
                }
            )
    return rows


def joint_table(rows: Sequence[Row]) -> list[dict[str, str | float]]:
    """Means of :func:`joint_rows` over both sides, apart for joints that were seen and that were not."""
    table: list[dict[str, str | float]] = []
    for joint in _JOINTS:
        for seen in (1.0, 0.0):
            group = [row for row in rows if str(row["joint"]).endswith(joint) and row["seen"] == seen]
            line: dict[str, str | float] = {"joint": joint, "seen": "yes" if seen else "no", "number": len(group)}
            for name in ("error", "depth", "across"):
                values = np.abs([float(row[name]) for row in group])
                line[f"{name}, mean"] = float(values.mean()) if len(group) else np.nan
                line[f"{name}, median"] = float(np.median(values)) if len(group) else np.nan
            table.append(line)
    return table


def mirrored_limbs(fits: Sequence[BenchmarkFit], truths: Truths) -> list[dict[str, str | float]]:
    """How many limbs point towards the camera and should point away, or the other way round.

    The angle, in degrees, is between fitted and true direction of the limb.
    """
    table: list[dict[str, str | float]] = []
    for limb, ends in LIMBS.items():
        angles, mirrored = [], 0
        for fit in fits:
            true = truths.of(fit.frame).joints
            for side in _SIDES:
                first, second = (joint_index(f"{side}_{end}") for end in ends)
                a, b = (_unit(joints[second] - joints[first]) for joints in (fit.joints, true))
                angles.append(np.degrees(np.arccos(np.clip(a @ b, -1.0, 1.0))))
                mirrored += bool(a[2] * b[2] < 0 and min(abs(a[2]), abs(b[2])) > _SLOPE)
        table.append(
            {
                "limb": limb,
                "number": len(angles),
                "mirrored": mirrored,
                "angle, mean": float(np.mean(angles)),
                "angle, median": float(np.median(angles)),
            }
        )
    return table


def _unit(vector: FloatArray) -> FloatArray:
    return vector / np.linalg.norm(vector)
