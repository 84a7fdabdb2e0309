"""Motion capture: files, weights, splits, mirror images; synthetic sitting, kneeling and squatting people."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from smplifyx import skeleton
from smplifyx.body.files import load_body_model_data
from smplifyx.body.model import KinematicTree
from smplifyx.body.search import find_body_model
from smplifyx.errors import InputError
from smplifyx.training.poses import (
    MotionCapture,
    is_upright,
    load_motion_capture,
    mirror_body_pose,
    pose_batch,
    seated_poses,
    standing_pose,
)


def _write_amass(path, n_frames, rate_name="mocap_framerate", rate=120.0, n_columns=156):
    path.parent.mkdir(parents=True, exist_ok=True)
    poses = np.arange(n_frames * n_columns, dtype=np.float64).reshape(n_frames, n_columns) * 1e-3
    np.savez(path, poses=poses, trans=np.zeros((n_frames, 3)), gender="female", **{rate_name: rate})
    return poses


def _write_clips(path, **changes):
    content = {
        "body_pose": np.zeros((5, 63), np.float32), "clip_index": np.array([0, 0, 0, 1, 1]),
        "clip_names": np.array(["01_02", "07_01"]), "frame": np.array([0, 1, 100, 3, 4]), "fps": np.float32(30.0),
    }  # fmt: skip
    np.savez(path, **{**content, **changes})


def test_amass_folders_are_thinned_and_named_by_their_folders(tmp_path):
    first = _write_amass(tmp_path / "CMU/01/01_01_poses.npz", 120)
    second = _write_amass(tmp_path / "CMU/02/02_01_stageii.npz", 40, "mocap_frame_rate", 30.0, 165)
    np.savez(tmp_path / "CMU/01/shape.npz", gender="female", betas=np.zeros(16))
    data = load_motion_capture(tmp_path, fps=10.0)
    np.testing.assert_array_equal(data.body_pose, np.concatenate([first[::12, 3:66], second[::3, 3:66]]))
    assert data.subjects.tolist() == ["CMU/01"] * 10 + ["CMU/02"] * 14
    assert set(data.clips) == {"CMU/01/01_01_poses.npz", "CMU/02/02_01_stageii.npz"}


def test_unusable_folders_and_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"expected .npz files with poses"):
        load_motion_capture(tmp_path)
    np.savez(tmp_path / "a.npz", poses=np.zeros((4, 63)), mocap_framerate=30.0)
    with pytest.raises(InputError, match=r"a.npz: poses: expected shape .* found \[4, 63\]"):
        load_motion_capture(tmp_path)
    np.savez(tmp_path / "a.npz", poses=np.zeros((4, 66)))
    with pytest.raises(InputError, match=r"a.npz: mocap_framerate or mocap_frame_rate: expected"):
        load_motion_capture(tmp_path)
    (tmp_path / "a.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"a.npz"):
        load_motion_capture(tmp_path)


def test_clips_tell_subjects_and_how_long_poses_were_held(tmp_path):
    _write_clips(tmp_path / "clips.npz")
    data = load_motion_capture(tmp_path / "clips.npz")
    assert data.subjects.tolist() == ["01", "01", "01", "07", "07"]
    assert data.durations.tolist() == [1.0, 60.0, 1.0, 1.0, 1.0]  # at most two seconds; a clip's last frame once
    expected = np.array([1, 60, 1, 0, 0]) / np.sqrt(62) + np.array([0, 0, 0, 1, 1]) / np.sqrt(2)
    np.testing.assert_allclose(data.weights, expected / expected.sum())
    _write_clips(tmp_path / "bad.npz", body_pose=np.zeros((5, 69)))
    with pytest.raises(InputError, match=r"bad.npz: body_pose: expected shape \[N, 63\], found \[5, 69\]"):
        load_motion_capture(tmp_path / "bad.npz")


@pytest.mark.parametrize("by", ["subject", "clip"])
def test_splits_keep_groups_whole(by):
    subjects = np.repeat([f"{k:02d}" for k in range(10)], 40)
    clips = np.char.add(subjects, np.tile(np.repeat(["a", "b"], 20), 10))
    data = MotionCapture(np.zeros((400, 63)), np.ones(400), subjects, clips)
    most, some = data.split_random(0.25, by, 1)
    assert len(most) + len(some) == 400
    assert 100 <= len(some) <= 140
    group = "subjects" if by == "subject" else "clips"
    assert not set(getattr(most, group)) & set(getattr(some, group))
    others, named = data.split_subjects(("03", "nobody"))
    assert set(named.subjects) == {"03"} and len(others) == 360


def test_mirroring_reflects_every_joint_in_the_middle_plane():
    poses = np.random.default_rng(0).normal(size=(4, 63))
    mirrored = mirror_body_pose(poses)
    np.testing.assert_array_equal(mirror_body_pose(mirrored), poses)
    reflection = np.diag([-1.0, 1.0, 1.0])
    left, right = (3 * (skeleton.joint_index(f"{side}_elbow") - 1) for side in ("left", "right"))
    expected = reflection @ Rotation.from_rotvec(poses[:, left : left + 3]).as_matrix() @ reflection
    actual = Rotation.from_rotvec(mirrored[:, right : right + 3]).as_matrix()
    np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_standing_people_are_told_from_others():
    poses = np.zeros((3, 21, 3))
    for side, sign in (("left", -1.0), ("right", 1.0)):
        poses[:, skeleton.joint_index(f"{side}_shoulder") - 1, 2] = sign * np.radians(65.0)
    poses[1, skeleton.joint_index("left_knee") - 1, 0] = np.radians(40.0)
    poses[2, skeleton.joint_index("right_shoulder") - 1, 2] = 0.0
    poses[0, skeleton.joint_index("spine1") - 1] = [0.1, 0.2, 0.3]
    poses = poses.reshape(3, 63)
    assert is_upright(poses).tolist() == [True, False, False]
    names = np.array(["a", "b", "c"])
    mean = standing_pose(MotionCapture(poses, np.ones(3), names, names))
    np.testing.assert_allclose(mean, mirror_body_pose(mean[None])[0])
    np.testing.assert_allclose(mean.reshape(21, 3)[skeleton.joint_index("spine1") - 1], [0.1, 0, 0])


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
