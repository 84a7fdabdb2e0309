"""The linear space of hand poses: ordered, repeatable, and near the shapes that hands are used in."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from smplifyx.synthetic.makehuman.hand_poses import (
    HAND_SHAPES,
    hand_pose_from_angles,
    mirror_hand_pose,
    sample_hand_angles,
)
from tests.bases import covariance_distance
from tools.bodies.linear_spaces import left_hand_pose_space

N_USED = 12
#: Rough skeleton of a flat left hand (metres): knuckle, middle and end joint and tip of index, middle, pinky, ring.
FINGERS = np.array(
    [
        [[0.11, 0, 0.028], [0.14, 0, 0.032], [0.165, 0, 0.036], [0.19, 0, 0.04]],
        [[0.11, 0, 0.0], [0.146, 0, -0.005], [0.176, 0, -0.009], [0.20, 0, -0.012]],
        [[0.093, 0, -0.04], [0.115, 0, -0.05], [0.13, 0, -0.058], [0.147, 0, -0.066]],
        [[0.104, 0, -0.02], [0.135, 0, -0.03], [0.16, 0, -0.039], [0.185, 0, -0.048]],
    ]
)


@pytest.fixture(scope="module")
def space():
    return left_hand_pose_space()


def shape_pose(name):
    return hand_pose_from_angles(HAND_SHAPES[name].angles()[None])[0]


def reconstruct(space, pose):
    used = space.components[:N_USED]
    return (pose - space.mean) @ used.T @ used + space.mean


def finger_tips(pose):
    """[4, 3] tips of index, middle, pinky and ring."""
    tips = []
    for finger, joints in zip(pose.reshape(5, 3, 3)[:4], FINGERS, strict=True):
        point, turned = joints[0], Rotation.identity()
        for rotation, start, end in zip(finger, joints[:-1], joints[1:], strict=True):
            turned = turned * Rotation.from_rotvec(rotation)
            point = point + turned.apply(end - start)
        tips.append(point)
    return np.array(tips)


def test_components_are_orthonormal_and_ordered(space):
    assert space.mean.shape == (45,)
    np.testing.assert_allclose(space.components @ space.components.T, np.eye(45), atol=1e-10)
    assert np.all(np.diff(space.standard_deviations) <= 1e-12)
    variances = space.standard_deviations**2
    assert variances[:N_USED].sum() / variances.sum() > 0.98


def test_standard_deviations_are_those_of_the_sampled_coefficients(space):
    poses = hand_pose_from_angles(sample_hand_angles(4000, seed=99))
    coefficients = (poses - space.mean) @ space.components.T
    np.testing.assert_allclose(coefficients.std(axis=0)[:6], space.standard_deviations[:6], rtol=0.1)


def test_the_space_is_the_same_every_time(space):
    again = left_hand_pose_space()
    scaled, scaled_again = (one.standard_deviations[:, None] * one.components for one in (space, again))
    assert covariance_distance(scaled_again, scaled) < 1e-7
    np.testing.assert_allclose(again.mean, space.mean, atol=1e-12)


@pytest.mark.parametrize("name", HAND_SHAPES)
def test_twelve_components_reconstruct_the_shapes(space, name):
    pose = shape_pose(name)
    exact, found = (Rotation.from_rotvec(p.reshape(15, 3)) for p in (pose, reconstruct(space, pose)))
    errors = np.degrees((exact.inv() * found).magnitude())
    assert errors.mean() < 2.0
    assert errors.max() < 9.0


def test_twelve_components_reconstruct_unseen_poses(space):
    poses = hand_pose_from_angles(sample_hand_angles(300, seed=5))
    exact, found = (Rotation.from_rotvec(p.reshape(-1, 3)) for p in (poses, reconstruct(space, poses)))
    assert np.degrees((exact.inv() * found).magnitude()).mean() < 2.5


def test_mean_hand_is_slightly_curled(space):
    angles = np.degrees(np.linalg.norm(space.mean.reshape(15, 3), axis=1))
    assert np.all((angles[:12] > 10) & (angles[:12] < 45))
    tips = finger_tips(space.mean)
    assert np.all(tips[:, 1] < -0.02)
    assert np.all(tips[:, 0] > FINGERS[:, 0, 0])


def test_fist_curls_the_fingers_into_the_palm_side_by_side(space):
    tips = finger_tips(reconstruct(space, shape_pose("fist")))
    assert np.all(tips[:, 0] < FINGERS[:, 0, 0])  # back behind the knuckles
    assert np.all((tips[:, 1] < -0.008) & (tips[:, 1] > -0.045))
    index, middle, pinky, ring = tips[:, 2]
    assert np.all(np.abs(np.diff([index, middle, ring, pinky])) < 0.03)
    assert index > middle > ring > pinky


def test_spread_and_closed_hands_differ_in_the_gaps_between_the_tips():
    def gaps(name):
        index, middle, pinky, ring = finger_tips(shape_pose(name))
        return np.linalg.norm(np.diff([index, middle, ring, pinky], axis=0), axis=1)

    assert np.all(gaps("spread") > gaps("flat") + 0.002)
    assert np.all(gaps("flat") > gaps("flat_closed") + 0.002)


def test_pointing_keeps_only_the_index_straight(space):
    tips = finger_tips(reconstruct(space, shape_pose("point")))
    assert tips[0, 0] > 0.185
    assert np.all(tips[1:, 0] < 0.12)


def test_mirrored_space_gives_mirrored_poses(space):
    coefficients = np.random.default_rng(0).normal(size=45)
    left = coefficients @ space.components + space.mean
    right = coefficients @ mirror_hand_pose(space.components) + mirror_hand_pose(space.mean)
    np.testing.assert_allclose(right, mirror_hand_pose(left), atol=1e-12)
