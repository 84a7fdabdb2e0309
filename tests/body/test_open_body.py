"""The open body that ships: weights, symmetry, joints and movements are those of the SMPL family."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from smplifyx.body.data import BodyModelData
from smplifyx.body.model import BodyModel
from smplifyx.skeleton import MIRRORED_JOINTS, N_JOINTS, PARENTS, joint_index

GENDERS = ("neutral", "male", "female")
#: Offsets from parent to child in the SMPL family's rest pose, metres, for a person of about 1.7 m.
SMPL_OFFSETS = {
    "left_hip": (0.070, -0.091, -0.007), "spine1": (-0.002, 0.109, -0.027), "spine2": (0.005, 0.135, 0.001),
    "spine3": (0.001, 0.053, 0.025), "neck": (-0.003, 0.214, -0.043), "left_collar": (0.079, 0.122, -0.034),
    "head": (0.005, 0.065, 0.051), "left_shoulder": (0.091, 0.030, -0.009), "left_elbow": (0.260, -0.013, -0.027),
    "left_wrist": (0.249, 0.009, -0.001), "left_knee": (0.034, -0.375, -0.004),
    "left_ankle": (-0.014, -0.398, -0.044),
    "left_foot": (0.026, -0.056, 0.119),
}  # fmt: skip


def rest_joints(data: BodyModelData) -> np.ndarray:
    return data.joint_regressor @ data.v_template


def stature(data: BodyModelData) -> float:
    return float(np.ptp(data.v_template[:, 1]))


def posed(data: BodyModelData, **axis_angles: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    rotations = torch.eye(3).repeat(1, N_JOINTS, 1, 1)
    for name, axis_angle in axis_angles.items():
        rotations[0, joint_index(name)] = torch.tensor(Rotation.from_rotvec(axis_angle).as_matrix()).float()
    output = BodyModel.from_data(data)(torch.zeros(1, 10), torch.zeros(1, 10), rotations)
    return output.vertices[0].numpy(), output.joints[0].numpy()


def mirrored_vertices(data: BodyModelData) -> np.ndarray:
    from scipy.spatial import cKDTree

    distances, partner = cKDTree(data.v_template).query(data.v_template * [-1, 1, 1])
    assert distances.max() < 1e-5
    return partner


@pytest.mark.parametrize("gender", GENDERS)
def test_weights_and_regressor(open_bodies, gender: str) -> None:
    data = open_bodies[gender]
    np.testing.assert_allclose(data.skinning_weights.sum(axis=1), 1, atol=1e-6)
    assert (data.skinning_weights >= 0).all()
    assert (data.skinning_weights > 0).sum(axis=1).max() <= 6
    np.testing.assert_allclose(data.joint_regressor.sum(axis=1), 1, atol=1e-6)
    assert (data.joint_regressor >= 0).all()
    assert (data.joint_regressor > 0).sum(axis=1).max() < 200
    assert data.parents.tolist() == list(PARENTS)


@pytest.mark.parametrize("gender", GENDERS)
def test_left_and_right_agree(open_bodies, gender: str) -> None:
    data = open_bodies[gender]
    partner = mirrored_vertices(data)
    flip = np.array([-1.0, 1.0, 1.0])[:, None]
    np.testing.assert_allclose(data.shapedirs[partner] * flip, data.shapedirs, atol=1e-4)
    np.testing.assert_allclose(data.skinning_weights[partner][:, MIRRORED_JOINTS], data.skinning_weights, atol=1e-6)
    joints = rest_joints(data)
    np.testing.assert_allclose(joints[list(MIRRORED_JOINTS)] * [-1, 1, 1], joints, atol=1e-3)


@pytest.mark.parametrize("gender", GENDERS)
def test_joints_lie_where_smplx_has_them(open_bodies, gender: str) -> None:
    data = open_bodies[gender]
    joints = rest_joints(data) * 1.7 / stature(data)
    for name, expected in SMPL_OFFSETS.items():
        joint = joint_index(name)
        offset = joints[joint] - joints[PARENTS[joint]]
        assert np.linalg.norm(offset - expected) < 0.045, name
        cosine = offset @ expected / np.linalg.norm(offset) / np.linalg.norm(expected)
        assert cosine > 0.9, name


def test_statures(open_bodies) -> None:
    assert stature(open_bodies["male"]) == pytest.approx(1.82, abs=0.04)
    assert stature(open_bodies["female"]) == pytest.approx(1.70, abs=0.04)
    for data in open_bodies.values():
        taller = data.v_template + 2 * data.shapedirs[..., 0]
        assert np.ptp(taller[:, 1]) > stature(data) + 0.1


def test_jaw_opens_the_mouth(open_bodies) -> None:
    data = open_bodies["neutral"]
    lips = np.einsum("lkc,lk->lc", data.v_template[data.faces[data.landmark_faces]], data.landmark_barycentric)
    vertices, _ = posed(data, jaw=(0.3, 0.0, 0.0))
    moved = np.einsum("lkc,lk->lc", vertices[data.faces[data.landmark_faces]], data.landmark_barycentric) - lips
    upper, lower, brows = [44, 45, 46], [48, 49, 50], range(10)
    assert (moved[lower, 1] < -0.02).all()
    assert np.abs(moved[upper]).max() < 0.004
    assert np.abs(moved[brows]).max() < 1e-4


def test_eyes_turn_alone_about_their_centres(open_bodies) -> None:
    data = open_bodies["neutral"]
    vertices, _ = posed(data, left_eye_smplhf=(0.0, 0.4, 0.0))
    moved = np.linalg.norm(vertices - data.v_template, axis=1) > 1e-6
    eye = data.skinning_weights[:, joint_index("left_eye_smplhf")] == 1
    assert np.array_equal(moved, moved & eye)
    assert moved.sum() > 60
    assert np.linalg.norm(vertices[eye].mean(axis=0) - data.v_template[eye].mean(axis=0)) < 1e-3


@pytest.mark.parametrize(
    ("joint", "axis_angle", "end", "direction"),
    [
        ("left_elbow", (0, -1.5, 0), "left_wrist", (0, 0, 1)),
        ("right_elbow", (0, 1.5, 0), "right_wrist", (0, 0, 1)),
        ("left_knee", (1.5, 0, 0), "left_ankle", (0, 0, -1)),
        ("left_hip", (-1.5, 0, 0), "left_knee", (0, 0, 1)),
        ("left_index1", (0, 0, -1.5), "left_index3", (0, -1, 0)),
        ("right_index1", (0, 0, 1.5), "right_index3", (0, -1, 0)),
    ],
)
def test_hinges_bend_as_priors_expect(open_bodies, joint: str, axis_angle, end: str, direction) -> None:
    data = open_bodies["neutral"]
    _, joints = posed(data, **{joint: axis_angle})
    bone = joints[joint_index(end)] - joints[joint_index(joint)]
    assert bone @ np.array(direction) / np.linalg.norm(bone) > 0.95


def test_fingers_are_straight_and_level(open_bodies) -> None:
    joints = rest_joints(open_bodies["neutral"])
    for finger in ("index", "middle", "ring", "pinky"):
        first, second, third = (joints[joint_index(f"left_{finger}{k}")] for k in (1, 2, 3))
        for bone in (second - first, third - second):
            assert bone[0] / np.linalg.norm(bone) > 0.9
            assert abs(bone[1]) < 0.1 * np.linalg.norm(bone)


def test_expressions_leave_the_joints_and_lips_in_place(open_bodies) -> None:
    data = open_bodies["neutral"]
    moved = np.einsum("jv,vce->jce", data.joint_regressor, data.expression_dirs)
    assert np.abs(moved).max() < 2e-3
    corners = data.expression_dirs[data.faces[data.landmark_faces]]
    lips = np.einsum("lkce,lk->lce", corners, data.landmark_barycentric)
    for k in range(10):
        for sign in (-2, 2):
            gap = sign * (lips[[44, 45, 46], 1, k] - lips[[50, 49, 48], 1, k])
            assert gap.min() > -5e-3, (k, sign)
