"""Where the error of a fit comes from: how much is left of it when one part of the pose is replaced by the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from smplifyx.body import skeleton
from smplifyx.body.body_model import BodyModel
from smplifyx.body.model_data import BodyModelData
from smplifyx.errors import InputError, reason
from smplifyx.evaluation.benchmark_fits import BenchmarkFit
from smplifyx.evaluation.benchmark_rows import Truths
from smplifyx.evaluation.metrics import pa_v2v, root_aligned_v2v
from smplifyx.fitting.result import FitResult
from smplifyx.geometry import axis_angle_to_matrix

FloatArray = NDArray[np.float64]

_TRUNK = ("spine1", "spine2", "spine3", "neck", "head", "left_collar", "right_collar")
_LEGS = tuple(f"{side}_{joint}" for side in ("left", "right") for joint in ("hip", "knee", "ankle", "foot"))
_ARMS = tuple(f"{side}_{joint}" for side in ("left", "right") for joint in ("shoulder", "elbow", "wrist"))
#: What is replaced, by joints; the last leaves shape and face alone as sources.
REPLACED: Mapping[str, tuple[int, ...]] = {
    "nothing": (),
    "orientation": (0,),
    "trunk": tuple(skeleton.joint_index(name) for name in _TRUNK),
    "orientation and trunk": (0, *(skeleton.joint_index(name) for name in _TRUNK)),
    "legs": tuple(skeleton.joint_index(name) for name in _LEGS),
    "arms": tuple(skeleton.joint_index(name) for name in _ARMS),
    "hands": tuple(range(skeleton.LEFT_HAND_JOINTS.start, skeleton.RIGHT_HAND_JOINTS.stop)),
    "whole pose": tuple(range(skeleton.N_JOINTS)),
}


def error_sources(
    fits: Sequence[BenchmarkFit],
    truths: Truths,
    rotations: Mapping[str, FloatArray],
    models: Mapping[str, BodyModelData],
) -> list[dict[str, str | float]]:
    """Surface errors in millimetres, ``v2v`` and ``pve``, a row a person and replaced part.

    Args:
        fits: the fits.
        truths: the true surfaces.
        rotations: [55, 3, 3] true local joint rotations by frame name, from :func:`load_true_rotations`.
        models: the fitted body models by gender.
    """
    bodies = {gender: BodyModel.from_data(data, torch.float64) for gender, data in models.items()}
    table: list[dict[str, str | float]] = []
    for fit in fits:
        true_rotations, body = rotations[fit.frame.name], bodies[fit.result.gender]
        fitted = fitted_rotations(fit.result)
        trials = np.stack([fitted] * len(REPLACED))
        for trial, replaced in zip(trials, REPLACED.values(), strict=True):
            trial[list(replaced)] = true_rotations[list(replaced)]
        vertices, joints = _posed(body, fit.result, trials)
        truth = truths.of(fit.frame)
        true = np.broadcast_to(truth.vertices, vertices.shape)
        true_joints = np.broadcast_to(truth.joints, joints.shape)
        aligned, moved = pa_v2v(vertices, true), root_aligned_v2v(vertices, true, joints[:, 0], true_joints[:, 0])
        for part, v2v, pve in zip(REPLACED, aligned, moved, strict=True):
            table.append({"person": fit.frame.name, "replaced": part, "v2v": float(v2v), "pve": float(pve)})
    return table


def fitted_rotations(result: FitResult) -> FloatArray:
    """[55, 3, 3] local joint rotations of a result."""
    pose = np.concatenate(
        [
            result.global_orient, result.body_pose, result.jaw_pose, result.leye_pose, result.reye_pose,
            result.left_hand_pose, result.right_hand_pose,
        ]
    )  # fmt: skip
    return np.asarray(axis_angle_to_matrix(torch.as_tensor(np.float64(pose)).reshape(-1, 3)).numpy())


def load_true_rotations(path: Path) -> dict[str, FloatArray]:
    """Local joint rotations [55, 3, 3] by frame name, from a benchmark's ``truth.npz``.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {str(name): np.float64(r) for name, r in zip(file["names"], file["rotations"], strict=True)}
    except (OSError, ValueError, KeyError) as error:
        raise InputError(path, f"not a benchmark's truth: {reason(error)}") from error


@torch.no_grad()
def _posed(body: BodyModel, result: FitResult, rotations: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Vertices [N, V, 3] and joints [N, 55, 3] of one person in N poses."""

    def repeated(values: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(np.float64(values)).expand(len(rotations), -1)

    output = body(repeated(result.betas), repeated(result.expression), torch.as_tensor(rotations))
    return output.vertices.numpy(), output.joints.numpy()
