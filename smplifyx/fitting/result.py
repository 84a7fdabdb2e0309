"""What a fit returns for one person."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np


def _absent() -> np.ndarray:
    return np.zeros(0, np.float32)


@dataclass(kw_only=True)
class FitResult:
    """One fitted person, or one hand or head. Arrays are float32 unless said otherwise; metres, radians, pixels.

    The shapes are those of SMPL-X; poses and coefficients that a model does not have are empty `[0]`.

    Attributes:
        model_type: ``smplx``, ``smplh``, ``smpl``, ``mano`` or ``flame``.
        model_name: name of the body model that was fitted.
        gender: ``neutral``, ``male`` or ``female``.
        betas: shape coefficients `[10]`.
        expression: expression coefficients `[10]`.
        global_orient: axis-angle `[3]`, turns the body into the camera frame about the pelvis (wrist, neck).
        body_pose: axis-angle of 21 joints `[63]`; of SMPL's 23 `[69]`.
        jaw_pose: axis-angle `[3]`.
        leye_pose: axis-angle `[3]`.
        reye_pose: axis-angle `[3]`.
        left_hand_pose: axis-angle of 15 joints, hand mean included `[45]`.
        right_hand_pose: axis-angle of 15 joints, hand mean included `[45]`.
        left_hand_pca: coefficients of the hand pose space `[12]`.
        right_hand_pca: coefficients of the hand pose space `[12]`.
        hand_pose: axis-angle of a MANO hand's 15 joints, hand mean included `[45]`.
        hand_pca: coefficients of its pose space `[12]`.
        neck_pose: axis-angle of FLAME's neck `[3]`.
        body_pose_embedding: VPoser code `[32]`, or None without VPoser.
        camera_translation: `[3]`, added to the model's points to reach the camera frame.
        camera_rotation: `[3, 3]`, the identity for a single view.
        focal_length: (fx, fy) `[2]`.
        principal_point: (cx, cy) `[2]`.
        image_size: (width, height) `[2]`, integers.
        joints: `[J, 3]`, J the model's (SMPL-X 55), in the camera frame, camera translation included.
        keypoints_2d: the observation (x, y, confidence) in the canonical layout `[135, 3]`; left and right
            of arms or legs are put right where a flag says that the detector exchanged them.
        projected_keypoints_2d: the model's keypoints in the image `[135, 2]`; NaN for those it does not have.
        loss: final value of the objective.
        stage_losses: value of the objective at the end of each stage `[S]`.
        losses: the terms of ``loss`` by name, each with its weight; their sum is the loss.
        n_evaluations: evaluations of the objective, all stages together.
        converged: whether the last stage stopped by its own criterion.
        flags: warnings about the quality of this fit.
        seconds: time spent on this person.
        reprojection_error_px: distance between observed and projected keypoints.
        n_keypoints: number of observed keypoints that entered the fit.
        status: ``ok`` or ``failed``.
        side: ``left`` or ``right`` of a MANO hand; else empty.
        gender_source: who chose the gender: ``given``, ``classified`` or ``fallback``; empty if not known.
        gender_probability: of the likelier gender, from the classifier; NaN where it was not asked.
        gender_reason: why the body is neutral where that was not asked for; else empty.
        expected_error_mm: mean distance of the surface from the truth after alignment that the fit's own signs let
            expect, see :mod:`~smplifyx.fitting.quality`; NaN if not known.
        quality_features: those signs, by name.
        penetration_mm: how deep one part of the body is in another, at the deepest vertex; NaN if not measured.
        colliding_pairs: pairs of triangles that pass through each other; -1 if not counted.
    """

    model_type: str
    model_name: str
    gender: str
    betas: np.ndarray
    expression: np.ndarray = field(default_factory=_absent)
    global_orient: np.ndarray
    body_pose: np.ndarray = field(default_factory=_absent)
    jaw_pose: np.ndarray = field(default_factory=_absent)
    leye_pose: np.ndarray = field(default_factory=_absent)
    reye_pose: np.ndarray = field(default_factory=_absent)
    left_hand_pose: np.ndarray = field(default_factory=_absent)
    right_hand_pose: np.ndarray = field(default_factory=_absent)
    left_hand_pca: np.ndarray = field(default_factory=_absent)
    right_hand_pca: np.ndarray = field(default_factory=_absent)
    hand_pose: np.ndarray = field(default_factory=_absent)
    hand_pca: np.ndarray = field(default_factory=_absent)
    neck_pose: np.ndarray = field(default_factory=_absent)
    body_pose_embedding: np.ndarray | None = None
    camera_translation: np.ndarray
    camera_rotation: np.ndarray
    focal_length: np.ndarray
    principal_point: np.ndarray
    image_size: np.ndarray
    joints: np.ndarray
    keypoints_2d: np.ndarray
    projected_keypoints_2d: np.ndarray
    loss: float
    stage_losses: np.ndarray
    n_evaluations: int
    converged: bool
    flags: tuple[str, ...]
    seconds: float
    reprojection_error_px: float
    n_keypoints: int
    status: str
    side: str = ""
    gender_source: str = ""
    gender_probability: float = math.nan
    gender_reason: str = ""
    expected_error_mm: float = math.nan
    quality_features: dict[str, float] = field(default_factory=dict)
    losses: dict[str, float] = field(default_factory=dict)
    penetration_mm: float = math.nan
    colliding_pairs: int = -1
