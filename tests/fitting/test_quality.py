"""The estimate of how far a fit is off."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from smplifyx.errors import InputError
from smplifyx.fitting.quality import (
    ErrorPredictor,
    QualityFeatures,
    load_error_predictor,
    quality_features,
    shipped_error_predictor,
)
from smplifyx.result import FitResult


def _fit_result() -> FitResult:
    """A standing person 3 m away whose keypoints are met to a few pixels."""
    rng = np.random.default_rng(0)
    joints = np.concatenate([rng.normal(0, 0.4, (55, 2)), 3.0 + rng.normal(0, 0.1, (55, 1))], axis=1)
    projected = rng.uniform(100, 500, (135, 2))
    observed = np.concatenate([projected + rng.normal(0, 3, (135, 2)), np.full((135, 1), 0.8)], axis=1)
    zeros = np.zeros(3)
    return FitResult(
        model_type="smplx", model_name="test", gender="neutral", betas=rng.normal(size=10), expression=np.zeros(10),
        global_orient=zeros, body_pose=np.zeros(63), jaw_pose=zeros, leye_pose=zeros, reye_pose=zeros,
        left_hand_pose=np.zeros(45), right_hand_pose=np.zeros(45), left_hand_pca=np.zeros(12),
        right_hand_pca=np.zeros(12), body_pose_embedding=None, camera_translation=zeros, camera_rotation=np.eye(3),
        focal_length=np.full(2, 1000.0), principal_point=np.full(2, 300.0), image_size=np.full(2, 600),
        joints=joints, keypoints_2d=observed, projected_keypoints_2d=projected, loss=1.0, stage_losses=np.ones(5),
        n_evaluations=100, converged=True, flags=(), seconds=0.1, reprojection_error_px=3.0, n_keypoints=135,
        status="ok",
    )  # fmt: skip


_INPUTS = QualityFeatures(size=400.0, pose_energy=30.0, spread=0.02, gap=0.5, depth_sd=0.06, depth_energy=40.0)


@pytest.fixture
def fit_result():
    return _fit_result()


@pytest.fixture
def features(fit_result):
    return lambda inputs=_INPUTS, **changes: quality_features(replace(fit_result, **changes), inputs)


def test_the_shipped_model_knows_exactly_the_features(features):
    assert set(shipped_error_predictor().weights) == set(features())


def test_worse_inputs_predict_a_larger_error(features, fit_result):
    model = shipped_error_predictor()
    expected = model.expected_error(features())
    assert 5.0 < expected < 500.0
    off = fit_result.projected_keypoints_2d + np.float32(20.0)
    assert model.expected_error(features(projected_keypoints_2d=off)) > expected
    # What is not seen makes the lifted joints unsure, and it is they who tell.
    for name, value in (("depth_sd", 0.15), ("depth_energy", 200.0)):
        assert model.expected_error(features(replace(_INPUTS, **{name: value}))) > 1.1 * expected


def test_features_are_finite_without_any_keypoint(features, fit_result):
    nothing = np.zeros_like(fit_result.keypoints_2d)
    assert all(np.isfinite(value) for value in features(keypoints_2d=nothing).values())


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "trust.json"
    path.write_text(json.dumps({"weights": [1, 2]}))
    with pytest.raises(InputError, match=r"trust.json"):
        load_error_predictor(path)


def test_the_error_is_the_exponential_of_a_line():
    model = ErrorPredictor({"a": 2.0, "b": -1.0}, 3.0)
    assert model.expected_error({"a": 0.5, "b": 1.0}) == pytest.approx(np.exp(3.0))


def test_the_estimate_does_not_depend_on_the_resolution() -> None:
    """The same fit in a photo of another size: all pixels grow by one factor."""
    estimates = []
    for factor in (0.1, 1.0, 4.0):
        fit = _fit_result()
        for name in ("focal_length", "principal_point", "projected_keypoints_2d"):
            setattr(fit, name, getattr(fit, name) * factor)
        fit.keypoints_2d = fit.keypoints_2d * [factor, factor, 1]
        inputs = QualityFeatures(size=500.0 * factor, pose_energy=3.0, spread=0.02, gap=0.4)
        estimates.append(shipped_error_predictor().expected_error(quality_features(fit, inputs)))
    assert estimates == pytest.approx([estimates[0]] * 3, rel=1e-6)
