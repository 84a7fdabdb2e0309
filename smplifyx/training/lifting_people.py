"""Synthetic people for the lifting network: joints, exact keypoints, and keypoints of a simulated detector."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from smplifyx import skeleton
from smplifyx.body.data import BodyModelData
from smplifyx.body.model import BodyModel
from smplifyx.body.regressor import KeypointRegressor
from smplifyx.lifting.network import LIFTED_KEYPOINTS, lifting_features
from smplifyx.rotations import axis_angle_to_matrix
from smplifyx.skeleton import CANONICAL_KEYPOINT_NAMES
from smplifyx.synthetic.detector import detect_people
from smplifyx.synthetic.people import hidden_by_body
from smplifyx.training.poses import MotionCapture, PoseSampler
from smplifyx.training.settings import LiftingConfig, LiftingPeople, PoseData

_NAMES = tuple(CANONICAL_KEYPOINT_NAMES[index] for index in LIFTED_KEYPOINTS)
_BATCH = 1000
_N_HAND_COMPONENTS = 12
#: Smallest depth of a keypoint, metres.
_NEAREST = 0.5
#: Edge of a cell of the grid that thins out the vertices of hands and face, metres.
_SURFACE_GRID = 0.012
_LEGS = [
    skeleton.body_pose_row(f"{side}_{joint}") for side in skeleton.SIDES for joint in ("hip", "knee", "ankle", "foot")
]
_SPINE = [skeleton.body_pose_row(f"spine{number}") for number in (1, 2, 3)]


@dataclass(frozen=True)
class SyntheticPoses:
    """People in the centre of the image of a camera with a focal length of one.

    Attributes:
        points: [N, 31, 2] keypoints in the image.
        joints: [N, 21, 3] body joints from the pelvis, camera axes, metres.
        hidden: [N, 31] keypoints behind another part of the body.
    """

    points: Tensor
    joints: Tensor
    hidden: Tensor

    def __getitem__(self, rows: Tensor) -> SyntheticPoses:
        """Select people."""
        return SyntheticPoses(self.points[rows], self.joints[rows], self.hidden[rows])


@dataclass(frozen=True)
class PeopleBatch:
    """Training input and output: ``features`` [B, F], ``joints`` [B, 21, 3] and ``swapped_sides`` [B, 2]."""

    features: Tensor
    joints: Tensor
    swapped_sides: Tensor


def observe(people: SyntheticPoses, config: LiftingConfig, rng: np.random.Generator) -> PeopleBatch:
    """Detect people through a camera with a guessed focal length.

    Args:
        people: the people; the last ones, by ``people.correlated_share``, are detected by ``correlated_detector``.
        config: parameters of the detectors and of the focal length's error.
        rng: source of all randomness.
    """
    exact, settings = np.float64(people.points.numpy()), config.people
    hidden = people.hidden.numpy() & (rng.random((len(exact), 1)) >= settings.all_visible_share)
    first = len(exact) - round(settings.correlated_share * len(exact))
    parts = ((slice(first), config.detector), (slice(first, None), config.correlated_detector))
    found = [
        detect_people(exact[part], noise, rng, _NAMES, hidden[part]) for part, noise in parts if len(exact[part])
    ]
    points, confidence, swapped_sides = (
        torch.as_tensor(np.concatenate([np.float32(getattr(one, name)) for one in found]))
        for name in ("points", "confidence", "swapped_sides")
    )
    focal_error = torch.as_tensor(np.float32(np.exp(settings.focal_spread * rng.standard_normal(len(exact)))))
    return PeopleBatch(lifting_features(points, confidence, focal_error), people.joints, swapped_sides)


@dataclass(frozen=True)
class PoseSource:
    """Draw poses: ``any`` pose of the motion capture, and those of people ``standing`` straight."""

    any: PoseSampler
    standing: PoseSampler

    @classmethod
    def of(cls, poses: MotionCapture, options: PoseData, seed: int) -> PoseSource:
        """Create both samplers of motion capture; they share one generator."""
        standing = PoseSampler(poses, replace(options, upright_share=1.0, seated_share=0.0), seed)
        both = cls(PoseSampler(poses, options, seed), standing)
        standing.rng = both.any.rng
        return both

    @property
    def rng(self) -> np.random.Generator:
        """The shared generator."""
        return self.any.rng


@torch.no_grad()
def make_people(data: BodyModelData, poses: PoseSource, settings: LiftingPeople, count: int) -> SyntheticPoses:
    """Create synthetic people.

    Args:
        data: a body model with hands.
        poses: draws their poses; its generator draws everything else as well.
        settings: distribution of people and cameras.
        count: number of people.
    """
    rng, (nearest, furthest) = poses.rng, settings.distance
    regressor = KeypointRegressor(data, LIFTED_KEYPOINTS, dtype=torch.float32)
    surface = torch.cat([regressor.vertices, _surface_points(data)])
    model = BodyModel.from_data(data, torch.float32).restrict(surface)
    n_read = len(regressor.vertices)
    made = []
    for first in range(0, count, _BATCH):
        n = min(_BATCH, count - first)
        rotations = _rotations(data, poses, settings, n)
        betas = torch.as_tensor(rng.normal(0.0, settings.shape_sd, (n, data.shapedirs.shape[2]))).float()
        output = model(betas, betas.new_zeros(n, data.expression_dirs.shape[2]), rotations)
        keypoints = regressor(output._replace(vertices=output.vertices[:, :n_read]))
        distance = torch.as_tensor(np.exp(rng.uniform(math.log(nearest), math.log(furthest), n))).float()
        pelvis = output.joints[:, :1]
        points, place = _project_centred(keypoints - pelvis, distance)
        hidden = _hidden(keypoints - pelvis + place, output.vertices - pelvis + place)
        made.append((points, output.joints[:, skeleton.BODY_JOINTS] - pelvis, hidden))
    return SyntheticPoses(*(torch.cat(parts) for parts in zip(*made, strict=True)))


def _surface_points(data: BodyModelData) -> Tensor:
    """Vertices [N] spread over the surface, one for each cell of a grid; those of hands and face are dense."""
    cells = np.floor(np.asarray(data.v_template) / _SURFACE_GRID).astype(np.int64)
    return torch.as_tensor(np.sort(np.unique(cells, axis=0, return_index=True)[1]))


def _hidden(keypoints: Tensor, vertices: Tensor) -> Tensor:
    """[N, 31] keypoints behind the surface of bodies before a camera with a focal length of one."""
    centre = np.zeros(2)
    both = zip(np.float64(keypoints.numpy()), np.float64(vertices.numpy()), strict=True)
    return torch.as_tensor(np.stack([hidden_by_body(points, body, 1.0, centre, _NAMES) for points, body in both]))


def _rotations(data: BodyModelData, poses: PoseSource, settings: LiftingPeople, n: int) -> Tensor:
    """Draw local rotations [N, 55, 3, 3]; eyes and jaw are not rotated."""
    rng = poses.rng
    body, kind = poses.any.draw(n).rotations, rng.random(n)
    standing, mixed = kind < settings.standing_share, kind > 1.0 - settings.mixed_share
    for chosen, source, joints in ((standing, poses.standing, _LEGS + _SPINE), (mixed, poses.any, _LEGS)):
        other = source.draw(n).rotations[:, joints]
        body[:, joints] = torch.where(torch.as_tensor(chosen)[:, None, None, None], other, body[:, joints])
    root = torch.as_tensor(_orientations(settings, standing, rng)).float()
    face = torch.eye(3).expand(n, 3, 3, 3)
    return torch.cat([root[:, None], body, face, *_hands(data, settings, rng, n)], 1)


def _orientations(
    settings: LiftingPeople, standing: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw rotations [N, 3, 3] from body to camera: tilt, heading, then pitch and roll of the camera."""
    n = len(standing)
    heading = np.where(
        rng.random(n) < settings.facing_share, rng.normal(0.0, settings.facing_sd_deg, n), rng.uniform(-180, 180, n)
    )
    tilt_sd = np.where(standing, settings.standing_tilt_sd_deg, settings.tilt_sd_deg)
    tilt = Rotation.from_rotvec(np.radians(tilt_sd)[:, None] * rng.normal(size=(n, 3)))
    pitch = 180.0 + rng.normal(0.0, settings.pitch_sd_deg, n)
    angles = np.stack([rng.normal(0.0, settings.roll_sd_deg, n), pitch, heading], 1)
    turned = (Rotation.from_euler("ZXY", angles, degrees=True) * tilt).as_matrix()
    lying = rng.random(n) < settings.lying_share
    turned[lying] = Rotation.random(n, random_state=rng).as_matrix()[lying]
    return np.asarray(turned)


