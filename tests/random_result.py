"""Results of any model with random numbers."""

from __future__ import annotations

import numpy as np

from smplifyx.result import RESULT_FIELDS, FitResult, field_shapes
from smplifyx.skeleton import skeleton_of

_LENGTHS = {"S": 5, "E": 32}


def random_result(model_type: str = "smplx", side: str = "", **changes: object) -> FitResult:
    """Every field of the model has a value that is not its default."""
    rng = np.random.default_rng(0)
    shapes = field_shapes(skeleton_of(model_type, side or None))
    values: dict[str, object] = {
        one.name: rng.normal(0, 0.2, [_LENGTHS.get(length, length) for length in shapes[one.name]]).astype(np.float32)
        for one in RESULT_FIELDS
        if one.name in shapes and one.kind == "float32" and one.shape
    }
    keypoints = np.asarray(values["keypoints_2d"])
    keypoints[:, 2] = np.arange(135) % 3 / 2
    values |= {
        "model_type": model_type, "model_name": "open body", "side": side, "gender": "female", "status": "ok",
        "camera_rotation": np.eye(3, dtype=np.float32), "image_size": np.array([640, 480]), "keypoints_2d": keypoints,
        "focal_length": np.float32([700, 710]), "camera_source": "exif", "loss": 12.5,
        "losses": {"keypoints": 8.0, "body_pose": 4.5},
        "stage_term_losses": {"keypoints": np.float32([9, 8, 8, 8, 8]), "body_pose": np.float32([0, 0, 1, 2, 4.5])},
        "n_evaluations": 321, "converged": True,
        "flags": ("few_keypoints", "leans, forward"), "seconds": 1.25, "reprojection_error_px": 4.5,
        "n_keypoints": 80, "gender_source": "face", "gender_probability": 0.9375, "gender_reason": "unsure",
        "expected_error_mm": 62.5, "quality_features": {"gap": 0.25, "size": 4.5}, "penetration_mm": 3.5,
        "colliding_pairs": 17, "image_path": "in/photo.jpg", "keypoint_path": "in/photo_keypoints.json",
        "version": "1.2.3", "converted_from": "smplh open body female", "conversion_error_mm": 0.5,
    }  # fmt: skip
    return FitResult(**(values | changes))  # type: ignore[arg-type]
