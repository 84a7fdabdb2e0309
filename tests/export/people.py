"""Fitted people whose joints belong to their parameters."""

from __future__ import annotations

import numpy as np

from smplifyx.export.motion import Motion, PersonKey
from smplifyx.result import FitResult
from tests.random_result import random_result


def fitted(model_type: str = "smplx", seed: int = 0, **changes: object) -> FitResult:
    """A result of the open body in a random pose, some metres before the camera."""
    rng = np.random.default_rng(seed)
    side = "left" if model_type == "mano" else ""
    names = {"smplx": "open-body 1"}
    result = random_result(
        model_type, side, **({"gender": "neutral", "model_name": names.get(model_type, "")} | changes)
    )
    if not result.model_name:
        from smplifyx.body import load_body_model

        result.model_name = load_body_model(model_type, "neutral", side=side or None).data.name
    for name in result.skeleton.pose_groups:
        values = rng.normal(0.0, 0.25, getattr(result, name).shape)
        setattr(result, name, values.astype(np.float32))
    result.betas = rng.normal(0.0, 0.8, 10).astype(np.float32)
    result.global_orient = np.float32([2.8, 0.3, -0.2])
    result.camera_translation = np.float32([0.3, -0.2, 3.5]) + rng.normal(0.0, 0.1, 3).astype(np.float32)
    result.principal_point = result.image_size.astype(np.float32) / 2
    if "principal_point" in changes:
        result.principal_point = np.float32(changes["principal_point"])
    result.joints = result.body()(**result.parameters).joints[0].numpy()
    return result


def motion(n_frames: int = 1, model_type: str = "smplx", **changes: object) -> Motion:
    """One person in frames with the same shape."""
    results = [fitted(model_type, seed, **changes) for seed in range(n_frames)]
    for one in results:
        one.betas = results[0].betas
        one.joints = one.body()(**one.parameters).joints[0].numpy()
    return Motion(PersonKey(0, results[0].side), tuple(results), tuple(range(n_frames)))
