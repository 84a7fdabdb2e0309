"""Pose the people of a picture, stand them on the floor before the camera and detect their keypoints."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from smplifyx.body.data import BodyModelData
from smplifyx.body.files import load_body_model_data
from smplifyx.body.model import BodyModel, BodyOutput
from smplifyx.body.regressor import KeypointRegressor
from smplifyx.body.search import OPEN_BODY_DIR, find_body_model
from smplifyx.skeleton import BODY_KEYPOINTS, JOINT_NAMES, LEFT_HAND_JOINTS, N_JOINTS, RIGHT_HAND_JOINTS, SIDES
from smplifyx.synthetic.detector import Sight, detect
from smplifyx.synthetic.makehuman.hand_poses import HAND_SHAPES, hand_pose_from_angles, mirror_hand_pose
from smplifyx.synthetic.noise import DetectorNoise
from smplifyx.synthetic.people import SyntheticPerson, hidden_by_body
from tools.demo_scene.characters import Character, Picture

#: The ordinary noise without swapped sides, which would make a poor first picture.
NOISE = DetectorNoise(swap_rate=0.0, hand_miss_rate=0.0)
_N_HAND_COMPONENTS = 24


@cache
def open_body(gender: str) -> BodyModelData:
    """The open body, even where licensed models are installed."""
    return load_body_model_data(find_body_model("smplx", gender, OPEN_BODY_DIR), gender)


def camera_axes(picture: Picture) -> np.ndarray:
    """[3, 3] takes world directions (right, up, towards the camera) to the camera frame (right, down, forwards)."""
    return Rotation.from_euler("x", 180.0 + picture.camera_pitch, degrees=True).as_matrix()


def to_camera(points: np.ndarray, picture: Picture) -> np.ndarray:
    """World points [N, 3] in the camera frame."""
    return (points - [0.0, picture.camera_height, 0.0]) @ camera_axes(picture).T


def to_world(points: np.ndarray, picture: Picture) -> np.ndarray:
    """Camera-frame points [N, 3] in the world."""
    return points @ camera_axes(picture) + [0.0, picture.camera_height, 0.0]


def people_of(picture: Picture) -> list[SyntheticPerson]:
    """Truth and noisy keypoints of all people in a picture; always the same."""
    return [_person(picture, number) for number in range(len(picture.people))]


def local_rotations(member: Character, data: BodyModelData) -> np.ndarray:
    """[55, 3, 3]; the first is the identity."""
    rotations = np.tile(np.eye(3), (N_JOINTS, 1, 1))
    for name, angles in member.pose.items():
        rotations[JOINT_NAMES.index(name)] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    for side, joints, shape in zip(SIDES, (LEFT_HAND_JOINTS, RIGHT_HAND_JOINTS), member.hands, strict=True):
        rotations[joints] = Rotation.from_rotvec(_hand(data, side, shape).reshape(-1, 3)).as_matrix()
    return rotations


def _hand(data: BodyModelData, side: str, shape: str) -> np.ndarray:
    """[45] axis-angle of the hand shape, projected on the first components of the hand pose space."""
    pose = hand_pose_from_angles(HAND_SHAPES[shape].angles()[None])[0]
    space = data.hand(side)
    components = space.components[:_N_HAND_COMPONENTS]
    if side == "right":
        pose = mirror_hand_pose(pose)
    return space.mean + (pose - space.mean) @ components.T @ components


@torch.no_grad()
def _person(picture: Picture, number: int) -> SyntheticPerson:
    member = picture.people[number]
    data = open_body(member.gender)
    model = BodyModel.from_data(data, torch.float64)
    betas, expression = np.zeros(data.shapedirs.shape[2]), np.zeros(data.expression_dirs.shape[2])
    betas[: len(member.betas)], expression[: len(member.expression)] = member.betas, member.expression
    rotations = local_rotations(member, data)

    def posed(translation: np.ndarray) -> BodyOutput:
        rows = (torch.as_tensor(np.asarray(values))[None] for values in (betas, expression, rotations, translation))
        output: BodyOutput = model(*rows)
        return output

    rotations[0] = Rotation.from_euler("yx", [member.heading, member.lean], degrees=True).as_matrix()
    standing = posed(np.zeros(3))
    rest_pelvis = standing.joints[0, 0].numpy()
    across, away = member.place
    pelvis = np.array([across, rest_pelvis[1] - float(standing.vertices[0, :, 1].min()), -away])
    rotations[0] = camera_axes(picture) @ rotations[0]
    translation = to_camera(pelvis, picture) - rest_pelvis
    output = posed(translation)
    regressor = KeypointRegressor(data, dtype=torch.float64)
    read = BodyOutput(output.joints, output.vertices[:, regressor.vertices], output.joint_rotations)
    keypoints, vertices = regressor(read)[0].numpy(), output.vertices[0].numpy()
    centre, focal_length = np.array(picture.size) / 2.0, picture.focal_length
    pixels = focal_length * keypoints[:, :2] / keypoints[:, 2:] + centre
    sight = Sight(pixels, hidden_by_body(keypoints, vertices, focal_length, centre), picture.size)
    inside = (pixels >= 0) & (pixels < picture.size)
    return SyntheticPerson(
        name=f"{picture.name}_{number}",
        betas=betas,
        expression=expression,
        rotations=rotations,
        translation=translation,
        vertices=vertices,
        joints=output.joints[0].numpy(),
        keypoints=keypoints,
        exact_keypoints_2d=pixels,
        keypoints_2d=detect(sight, NOISE, np.random.default_rng([picture.seed, number])),
        image_size=picture.size,
        focal_length=focal_length,
        principal_point=centre,
        truncated=not inside[BODY_KEYPOINTS].all(),
    )
