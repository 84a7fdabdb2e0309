from __future__ import annotations

import numpy as np
import pytest

from smplifyx.fitting.result import FitResult
from smplifyx.output import Renderer, RenderUnavailable


@pytest.fixture
def result() -> FitResult:
    rng = np.random.default_rng(0)

    def array(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    keypoints = array(135, 3)
    keypoints[:, 2] = np.arange(135) % 3 / 2
    return FitResult(
        model_type="smplx", model_name="open body", gender="female",
        betas=array(10), expression=array(10), global_orient=array(3), body_pose=array(63), jaw_pose=array(3),
        leye_pose=array(3), reye_pose=array(3), left_hand_pose=array(45), right_hand_pose=array(45),
        left_hand_pca=array(12), right_hand_pca=array(12), body_pose_embedding=array(32),
        camera_translation=array(3), camera_rotation=np.eye(3, dtype=np.float32), focal_length=array(2),
        principal_point=array(2), image_size=np.array([640, 480]), joints=array(55, 3), keypoints_2d=keypoints,
        projected_keypoints_2d=array(135, 2), loss=12.5, stage_losses=array(5), n_evaluations=321, converged=True,
        flags=("few_keypoints", "leans, forward"), seconds=1.25, reprojection_error_px=4.5, n_keypoints=80,
        status="ok", gender_source="classified", gender_probability=0.9375, gender_reason="",
        expected_error_mm=62.5, quality_features={"gap": 0.25, "size": 4.5},
        penetration_mm=3.5, colliding_pairs=17,
    )  # fmt: skip


@pytest.fixture(scope="session")
def gl_renderer() -> Renderer:
    try:
        return Renderer()
    except RenderUnavailable as error:
        pytest.skip(str(error))
