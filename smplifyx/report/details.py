"""Details of one person for the report: residuals by part of the body, losses, figures, keypoints, mesh."""

from __future__ import annotations

import base64
import math
import zlib
from typing import Any

import numpy as np

from smplifyx.result import FitResult
from smplifyx.skeleton import CANONICAL_KEYPOINT_NAMES, HEAD_KEYPOINT_NAMES

_LIMBS = {
    "arm": ("shoulder", "elbow", "wrist"),
    "leg": ("hip", "knee", "ankle"),
    "foot": ("big_toe", "small_toe", "heel"),
}
_PARTS = (
    "head", "trunk", "left arm", "right arm", "left leg", "right leg", "left foot", "right foot",
    "left hand", "right hand", "face",
)  # fmt: skip
#: Step of a coordinate, metres; the rounding is a quarter of it on average.
STEP = 0.0005
#: Largest number: two bytes hold differences of this size, with their sign.
_LARGEST = 32_767


def part_of(keypoint: str) -> str:
    """Part of the body that a canonical keypoint belongs to, of :data:`_PARTS`."""
    if keypoint in HEAD_KEYPOINT_NAMES:
        return "head"
    side, _, rest = keypoint.partition("_")
    if side not in ("left", "right"):
        return "face" if keypoint.startswith("face") else "trunk"
    if rest.startswith("hand"):
        return f"{side} hand"
    return next(f"{side} {limb}" for limb, points in _LIMBS.items() if rest in points)


_PART_OF = tuple(part_of(name) for name in CANONICAL_KEYPOINT_NAMES)


def residuals(result: FitResult) -> list[dict[str, Any]]:
    """Distances between observed and projected keypoints by part of the body, pixels; unseen parts are left out.

    Means are weighted by confidence.
    """
    observed = result.keypoints_2d.astype(np.float64)
    distance = np.linalg.norm(observed[:, :2] - result.projected_keypoints_2d, axis=1)
    used = (observed[:, 2] > 0) & np.isfinite(distance)
    rows = []
    for part in _PARTS:
        points = np.flatnonzero(used & np.array([one == part for one in _PART_OF]))
        if len(points):
            worst = int(points[distance[points].argmax()])
            rows.append(
                {
                    "part": part,
                    "points": len(points),
                    "mean": _rounded(np.average(distance[points], weights=observed[points, 2])),
                    "worst": CANONICAL_KEYPOINT_NAMES[worst].replace("_", " "),
                    "most": _rounded(distance[worst]),
                }
            )
    return rows


def person_size(result: FitResult) -> float:
    """Longer side of the box about the seen keypoints, pixels; 0 without any."""
    seen = result.keypoints_2d[result.keypoints_2d[:, 2] > 0, :2]
    return float(np.ptp(seen, axis=0).max()) if len(seen) else 0.0


def details(result: FitResult) -> dict[str, Any]:
    """The values that the page shows of one person, for JSON; unknown numbers are None."""
    width, height = (int(side) for side in result.image_size)
    observed, projected = result.keypoints_2d, result.projected_keypoints_2d
    return {
        "size": [width, height],
        "camera": [*map(float, result.focal_length), *map(float, result.principal_point)],
        "keypoints": [
            [*map(_rounded, (x, y)), round(float(confidence), 2), *map(_rounded, place)]
            for (x, y, confidence), place in zip(observed, projected, strict=True)
        ],
        "residuals": residuals(result),
        "terms": _terms(result),
        "stages": [_rounded(value) for value in result.stage_losses],
        "figures": _figures(result),
    }


def _terms(result: FitResult) -> list[tuple[str, list[float | None]]]:
    """Name of each term, and its loss at the end of each stage; of older results at the end of the fit alone."""
    terms = result.stage_term_losses or {name: np.array([value]) for name, value in result.losses.items()}
    return [(name.replace("_", " "), [_rounded(value) for value in values]) for name, values in terms.items()]


def _figures(result: FitResult) -> list[tuple[str, str]]:
    """Labels and texts of the figures, unknown ones left out."""
    size = person_size(result)
    share = f" ({result.reprojection_error_px / size:.1%} of the person)" if size else ""
    gender = result.gender + (f", {result.gender_source}" if result.gender_source else "")
    if math.isfinite(result.gender_probability):
        gender += f", probability {result.gender_probability:.2f}"
    (fx, fy), (cx, cy) = result.focal_length, result.principal_point
    focal_length = f"{fx:.0f} px" if abs(fx - fy) < 0.5 else f"{fx:.0f}, {fy:.0f} px"
    height, width = result.image_size[::-1]
    figures = [
        ("Frame", str(result.frame) if result.frame >= 0 else ""),
        ("Track", str(result.track) if result.track >= 0 else ""),
        ("Camera", result.view),
        ("Expected error", _text(result.expected_error_mm, ".0f", " mm")),
        ("Reprojection error", _text(result.reprojection_error_px, ".1f", f" px{share}")),
        ("Keypoints used", str(result.n_keypoints)),
        ("Self-penetration", _text(result.penetration_mm, ".1f", " mm")),
        ("Loss", _text(result.loss, ",.0f", "")),
        ("Evaluations", f"{result.n_evaluations:,}, {'converged' if result.converged else 'not converged'}"),
        ("Time", _text(result.seconds, ".2f", " s")),
        ("Gender", gender),
        ("Reason", result.gender_reason),
        ("Focal length", focal_length + (f", {result.camera_source}" if result.camera_source else "")),
        ("Principal point", f"{cx:.0f}, {cy:.0f} px of {width} x {height}"),
        ("Distance", f"{result.joints[0, 2]:.2f} m from the camera"),
        ("Body model", f"{result.model_name} ({result.model_type})"),
        ("Fitted by", f"smplifyx {result.version}" if result.version else ""),
    ]
    return [(label, text) for label, text in figures if text]


def _text(value: float, form: str, unit: str) -> str:
    return format(value, form) + unit if math.isfinite(value) else ""


def _rounded(value: float) -> float | None:
    """One digit after the point; None for values that are not finite."""
    return round(float(value), 1) if math.isfinite(value) else None


def packed_vertices(vertices: np.ndarray) -> dict[str, Any]:
    """Vertices [V, 3] in metres as values for JSON: ``count``, ``low`` [3], ``step``, and the coordinates packed."""
    low = vertices.min(axis=0).astype(np.float64)
    step = max(STEP, float(np.ptp(vertices, axis=0).max()) / _LARGEST)
    steps = np.rint((vertices - low) / step).astype(np.int64)
    return {"count": len(vertices), "low": low.round(6).tolist(), "step": step, "data": packed(steps.T)}


def packed(rows: np.ndarray) -> str:
    """Whole numbers [R, N] from 0 to 32,767 as base64: differences along a row, compressed.

    A difference d is stored as 2 d, or -2 d - 1 below zero; the low bytes of all precede the high bytes.
    """
    differences = np.diff(rows.astype(np.int64), axis=1, prepend=0)
    folded = np.where(differences < 0, -2 * differences - 1, 2 * differences).astype("<u2")
    planes = folded.reshape(-1, 1).view(np.uint8).T
    return base64.b64encode(zlib.compress(planes.tobytes(), 6)).decode("ascii")
