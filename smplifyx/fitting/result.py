"""What a fit returns for one person."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np


@dataclass
class FitResult:
    """One fitted person. Arrays are float32 unless said otherwise; metres, radians, pixels.

    Attributes:
        model_type: ``smplx``.
        model_name: name of the body model that was fitted.
        gender: ``neutral``, ``male`` or ``female``.
        betas: shape coefficients `[10]`.
        expression: expression coefficients `[10]`.
        global_orient: axis-angle `[3]`, turns the body into the camera frame about the pelvis.
        body_pose: axis-angle of 21 joints `[63]`.
        jaw_pose: axis-angle `[3]`.
        leye_pose: axis-angle `[3]`.
        reye_pose: axis-angle `[3]`.
        left_hand_pose: axis-angle of 15 joints, hand mean included `[45]`.
        right_hand_pose: axis-angle of 15 joints, hand mean included `[45]`.
        left_hand_pca: coefficients of the hand pose space `[12]`.
        right_hand_pca: coefficients of the hand pose space `[12]`.
        body_pose_embedding: VPoser code `[32]`, or None without VPoser.
        camera_translation: `[3]`, added to the model's points to reach the camera frame.
        camera_rotation: `[3, 3]`, the identity for a single view.
        focal_length: (fx, fy) `[2]`.
        principal_point: (cx, cy) `[2]`.
        image_size: (width, height) `[2]`, integers.
        joints: `[55, 3]` in the camera frame, camera translation included.
        keypoints_2d: the observation (x, y, confidence) in the canonical layout `[135, 3]`.
        projected_keypoints_2d: the model's keypoints in the image `[135, 2]`.
        loss: final value of the objective.
        stage_losses: value of the objective at the end of each stage `[S]`.
        n_evaluations: evaluations of the objective, all stages together.
        converged: whether the last stage stopped by its own criterion.
        flags: warnings about the quality of this fit.
        seconds: time spent on this person.
        reprojection_error_px: distance between observed and projected keypoints.
        n_keypoints: number of observed keypoints that entered the fit.
        status: ``ok`` or ``failed``.
        gender_source: who chose the gender: ``given``, ``classified`` or ``fallback``; empty if not known.
        gender_probability: of the likelier gender, from the classifier; NaN where it was not asked.
        gender_reason: why the body is neutral where that was not asked for; else empty.
        expected_error_mm: mean distance of the surface from the truth after alignment that the fit's own signs let
            expect, see :mod:`~smplifyx.fitting.trust`; NaN if not known.
        trust_features: those signs, by name.
        penetration_mm: how deep one part of the body is in another, at the deepest vertex; NaN if not measured.
        colliding_pairs: pairs of triangles that pass through each other; -1 if not counted.
    """

    model_type: str
    model_name: str
    gender: str
    betas: np.ndarray
    expression: np.ndarray
    global_orient: np.ndarray
    body_pose: np.ndarray
    jaw_pose: np.ndarray
    leye_pose: np.ndarray
    reye_pose: np.ndarray
    left_hand_pose: np.ndarray
    right_hand_pose: np.ndarray
    left_hand_pca: np.ndarray
    right_hand_pca: np.ndarray
    body_pose_embedding: np.ndarray | None
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
    gender_source: str = ""
    gender_probability: float = math.nan
    gender_reason: str = ""
    expected_error_mm: float = math.nan
    trust_features: dict[str, float] = field(default_factory=dict)
    penetration_mm: float = math.nan
    colliding_pairs: int = -1
