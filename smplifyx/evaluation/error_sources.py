"""Errors of single joints and limbs: along the line of sight, which one photo hardly shows, and across it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from smplifyx import skeleton
from smplifyx.body.data import BodyModelData
from smplifyx.body.model import BodyModel
from smplifyx.evaluation.ablations import BenchmarkFit, Hand
from smplifyx.evaluation.metrics import MILLIMETRES_PER_METRE, SURFACE_HEADINGS, pa_mpjpe, pa_v2v, root_aligned_v2v
from smplifyx.evaluation.scores import Truths
from smplifyx.evaluation.statistics import difference_interval, mean_interval
from smplifyx.evaluation.tables import Row
from smplifyx.result import FitResult
from smplifyx.rotations import axis_angle_to_matrix
from smplifyx.skeleton import BODY_KEYPOINT_NAMES, joint_index

FloatArray = NDArray[np.float64]
Table = list[Row]

_SIDES = ("left", "right")
_JOINTS = ("shoulder", "elbow", "wrist", "knee", "ankle")
#: A limb and the joints at its ends.
LIMBS = {"thigh": ("hip", "knee"), "shin": ("knee", "ankle"), "upper arm": ("shoulder", "elbow"),
         "forearm": ("elbow", "wrist")}  # fmt: skip
#: A limb counts as mirrored in depth where both its slopes exceed this sine and have different signs.
_SLOPE = 0.25
_TRUNK = ("spine1", "spine2", "spine3", "neck", "head", "left_collar", "right_collar")
_LEGS = tuple(f"{side}_{joint}" for side in _SIDES for joint in ("hip", "knee", "ankle", "foot"))
_ARMS = tuple(f"{side}_{joint}" for side in _SIDES for joint in ("shoulder", "elbow", "wrist"))
#: Replaced parts by their joints; with the last, only shape and face are sources of error.
REPLACED: Mapping[str, tuple[int, ...]] = {
    "nothing": (),
    "orientation": (0,),
    "trunk": tuple(joint_index(name) for name in _TRUNK),
    "orientation and trunk": (0, *(joint_index(name) for name in _TRUNK)),
    "legs": tuple(joint_index(name) for name in _LEGS),
    "arms": tuple(joint_index(name) for name in _ARMS),
    "hands": tuple(range(skeleton.LEFT_HAND_JOINTS.start, skeleton.RIGHT_HAND_JOINTS.stop)),
    "whole pose": tuple(range(skeleton.N_JOINTS)),
}


@dataclass(frozen=True)
class Diagnosis:
    """Measurements on the fits of one configuration.

    Attributes:
        sources: rows of :func:`smplifyx.evaluation.error_sources.error_sources`; none where the pose is unknown.
        joints: rows of :func:`smplifyx.evaluation.error_sources.joint_rows`.
        limbs: the table of :func:`smplifyx.evaluation.error_sources.mirrored_limbs`.
    """

    sources: Sequence[Row]
    joints: Sequence[Row]
    limbs: Sequence[Row]


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


def joint_table(rows: Sequence[Row]) -> list[Row]:
    """Means of :func:`joint_rows` over both sides, apart for joints that were seen and that were not."""
    table: list[Row] = []
    for joint in _JOINTS:
        for seen in (1.0, 0.0):
            group = [row for row in rows if str(row["joint"]).endswith(joint) and row["seen"] == seen]
            line: Row = {"joint": joint, "seen": "yes" if seen else "no", "number": len(group)}
            for name in ("error", "depth", "across"):
                values = np.abs([float(row[name]) for row in group])
                line[f"{name}, mean"] = float(values.mean()) if len(group) else np.nan
                line[f"{name}, median"] = float(np.median(values)) if len(group) else np.nan
            table.append(line)
    return table


def mirrored_limbs(fits: Sequence[BenchmarkFit], truths: Truths) -> list[Row]:
    """Count limbs that point towards the camera and should point away, or the other way round.

    The angle, in degrees, is between fitted and true direction of the limb.
    """
    table: list[Row] = []
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


def error_sources(
    fits: Sequence[BenchmarkFit],
    truths: Truths,
    rotations: Mapping[str, FloatArray],
    models: Mapping[str, BodyModelData],
) -> list[Row]:
    """Surface errors in millimetres, ``v2v`` and ``pve``, a row a person and replaced part.

    Args:
        fits: the fits.
        truths: the true surfaces.
        rotations: [55, 3, 3] true local joint rotations by frame name, from :func:`load_true_rotations`.
        models: the fitted body models by gender.
    """
    bodies = {gender: BodyModel.from_data(data, torch.float64) for gender, data in models.items()}
    table: list[Row] = []
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


def diagnosis_tables(diagnoses: Mapping[str, Diagnosis]) -> dict[str, tuple[str, Table]]:
    """Heading and table by file name."""
    tables: dict[str, tuple[str, Table]] = {}
    if any(one.sources for one in diagnoses.values()):
        heading = "Remaining surface error when a part of the pose is replaced by the truth"
        tables["error_sources"] = (heading, _source_means(diagnoses))
    if diagnoses:
        tables["joints"] = (
            "Joints along the line of sight and across it, pelvis moved onto the true one",
            [{"config": label, **line} for label, one in diagnoses.items() for line in joint_table(one.joints)],
        )
        tables["limbs"] = (
            "Limbs: angles to the truth in degrees, and how many are mirrored in depth",
            [{"config": label, **line} for label, one in diagnoses.items() for line in one.limbs],
        )
    return tables


def hand_rows(
    level: float, alone: Mapping[Hand, FloatArray], whole: Sequence[BenchmarkFit], truths: Truths
) -> list[Row]:
    """A row a hand that both ways fitted: errors of its 16 joints after similarity alignment, millimetres.

    Args:
        level: of the keypoints' noise.
        alone: joints of hands fitted alone.
        whole: whole bodies fitted to the same keypoints.
        truths: the true bodies.
    """
    rows: list[Row] = []
    for fit in whole:
        true = truths.of(fit.frame).joints
        for side, joints in skeleton.HAND_JOINTS.items():
            hand = alone.get((fit.frame.name, side))
            if hand is None:
                continue
            errors = {
                "whole body": pa_mpjpe(fit.joints[None, joints], true[None, joints]),
                "alone": pa_mpjpe(hand[None], true[None, joints]),
            }
            row: Row = {"noise": level, "person": fit.frame.name, "side": side}
            rows.append(row | {name: float(error[0]) for name, error in errors.items()})
    return rows


def hand_table(rows: Sequence[Row]) -> list[Row]:
    """Means by noise level, and the difference hand by hand."""
    table: list[Row] = []
    for level in sorted({float(row["noise"]) for row in rows}):
        group = [row for row in rows if row["noise"] == level]
        whole, alone = ([float(row[name]) for row in group] for name in ("whole body", "alone"))
        line: Row = {"noise": level, "hands": len(group)}
        for name, interval in (
            ("whole body", mean_interval(whole)),
            ("alone", mean_interval(alone)),
            ("alone minus whole body", difference_interval(alone, whole)),
        ):
            line |= interval.cells(name)
        table.append(line)
    return table


def _unit(vector: FloatArray) -> FloatArray:
    return vector / np.linalg.norm(vector)


@torch.no_grad()
def _posed(body: BodyModel, result: FitResult, rotations: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Vertices [N, V, 3] and joints [N, 55, 3] of one person in N poses."""

    def repeated(values: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(np.float64(values)).expand(len(rotations), -1)

    output = body(repeated(result.betas), repeated(result.expression), torch.as_tensor(rotations))
    return output.vertices.numpy(), output.joints.numpy()


def _source_means(diagnoses: Mapping[str, Diagnosis]) -> Table:
    table: Table = []
    for part in REPLACED:
        line: Row = {"replaced": part}
        for label, one in diagnoses.items():
            for metric in ("v2v", "pve"):
                values = [float(row[metric]) for row in one.sources if row["replaced"] == part]
                interval, name = mean_interval(values), f"{label}, {SURFACE_HEADINGS[metric]}"
                line |= interval.cells(name)
        table.append(line)
    return table
