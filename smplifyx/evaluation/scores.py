"""Errors of fitted people: a row for every frame of a benchmark, and scores of synthetic people.

Posture angles, size and depth are among them: errors that photos hide, such as a leaning trunk or a wrong facing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from smplifyx import skeleton
from smplifyx.body.correspondence import SurfaceMap, nearest_surface_map, same_mesh
from smplifyx.body.data import BodyModelData
from smplifyx.errors import InputError
from smplifyx.evaluation.ablations import BenchmarkFit, Trial
from smplifyx.evaluation.ehf_layout import Frame
from smplifyx.evaluation.metrics import (
    SURFACE_METRICS,
    VertexSets,
    fit_similarity,
    pa_mpjpe,
    pa_v2v,
    root_aligned_mpjpe,
    root_aligned_v2v,
    surface_errors,
)
from smplifyx.priors import hyperextension
from smplifyx.rotations import axis_angle_to_matrix
from smplifyx.skeleton import BODY_KEYPOINT_NAMES, JOINT_NAMES

FloatArray = NDArray[np.float64]

#: A joint counts as bent against itself beyond this angle (degrees).
MAX_WRONG_BEND = 10.0
#: The order of :func:`hinge_bends`.
HINGE_NAMES = ("left_elbow", "right_elbow", "left_knee", "right_knee")


def hinge_bends(rotations: ArrayLike) -> FloatArray:
    """Bend of each elbow and knee against its joint, degrees [P, 4], for body rotations [P, 21, 3, 3]."""
    degrees = torch.rad2deg(hyperextension(torch.as_tensor(np.asarray(rotations, np.float64))))
    return np.asarray(degrees.numpy())


def hinge_bends_of_pose(body_pose: ArrayLike) -> FloatArray:
    """The same [4] for one pose [63] in axis-angle."""
    pose = torch.as_tensor(np.asarray(body_pose, np.float64)).reshape(1, -1, 3)
    return hinge_bends(axis_angle_to_matrix(pose).numpy())[0]


@dataclass(frozen=True)
class Posture:
    """The directions and angles that make up a posture.

    Attributes:
        trunk: [3] from the hips to the neck.
        left: [3] from right to left through hips and shoulders.
        knee_flexion_deg: left and right, zero for a straight leg.
    """

    trunk: FloatArray
    left: FloatArray
    knee_flexion_deg: tuple[float, float]


@dataclass(frozen=True)
class PostureErrors:
    """Fitted against true posture, degrees; NaN where a joint is missing.

    Attributes:
        trunk_angle: angle between the two trunks.
        lean: the part of it in the true person's forward plane; positive when the fit leans too far forward.
        heading: turn about the true trunk, positive to the person's right; near 180 when the fit faces backwards.
        left_knee, right_knee: fitted minus true flexion; positive when the fit bends too much.
    """

    trunk_angle: float
    lean: float
    heading: float
    left_knee: float
    right_knee: float


def posture_of_keypoints(points: FloatArray) -> Posture:
    """Posture of BODY_25 keypoints [25 or more, 3] in space."""
    return _posture(points, BODY_KEYPOINT_NAMES, "mid_hip")


def posture_of_joints(joints: FloatArray) -> Posture:
    """Posture of SMPL-X joints [22 or more, 3]."""
    return _posture(joints, JOINT_NAMES, "pelvis")


def posture_errors(fitted: Posture, true: Posture) -> PostureErrors:
    """Compare two postures given in one frame."""
    up = true.trunk / np.linalg.norm(true.trunk)
    left = true.left - up * (true.left @ up)
    left = left / np.linalg.norm(left)
    forward = np.cross(left, up)
    return PostureErrors(
        trunk_angle=_angle(fitted.trunk, true.trunk),
        lean=float(np.degrees(np.arctan2(fitted.trunk @ forward, fitted.trunk @ up))),
        heading=float(np.degrees(np.arctan2(fitted.left @ forward, fitted.left @ left))),
        left_knee=fitted.knee_flexion_deg[0] - true.knee_flexion_deg[0],
        right_knee=fitted.knee_flexion_deg[1] - true.knee_flexion_deg[1],
    )


def _posture(points: FloatArray, names: Sequence[str], root: str) -> Posture:
    def point(name: str) -> FloatArray:
        return np.asarray(points[names.index(name)], dtype=np.float64)

    def flexion(side: str) -> float:
        hip, knee, ankle = (point(f"{side}_{joint}") for joint in ("hip", "knee", "ankle"))
        return _angle(knee - hip, ankle - knee)

    left = point("left_hip") - point("right_hip") + point("left_shoulder") - point("right_shoulder")
    return Posture(point("neck") - point(root), left, (flexion("left"), flexion("right")))


def _angle(a: FloatArray, b: FloatArray) -> float:
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)))


def placement(true_joints: FloatArray, fitted_joints: FloatArray) -> dict[str, float]:
    """Depth and size in percent and the posture's angles, from joints [22 or more, 3] of any body of the family."""
    angles = asdict(posture_errors(posture_of_joints(fitted_joints), posture_of_joints(true_joints)))
    return {
        "depth_percent": float(100.0 * (fitted_joints[0, 2] / true_joints[0, 2] - 1.0)),
        "size_percent": 100.0 * (_size(fitted_joints) / _size(true_joints) - 1.0),
        **{f"{name}_deg": angle for name, angle in angles.items()},
    }


