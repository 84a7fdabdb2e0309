"""Alignment and distance metrics of 3D bodies.

Points in metres, errors in millimetres, batch first, numpy only. The names follow the field: ``mpjpe`` and ``v2v``
are mean point distances; the prefix ``pa`` means after the best similarity transform ("Procrustes alignment"). Every
function takes optional weights [N] or [B, N]; a weight of zero leaves a missing point out of the alignment and of the
mean.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smplifyx.evaluation.vertex_sets import VertexSets

MILLIMETRES_PER_METRE = 1000.0


FloatArray = NDArray[np.float64]


class Alignment(Enum):
    """Transform that is removed from the prediction before its distance to the truth is measured."""

    NONE = "none"
    RIGID = "rigid"
    SIMILARITY = "similarity"


@dataclass(frozen=True)
class Similarity:
    """``x -> scale * rotation @ x + translation``, one a row.

    Attributes:
        scale: [B].
        rotation: [B, 3, 3] proper rotations.
        translation: [B, 3] metres.
    """

    scale: FloatArray
    rotation: FloatArray
    translation: FloatArray

    def apply(self, points: ArrayLike) -> FloatArray:
        """Transform points [B, N, 3]."""
        rotated = np.asarray(points, dtype=np.float64) @ self.rotation.swapaxes(-1, -2)
        return self.scale[:, None, None] * rotated + self.translation[:, None, :]


def fit_similarity(
    source: ArrayLike, target: ArrayLike, weights: ArrayLike | None = None, with_scale: bool = True
) -> Similarity:
    """The transform that takes ``source`` closest to ``target`` in weighted least squares (Umeyama 1991).

    Reflections are excluded: the rotation always has determinant one. Points with weight zero may be NaN.

    Args:
        source: [B, N, 3] points to move.
        target: [B, N, 3] points to reach.
        weights: [N] or [B, N], not negative.
        with_scale: False keeps the scale at one (rigid alignment).

    Raises:
        ValueError: the shapes disagree, or a row has fewer than three weighted points.
    """
    source_points, target_points, w = _checked(source, target, weights)
    if (np.count_nonzero(w, axis=1) < 3).any():
        raise ValueError("alignment needs at least three points of positive weight in every row")
    w = w / w.sum(axis=1, keepdims=True)
    source_mean = np.einsum("bn,bnd->bd", w, source_points)
    target_mean = np.einsum("bn,bnd->bd", w, target_points)
    centred = source_points - source_mean[:, None]
    covariance = np.einsum("bn,bni,bnj->bij", w, target_points - target_mean[:, None], centred)
    u, singular_values, vt = np.linalg.svd(covariance)
    signs = np.ones_like(singular_values)
    signs[:, 2] = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    rotation = (u * signs[:, None, :]) @ vt
    scale = np.ones(len(source_points))
    if with_scale:
        variance = np.einsum("bn,bnd->b", w, centred**2)
        scale = (signs * singular_values).sum(axis=1) / np.maximum(variance, np.finfo(np.float64).tiny)
    translation = target_mean - scale[:, None] * np.einsum("bij,bj->bi", rotation, source_mean)
    return Similarity(scale, rotation, translation)


def align(
    source: ArrayLike,
    target: ArrayLike,
    weights: ArrayLike | None = None,
    alignment: Alignment = Alignment.SIMILARITY,
) -> FloatArray:
    """``source`` [B, N, 3] moved onto ``target`` [B, N, 3] by the best transform of the given kind."""
    if alignment is Alignment.NONE:
        return np.asarray(source, dtype=np.float64)
    transform = fit_similarity(source, target, weights, with_scale=alignment is Alignment.SIMILARITY)
    return transform.apply(source)


def point_errors(source: ArrayLike, target: ArrayLike, weights: ArrayLike | None = None) -> FloatArray:
    """Distance of each point pair, millimetres [B, N]; NaN where the weight is zero."""
    source_points, target_points, w = _checked(source, target, weights)
    distances = np.linalg.norm(source_points - target_points, axis=-1) * MILLIMETRES_PER_METRE
    return np.where(w > 0, distances, np.nan)


def mpjpe(
    source: ArrayLike,
    target: ArrayLike,
    weights: ArrayLike | None = None,
    alignment: Alignment = Alignment.NONE,
) -> FloatArray:
    """Weighted mean point distance in millimetres [B] after an alignment of all points; NaN for an empty row."""
    _, _, w = _checked(source, target, weights)
    errors = np.nan_to_num(point_errors(align(source, target, weights, alignment), target, w))
    totals = w.sum(axis=1)
    return np.divide((w * errors).sum(axis=1), totals, out=np.full(len(w), np.nan), where=totals > 0)


def pa_mpjpe(source: ArrayLike, target: ArrayLike, weights: ArrayLike | None = None) -> FloatArray:
    """Mean joint distance in millimetres [B] after similarity alignment."""
    return mpjpe(source, target, weights, Alignment.SIMILARITY)


def root_aligned_mpjpe(
    source: ArrayLike,
    target: ArrayLike,
    source_root: ArrayLike,
    target_root: ArrayLike,
    weights: ArrayLike | None = None,
) -> FloatArray:
    """Mean point distance in millimetres [B] after moving the roots [B, 3] (the pelvis, a wrist) onto each other."""
    offset = np.asarray(target_root, dtype=np.float64) - np.asarray(source_root, dtype=np.float64)
    return mpjpe(np.asarray(source, dtype=np.float64) + offset[:, None, :], target, weights)


# Vertices are points like joints: the field only names the figures differently.
v2v = mpjpe
pa_v2v = pa_mpjpe
root_aligned_v2v = root_aligned_mpjpe


def _checked(
    source: ArrayLike, target: ArrayLike, weights: ArrayLike | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    source_points = np.asarray(source, dtype=np.float64)
    target_points = np.asarray(target, dtype=np.float64)
    if source_points.ndim != 3 or source_points.shape[-1] != 3 or source_points.shape != target_points.shape:
        raise ValueError(f"expected two arrays [B, N, 3], found {source_points.shape} and {target_points.shape}")
    shape = source_points.shape[:2]
    w = np.ones(shape) if weights is None else np.broadcast_to(np.asarray(weights, dtype=np.float64), shape)
    if not (w >= 0).all():
        raise ValueError("weights must not be negative or NaN")
    present = (w > 0)[..., None]
    return np.where(present, source_points, 0.0), np.where(present, target_points, 0.0), w


@dataclass(frozen=True)
class SurfaceErrors:
    """Millimetres, one number a person; hands are the mean of both.

    Attributes:
        v2v: all vertices after similarity alignment (the paper's v2v, the field's PA-PVE).
        joints: the 22 body joints after similarity alignment (the paper's joint error).
        pve: all vertices with the pelvis moved onto the true one.
        pve_hands, pa_hands: hands with the wrist moved; after aligning each hand.
        pve_face, pa_face: head with the neck moved; after aligning it.
        mpjpe14, pa_mpjpe14: 14 joints with the pelvis moved; after alignment.
    """

    v2v: float
    joints: float
    pve: float
    pve_hands: float
    pa_hands: float
    pve_face: float
    pa_face: float
    mpjpe14: float
    pa_mpjpe14: float


#: Headings for tables, in the order of the fields.
SURFACE_HEADINGS = {
    "v2v": "v2v (PA-PVE)",
    "joints": "PA joints",
    "pve": "PVE",
    "pve_hands": "PVE hands",
    "pa_hands": "PA-PVE hands",
    "pve_face": "PVE face",
    "pa_face": "PA-PVE face",
    "mpjpe14": "MPJPE 14",
    "pa_mpjpe14": "PA-MPJPE 14",
}
SURFACE_METRICS = tuple(field.name for field in fields(SurfaceErrors))


def surface_errors(fitted: ArrayLike, true: ArrayLike, sets: VertexSets) -> SurfaceErrors:
    """Compare two meshes.

    Args:
        fitted: [V, 3] vertices, in the true mesh's orientation (the camera frame).
        true: [V, 3].
        sets: parts and joints of the topology.

    Raises:
        ValueError: the meshes have different numbers of vertices.
    """
    source, target = (np.asarray(points, dtype=np.float64)[None] for points in (fitted, true))
    if source.shape != target.shape:
        raise ValueError(f"meshes of {source.shape[1]} and {target.shape[1]} vertices cannot be compared")
    pelvis = sets.joint("pelvis", source), sets.joint("pelvis", target)
    body = sets.body_joints @ source, sets.body_joints @ target
    joints = sets.joints14 @ source, sets.joints14 @ target
    hands = (("left_wrist", sets.left_hand), ("right_wrist", sets.right_hand))

    def part(joint: str, vertices: NDArray[np.int64]) -> float:
        roots = sets.joint(joint, source), sets.joint(joint, target)
        return float(root_aligned_v2v(source[:, vertices], target[:, vertices], *roots)[0])

    def aligned(vertices: NDArray[np.int64]) -> float:
        return float(pa_mpjpe(source[:, vertices], target[:, vertices])[0])

    offset = (pelvis[1] - pelvis[0])[:, None]
    return SurfaceErrors(
        v2v=float(pa_mpjpe(source, target)[0]),
        joints=float(pa_mpjpe(*body)[0]),
        pve=float(root_aligned_v2v(source, target, *pelvis)[0]),
        pve_hands=float(np.mean([part(*hand) for hand in hands])),
        pa_hands=float(np.mean([aligned(vertices) for _, vertices in hands])),
        pve_face=part("neck", sets.face),
        pa_face=aligned(sets.face),
        mpjpe14=float(mpjpe(joints[0] + offset, joints[1])[0]),
        pa_mpjpe14=float(pa_mpjpe(*joints)[0]),
    )
