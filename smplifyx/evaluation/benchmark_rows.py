"""A row of figures for every fitted frame of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from smplifyx.body.model_data import BodyModelData
from smplifyx.errors import InputError
from smplifyx.evaluation.benchmark_fits import BenchmarkFit, Trial
from smplifyx.evaluation.ehf_layout import Frame
from smplifyx.evaluation.scoring import score
from smplifyx.evaluation.surface_metrics import surface_errors
from smplifyx.evaluation.vertex_sets import VertexSets

FloatArray = NDArray[np.float64]
Row = dict[str, str | float]

#: Of the figures of :func:`smplifyx.evaluation.scoring.score` those that tell where errors come from.
_DETAILS = (
    "mpjpe_pelvis_mm", "depth_percent", "size_percent", "trunk_angle_deg", "lean_deg", "heading_deg", "left_knee_deg",
    "right_knee_deg",
)  # fmt: skip


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


def rows_of(trial: Trial, fits: Sequence[BenchmarkFit], truths: Truths, sets: VertexSets) -> list[Row]:
    """One row a person: who, how fitted, all errors."""
    return [_row(trial, fit, truths.of(fit.frame), sets) for fit in fits]


def _row(trial: Trial, fit: BenchmarkFit, truth: FrameTruth, sets: VertexSets) -> Row:
    details = score(truth, fit.vertices, fit.joints)
    return {
        "config": trial.label,
        "variant": trial.variant.key,
        "camera": trial.camera,
        "noise": 1.0 if trial.noise_level is None else trial.noise_level,
        "person": fit.frame.name,
        "gender": fit.frame.gender,
        "tags": _words(fit.frame.tags),
        **asdict(surface_errors(fit.vertices, truth.vertices, sets)),
        **{name: details[name] for name in _DETAILS},
        "flags": " ".join(fit.result.flags),
    }


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