def _size(joints: FloatArray) -> float:
    """Summed length of the bones of both legs and the trunk, which no pose changes (metres)."""
    chain = [
        skeleton.joint_index(f"{side}_{joint}") for side in ("left", "right") for joint in ("hip", "knee", "ankle")
    ] + [skeleton.joint_index(joint) for joint in ("spine1", "spine2", "spine3", "neck", "head")]
    return float(sum(np.linalg.norm(joints[j] - joints[skeleton.PARENTS[j]]) for j in chain))


Row = dict[str, str | float]

#: Body joints that the models of the family share, in the same order, pelvis first.
_N_BODY = 22
#: Vertices of two templates that must lie close before they are aligned by them.
_LEAST_MATCHED = 100


@dataclass(frozen=True)
class FrameTruth:
    """The truth of one frame in the camera frame, metres: ``vertices`` [V, 3] and ``joints`` [55, 3]."""

    vertices: FloatArray
    joints: FloatArray


class Truths:
    """The true bodies of a benchmark, read when asked for.

    Args:
        data: a body model with the truth's mesh; its regressor finds the joints where they are not given.
        joints: true joints by frame name.
    """

    def __init__(self, data: BodyModelData, joints: Mapping[str, FloatArray]) -> None:
        self._regressor = np.asarray(data.joint_regressor, dtype=np.float64)
        self._joints = joints
        self._read: dict[str, FrameTruth] = {}

    def of(self, frame: Frame) -> FrameTruth:
        """Raises ``InputError`` for a damaged mesh or one of another topology."""
        if frame.name not in self._read:
            vertices = frame.true_vertices(self._regressor.shape[1])
            joints = self._joints.get(frame.name)
            self._read[frame.name] = FrameTruth(vertices, self._regressor @ vertices if joints is None else joints)
        return self._read[frame.name]


def rows_of(
    trial: Trial, fits: Sequence[BenchmarkFit], truths: Truths, sets: VertexSets, surface: SurfaceMap | None = None
) -> list[Row]:
    """One row a person: who, how fitted, all errors.

    Args:
        trial: how.
        fits: the fits.
        truths: the true bodies.
        sets: parts and joints of the true mesh.
        surface: the point of the true surface that each fitted vertex stands for; None where the meshes are the same.
    """
    return [_row(trial, fit, truths.of(fit.frame), sets, surface) for fit in fits]


def surface_between(fitted: BodyModelData, true: BodyModelData) -> SurfaceMap | None:
    """Map the vertices of another mesh to the true one, by the nearest points of both templates.

    The templates are moved together by their pelvises, then by a similarity of the points that were found near.
    """
    if same_mesh(fitted, true):
        return None
    points = _from_pelvis(fitted)
    target = _from_pelvis(true)
    found = nearest_surface_map(points, fitted.faces, target, true.faces)
    if found.matched.sum() >= _LEAST_MATCHED:
        near = np.einsum("nkc,nk->nc", target[found.corners], found.weights)
        transform = fit_similarity(points[found.matched][None], near[found.matched][None])
        found = nearest_surface_map(transform.apply(points[None])[0], fitted.faces, target, true.faces)
    return found


def _from_pelvis(data: BodyModelData) -> FloatArray:
    template = np.asarray(data.v_template, dtype=np.float64)
    return np.asarray(template - data.joint_regressor[0] @ template)


def _row(trial: Trial, fit: BenchmarkFit, truth: FrameTruth, sets: VertexSets, surface: SurfaceMap | None) -> Row:
    return {
        "config": trial.label,
        "variant": trial.variant.key,
        "camera": trial.camera,
        "noise": 1.0 if trial.noise_level is None else trial.noise_level,
        "person": fit.frame.name,
        "gender": fit.frame.gender,
        "tags": _words(fit.frame.tags),
        **_figures(fit, truth, sets, surface),
        "expected_error_mm": fit.result.expected_error_mm,
        "flags": " ".join(fit.result.flags),
    }


