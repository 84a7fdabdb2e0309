"""Errors of fitted people: a row for every frame of a benchmark, and scores of synthetic people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from smplifyx import skeleton
from smplifyx.body.correspondence import SurfaceMap, nearest_surface_map, same_mesh
from smplifyx.body.data import BodyModelData
from smplifyx.errors import InputError
from smplifyx.evaluation.ablations import BenchmarkFit, Trial
from smplifyx.evaluation.ehf_layout import Frame
from smplifyx.evaluation.metrics import (
    SURFACE_METRICS,
    fit_similarity,
    pa_mpjpe,
    pa_v2v,
    root_aligned_mpjpe,
    root_aligned_v2v,
    surface_errors,
)
from smplifyx.evaluation.posture import placement
from smplifyx.evaluation.tables import Row
from smplifyx.evaluation.vertex_sets import VertexSets

FloatArray = NDArray[np.float64]

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
    body, true_body = joints[:, :_N_BODY], true_joints[:, :_N_BODY]
    hands = [pa_mpjpe(joints[:, hand], true_joints[:, hand])[0] for hand in skeleton.HAND_JOINTS.values()]
    return {
        "pa_v2v_mm": float(pa_v2v(vertices, true_vertices)[0]),
        "v2v_pelvis_mm": float(root_aligned_v2v(vertices, true_vertices, pelvis, true_pelvis)[0]),
        "pa_mpjpe_mm": float(pa_mpjpe(body, true_body)[0]),
        "mpjpe_pelvis_mm": float(root_aligned_mpjpe(body, true_body, pelvis, true_pelvis)[0]),
        "pa_hands_mm": float(np.mean(hands)),
        **placement(person.joints, joints[0]),
    }
