"""Synthetic sitting, kneeling and squatting people."""

from __future__ import annotations

import numpy as np

from smplifyx import skeleton
from smplifyx.body.files import load_body_model_data
from smplifyx.body.model import KinematicTree
from smplifyx.body.search import find_body_model
from smplifyx.training.poses import pose_batch, seated_poses


def _joints(poses: np.ndarray) -> dict[str, np.ndarray]:
    data = load_body_model_data(find_body_model("smplx", "neutral", None))
    rest = np.asarray(data.joint_regressor) @ data.v_template
    batch = pose_batch(poses).rotations
    rotations = batch.new_zeros(len(poses), 55, 3, 3) + batch.new_tensor(np.eye(3))
    rotations[:, skeleton.BODY_JOINTS] = batch
    from smplifyx.body.model import BodyModel

    model = BodyModel.from_data(data)
    none = batch.new_zeros(len(poses), model.n_betas), batch.new_zeros(len(poses), model.n_expressions)
    assert isinstance(model.tree, KinematicTree) and rest.shape[1] == 3
    positions = model.restrict(batch.new_zeros(1).long())(*none, rotations).joints.numpy()
    return {name: positions[:, k] for k, name in enumerate(skeleton.JOINT_NAMES)}


def test_thighs_are_raised_knees_bend_backwards_and_arms_stay(motion_capture):
    upper = [
        skeleton.joint_index(f"{side}_{joint}") - 1 for side in ("left", "right") for joint in ("elbow", "wrist")
    ]
    before = motion_capture.body_pose
    after = seated_poses(before, np.random.default_rng(0))
    np.testing.assert_array_equal(before.reshape(-1, 21, 3)[:, upper], after.reshape(-1, 21, 3)[:, upper])
    joints = _joints(after[:300])
    thigh = joints["left_knee"] - joints["left_hip"]
    shin = joints["left_ankle"] - joints["left_knee"]
    forward = np.degrees(np.arctan2(thigh[:, 2], -thigh[:, 1]))  # 0 hangs, 90 points to the front
    assert 60 < np.median(forward) < 100
    bend = np.degrees(np.arccos((thigh * shin).sum(1) / np.linalg.norm(thigh, axis=1) / np.linalg.norm(shin, axis=1)))
    assert 70 < np.median(bend) < 110
    assert np.mean(shin[:, 1] < 0) > 0.7  # most sit, with the feet below the knees
    assert np.mean(joints["left_knee"][:, 0] > joints["right_knee"][:, 0]) > 0.95  # legs seldom cross