def _figures(fit: BenchmarkFit, truth: FrameTruth, sets: VertexSets, surface: SurfaceMap | None) -> dict[str, float]:
    """All figures; NaN for a fit that failed."""
    if not fit.succeeded:
        return dict.fromkeys((*SURFACE_METRICS, *placement(truth.joints, truth.joints)), np.nan)
    return {**_errors(fit, truth, sets, surface), **placement(truth.joints, fit.joints)}


def _errors(fit: BenchmarkFit, truth: FrameTruth, sets: VertexSets, surface: SurfaceMap | None) -> dict[str, float]:
    """Surface errors; for another mesh those of the whole surface and of the joints that the models share."""
    if surface is None:
        return asdict(surface_errors(fit.vertices, truth.vertices, sets))
    corners = truth.vertices[surface.corners]
    counterparts = np.einsum("nkc,nk->nc", corners, surface.weights)
    pelvis, true_pelvis = fit.joints[:1], sets.joint("pelvis", truth.vertices[None])
    weights = surface.matched.astype(np.float64)
    joints, true_joints = fit.joints[None, :_N_BODY], (sets.body_joints @ truth.vertices)[None]
    found = {
        "v2v": pa_v2v(fit.vertices[None], counterparts[None], weights),
        "joints": pa_mpjpe(joints, true_joints),
        "pve": root_aligned_v2v(fit.vertices[None], counterparts[None], pelvis, true_pelvis, weights),
    }
    return {name: float(found[name][0]) if name in found else np.nan for name in SURFACE_METRICS}


def result_row(frame: Frame, vertices: FloatArray, truths: Truths, sets: VertexSets) -> Row:
    """The row of a mesh [V, 3] of which nothing else is known; raises ``InputError`` for another topology."""
    truth = truths.of(frame)
    if vertices.shape != truth.vertices.shape:
        problem = f"has {len(truth.vertices)} vertices, the result {len(vertices)}; they cannot be compared"
        raise InputError(frame.mesh, problem)
    return {
        "person": frame.name,
        "gender": frame.gender,
        "tags": _words(frame.tags),
        **asdict(surface_errors(vertices, truth.vertices, sets)),
    }


def _words(tags: Sequence[str]) -> str:
    return " ".join(tag.replace(" ", "-") for tag in tags)


_BODY = list(range(skeleton.BODY_JOINTS.stop))


class Truth(Protocol):
    """A person whose vertices [V, 3] and joints [55, 3] in the camera frame are known, metres."""

    @property
    def vertices(self) -> FloatArray:
        """[V, 3]."""
        ...

    @property
    def joints(self) -> FloatArray:
        """[55, 3]."""
        ...


def score(person: Truth, fitted_vertices: FloatArray, fitted_joints: FloatArray) -> dict[str, float]:
    """Errors in millimetres, degrees and percent.

    ``pa_`` is after similarity alignment, ``v2v_pelvis_mm`` and ``mpjpe_pelvis_mm`` after moving the pelvis; the
    angles are those of :class:`~smplifyx.evaluation.scores.PostureErrors`; ``size_percent`` is the fitted over the
    true length of legs and trunk, ``depth_percent`` that of the pelvis's depth, minus one.

    Args:
        person: the truth.
        fitted_vertices: [V, 3] camera frame with translation, metres, on the person's mesh.
        fitted_joints: [55, 3] in the same frame.

    Raises:
        ValueError: the meshes have different numbers of vertices.
    """
    vertices, joints = (np.asarray(points, dtype=np.float64)[None] for points in (fitted_vertices, fitted_joints))
    true_vertices, true_joints = person.vertices[None], person.joints[None]
    pelvis, true_pelvis = joints[:, 0], true_joints[:, 0]
    hands = [pa_mpjpe(joints[:, hand], true_joints[:, hand])[0] for hand in skeleton.HAND_JOINTS.values()]
    return {
        "pa_v2v_mm": float(pa_v2v(vertices, true_vertices)[0]),
        "v2v_pelvis_mm": float(root_aligned_v2v(vertices, true_vertices, pelvis, true_pelvis)[0]),
        "pa_mpjpe_mm": float(pa_mpjpe(joints[:, _BODY], true_joints[:, _BODY])[0]),
        "mpjpe_pelvis_mm": float(root_aligned_mpjpe(joints[:, _BODY], true_joints[:, _BODY], pelvis, true_pelvis)[0]),
        "pa_hands_mm": float(np.mean(hands)),
        **placement(person.joints, joints[0]),
    }