def _hands(data: BodyModelData, settings: LiftingPeople, rng: np.random.Generator, n: int) -> list[Tensor]:
    """Draw rotations [N, 15, 3, 3] of the left and the right hand."""
    sd = settings.hand_sd / np.sqrt(np.arange(1, _N_HAND_COMPONENTS + 1))
    hands = []
    for components, mean in (data.hand(side) for side in skeleton.SIDES):
        pose = mean + (sd * rng.normal(size=(n, _N_HAND_COMPONENTS))) @ components[:_N_HAND_COMPONENTS]
        hands.append(axis_angle_to_matrix(torch.as_tensor(pose).float().unflatten(1, (-1, 3))))
    return hands


def _project_centred(keypoints: Tensor, distance: Tensor) -> tuple[Tensor, Tensor]:
    """Project keypoints [N, K, 3] relative to the pelvis from a distance [N], their box [N, K, 2] centred.

    Returns:
        The image points [N, K, 2] and the places of the pelvis [N, 1, 3].
    """
    depth = torch.maximum(distance, _NEAREST - keypoints[..., 2].amin(1))
    place = torch.stack([torch.zeros_like(depth), torch.zeros_like(depth), depth], 1)
    for _ in range(4):  # moving sideways changes the perspective a little
        placed = keypoints + place[:, None]
        points = placed[..., :2] / placed[..., 2:]
        place[:, :2] -= (points.amax(1) + points.amin(1)) / 2.0 * depth[:, None]
    return points, place[:, None]
