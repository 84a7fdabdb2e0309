"""Initialisation: depth from limb lengths, in-plane roll from the trunk, candidate headings, first hypotheses."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from smplifyx import skeleton
from smplifyx.config import Config, StartsConfig
from smplifyx.fitting.batch import FitTargets, Hypotheses, InitialPose
from smplifyx.fitting.solver import Solver
from smplifyx.optim import padded_rows
from smplifyx.skeleton import BODY_KEYPOINT_NAMES

#: Pairs of body keypoints whose 3D distance hardly depends on the pose.
_LIMBS = (
    ("left_shoulder", "left_hip"), ("right_shoulder", "right_hip"), ("neck", "mid_hip"),
    ("left_shoulder", "right_shoulder"),
    ("left_hip", "left_knee"), ("right_hip", "right_knee"),
    ("left_knee", "left_ankle"), ("right_knee", "right_ankle"),
    ("left_shoulder", "left_elbow"), ("right_shoulder", "right_elbow"),
    ("left_elbow", "left_wrist"), ("right_elbow", "right_wrist"),
    ("neck", "nose"), ("left_ear", "right_ear"), ("nose", "left_ear"), ("nose", "right_ear"),
)  # fmt: skip

#: Shortening only makes limbs look shorter, so the nearer estimates are the better ones; the very nearest is noise.
_DEPTH_QUANTILE = 0.2
_LIMB_CONFIDENCE = 0.3


def _index(name: str) -> int:
    return BODY_KEYPOINT_NAMES.index(name)


_STARTS = [_index(a) for a, _ in _LIMBS]
_ENDS = [_index(b) for _, b in _LIMBS]


def initial_translation(keypoints: Tensor, confidence: Tensor, body: Tensor, focal: Tensor, centre: Tensor) -> Tensor:
    """Camera translation [B, 3] that puts a rest body where the keypoints are, metres.

    Args:
        keypoints: [B, 135, 2] pixels.
        confidence: [B, 135]; limbs with an uncertain end do not count.
        body: [B, 25, 3] body keypoints of the starting pose, metres, pelvis near the origin, camera axes.
        focal: [B, 2] pixels.
        centre: [B, 2] principal point, pixels.
    """
    observed = keypoints[:, : body.shape[1]]
    weight = confidence[:, : body.shape[1]]
    lengths_3d = (body[:, _STARTS] - body[:, _ENDS]).norm(dim=2)
    lengths_2d = (observed[:, _STARTS] - observed[:, _ENDS]).norm(dim=2)
    seen = (torch.minimum(weight[:, _STARTS], weight[:, _ENDS]) > _LIMB_CONFIDENCE) & (lengths_2d > 1e-3)
    depths = focal.mean(1, keepdim=True) * lengths_3d / lengths_2d.clamp_min(1e-3)
    depth = torch.nanquantile(depths.masked_fill(~seen, math.nan), _DEPTH_QUANTILE, dim=1)
    depth = torch.where(torch.isfinite(depth), depth, _depth_from_box(observed, weight, body, focal))
    share = weight / weight.sum(1, keepdim=True).clamp_min(1e-9)
    middle_2d = (observed * share[..., None]).sum(1)
    middle_3d = (body * share[..., None]).sum(1)
    sideways = (middle_2d - centre) / focal * depth[:, None] - middle_3d[:, :2]
    return torch.cat([sideways, depth[:, None]], 1)


def _depth_from_box(observed: Tensor, weight: Tensor, body: Tensor, focal: Tensor) -> Tensor:
    """Depth [B] from the spread of the visible keypoints, for people without one whole limb."""
    share = (weight / weight.sum(1, keepdim=True).clamp_min(1e-9))[..., None]

    def spread(points: Tensor) -> Tensor:
        return ((points - (points * share).sum(1, keepdim=True)).square() * share).sum((1, 2)).sqrt()

    return focal.mean(1) * spread(body[..., :2]) / spread(observed).clamp_min(1e-3)


def trunk_roll(keypoints: Tensor, confidence: Tensor) -> Tensor:
    """In-plane angle [B] (radians, clockwise in the image) of the trunk against upright; 0 where it is not seen."""
    up = keypoints[:, _index("neck")] - keypoints[:, _index("mid_hip")]
    seen = torch.minimum(confidence[:, _index("neck")], confidence[:, _index("mid_hip")]) > _LIMB_CONFIDENCE
    return torch.where(seen, torch.atan2(up[:, 0], -up[:, 1]), 0.0)


def facing_camera(roll: Tensor, heading: Tensor) -> Tensor:
    """Orientations [B, 3, 3] from body to camera of an upright person.

    Args:
        roll: [B] in-plane angle, radians, clockwise in the image.
        heading: [B] turn about the body's vertical axis, radians; 0 looks into the camera.
    """
    zero, one = torch.zeros_like(roll), torch.ones_like(roll)

    def matrix(*entries: Tensor) -> Tensor:
        return torch.stack(entries, -1).unflatten(-1, (3, 3))

    in_plane = matrix(roll.cos(), -roll.sin(), zero, roll.sin(), roll.cos(), zero, zero, zero, one)
    upright = matrix(one, zero, zero, zero, -one, zero, zero, zero, -one)
    turn = matrix(heading.cos(), zero, heading.sin(), zero, one, zero, -heading.sin(), zero, heading.cos())
    return in_plane @ upright @ turn


#: Joints that keep their places to each other in nearly every pose.
_TRUNK = [
    skeleton.joint_index(name) - skeleton.BODY_JOINTS.start
    for name in ("left_hip", "right_hip", "spine1", "spine2", "spine3", "neck", "left_shoulder", "right_shoulder")
]


def trunk_orientation(resting: Tensor, lifted: Tensor) -> Tensor:
    """Orientations [B, 3, 3], body to camera, that align a resting trunk with the lifted one (Kabsch 1976).

    Args:
        resting: [B, 21, 3] body joints of the starting pose from the pelvis, body axes.
        lifted: [B, 21, 3] lifted body joints, camera axes.
    """
    lifted = torch.nan_to_num(lifted)  # a person with a broken camera fails without stopping the others
    centred = [points[:, _TRUNK] - points[:, _TRUNK].mean(1, keepdim=True) for points in (lifted, resting)]
    left, _, right = torch.linalg.svd(centred[0].transpose(1, 2) @ centred[1])
    reflected = torch.ones_like(left[..., 0])
    reflected[:, 2] = torch.linalg.det(left @ right)
    return (left * reflected[:, None]) @ right


#: Shoulder or hip width, relative to the trunk, beyond which the order of left and right gives front or back.
_CLEAR_WIDTH = 0.45


def candidate_headings(keypoints: Tensor, confidence: Tensor, starts: StartsConfig) -> list[list[float]]:
    """Starting headings (radians) of each person.

    With ``headings: auto`` and without lifted joints, a person whose shoulders or hips are wide relative to the trunk
    starts facing the camera, or away from it; others start in four directions.
    """
    if starts.headings != "auto":
        evenly = [2.0 * math.pi * k / starts.headings for k in range(starts.headings)]
        return [_with_side_view(evenly, starts, points) for points in keypoints]
    return [_automatic_headings(*row) for row in zip(keypoints, confidence, strict=True)]


def _with_side_view(headings: list[float], starts: StartsConfig, points: Tensor) -> list[float]:
    """Add the opposite headings where the shoulders nearly coincide (the paper's rule)."""
    if starts.side_view_threshold is None:
        return headings
    width = (points[_index("left_shoulder")] - points[_index("right_shoulder")]).norm()
    narrow = bool(width < starts.side_view_threshold)
    return headings + [heading + math.pi for heading in headings] if narrow else headings


def _automatic_headings(points: Tensor, seen: Tensor) -> list[float]:
    everywhere = [0.0, 0.5 * math.pi, math.pi, 1.5 * math.pi]
    trunk_seen = min(float(seen[_index("neck")]), float(seen[_index("mid_hip")])) > _LIMB_CONFIDENCE
    if not trunk_seen:
        return everywhere
    up = points[_index("neck")] - points[_index("mid_hip")]
    length = float(up.norm())
    if length < 1e-3:
        return everywhere
    to_right = torch.stack([-up[1], up[0]]) / length
    widths = []
    for part in ("shoulder", "hip"):
        left, right = _index(f"left_{part}"), _index(f"right_{part}")
        if min(float(seen[left]), float(seen[right])) > _LIMB_CONFIDENCE:
            widths.append(float((points[left] - points[right]) @ to_right) / length)
    if widths and min(widths) > 0 and max(widths) > _CLEAR_WIDTH:
        return [0.0]
    if widths and max(widths) < 0 and min(widths) < -_CLEAR_WIDTH:
        return [math.pi]
    return everywhere


#: Turns of a head about its vertical and then about the camera's level axis, degrees.
_HEAD_VIEWS = ((0.0, 0.0), (45.0, 0.0), (-45.0, 0.0), (0.0, 30.0), (0.0, -30.0), (80.0, 0.0), (-80.0, 0.0))
_CORNER = math.degrees(math.atan(math.sqrt(0.5)))
#: The same of a hand: the sides and the corners of a cube.
_HAND_VIEWS = (
    (0.0, 90.0), (0.0, -90.0), *((yaw, 0.0) for yaw in (0.0, 90.0, 180.0, 270.0)),
    *((yaw, pitch) for yaw in (45.0, 135.0, 225.0, 315.0) for pitch in (-_CORNER, _CORNER)),
)  # fmt: skip
#: Minimum size relative to that expected from the spread of the observed points: a bad view is not explained by size.
_MIN_SIZE = 0.5


class WeakPerspectivePose(NamedTuple):
    """``orientation`` [B, 3, 3] from model to camera, and the position [B, 3] of the root joint, metres."""

    orientation: Tensor
    root: Tensor


def view_orientations(model_type: str, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Starting orientations [N, 3, 3] of a ``mano`` hand or a ``flame`` head.

    A hand is tried from the 6 sides and the 8 corners of a cube, a head from the front half. The in-plane rotation
    follows from the keypoints.
    """
    pairs = _HEAD_VIEWS if model_type == "flame" else _HAND_VIEWS
    yaw, pitch = torch.deg2rad(torch.tensor(pairs, dtype=dtype, device=device)).unbind(1)
    zero, one = torch.zeros_like(pitch), torch.ones_like(pitch)
    nod = [one, zero, zero, zero, pitch.cos(), -pitch.sin(), zero, pitch.sin(), pitch.cos()]
    return torch.stack(nod, 1).unflatten(1, (3, 3)) @ facing_camera(zero, yaw)


def weak_perspective_init(
    orientation: Tensor, points: Tensor, observed: Tensor, confidence: Tensor, focal: Tensor, centre: Tensor
) -> WeakPerspectivePose:
    """In-plane rotation, depth and position that bring the projected points closest to the observed ones.

    A least-squares similarity of the plane (Umeyama 1991, without reflections) under weak perspective.

    Args:
        orientation: [B, 3, 3] viewing direction, model to camera.
        points: [B, N, 3] of the model so turned, relative to its root joint.
        observed: [B, N, 2] pixels.
        confidence: [B, N] weights.
        focal: [B, 2] pixels.
        centre: [B, 2] principal point, pixels.
    """
    share = (confidence / confidence.sum(1, keepdim=True).clamp_min(1e-9))[..., None]
    rays = (observed - centre[:, None]) / focal[:, None]
    middle_2d, middle_3d = (share * rays).sum(1), (share * points).sum(1)
    goals, flat = rays - middle_2d[:, None], (points - middle_3d[:, None])[..., :2]
    along = (share * flat * goals).sum((1, 2))
    across = (share[..., 0] * (flat[..., 0] * goals[..., 1] - flat[..., 1] * goals[..., 0])).sum(1)
    spread = (share * flat.square()).sum((1, 2)).clamp_min(1e-12)
    likely_scale = ((share * goals.square()).sum((1, 2)) / spread).sqrt()
    scale = torch.maximum(torch.hypot(along, across) / spread, _MIN_SIZE * likely_scale)
    angle = torch.atan2(across, along)
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    rows = [angle.cos(), -angle.sin(), zero, angle.sin(), angle.cos(), zero, zero, zero, one]
    roll = torch.stack(rows, 1).unflatten(1, (3, 3))
    depth = 1.0 / scale.clamp_min(1e-6)
    turned_middle = (roll @ middle_3d[..., None])[..., 0]
    sideways = middle_2d * depth[:, None] - turned_middle[:, :2]
    root = torch.cat([sideways, (depth - turned_middle[:, 2])[:, None]], 1)
    return WeakPerspectivePose(roll @ orientation, root)


#: Stature from which the objective's unit of length is made (metres): such a person is 1000 units tall.
_STATURE = 1.7


@torch.no_grad()
def initial_hypotheses(solver: Solver, targets: FitTargets) -> Hypotheses:
    """The hypotheses from which a fit starts: one for each person and heading; of a hand or a head, for each view.

    Args:
        solver: the body model and its settings.
        targets: the observed quantities of P people.
    """
    n_people = len(targets.keypoints)
    targets = targets.index(padded_rows(n_people, solver.device))
    person, initial, x, depth = (_body_starts if solver.parameters.has_body else _part_starts)(solver, targets)
    kept = person < n_people
    person, initial, x, depth = person[kept], initial.index(kept), x[kept], depth[kept]
    rows = targets.index(person)
    if solver.config.objective.scale == "person":
        size = _STATURE * rows.focal_length.mean(1) / depth
        rows = replace(rows, pixel_scale=1000.0 / size)
    return Hypotheses.start(person, rows, initial, x)


def _body_starts(solver: Solver, targets: FitTargets) -> tuple[Tensor, InitialPose, Tensor, Tensor]:
    """Person [R], initial pose, parameters [R, D] and depth [R] of whole bodies."""
    person, orientation = _body_orientations(solver, targets)
    n_rows = len(person)
    padded = padded_rows(n_rows, solver.device)
    rows, x = targets.index(person[padded]), _prior_mean(solver, len(padded))
    body = solver.pose(x, _at_origin(orientation[padded])).keypoints
    translation = initial_translation(rows.keypoints, rows.confidence, body, rows.focal_length, rows.principal_point)
    translation = translation[:n_rows]
    return person, InitialPose(orientation, translation), x[:n_rows], translation[:, 2]


def _body_orientations(solver: Solver, targets: FitTargets) -> tuple[Tensor, Tensor]:
    """The person [R] of each start, and its orientation [R, 3, 3]."""
    config: Config = solver.config
    if config.starts.headings == "auto" and config.lifting.enabled:
        n_people = len(targets.lifted)
        resting = solver.resting_joints.expand(n_people, -1, -1)
        return torch.arange(n_people, device=solver.device), trunk_orientation(resting, targets.lifted)
    headings = candidate_headings(targets.keypoints.cpu(), targets.confidence.cpu(), config.starts)
    person = torch.tensor([i for i, some in enumerate(headings) for _ in some], device=solver.device)
    roll = trunk_roll(targets.keypoints, targets.confidence)[person]
    angles = torch.tensor([angle for some in headings for angle in some], dtype=solver.dtype, device=solver.device)
    padded = padded_rows(len(person), solver.device)
    return person, facing_camera(roll[padded], angles[padded])[: len(person)]


def _part_starts(solver: Solver, targets: FitTargets) -> tuple[Tensor, InitialPose, Tensor, Tensor]:
    """Starts of hands and heads, from several sides and with several bends of the fingers."""
    view, poses = solver.first_view, solver.parameters.starting_poses()
    sides = view_orientations(solver.data.model_type, solver.dtype, solver.device)
    n_people = len(targets.keypoints)
    person = torch.arange(n_people, device=solver.device).repeat_interleave(len(sides) * len(poses))
    orientation = sides.repeat_interleave(len(poses), 0).repeat(n_people, 1, 1)
    x, rows = poses.repeat(n_people * len(sides), 1), targets.index(person)
    state = view.pose(x, _at_origin(orientation))
    root = state.joints[:, 0]
    towards_camera = torch.zeros_like(root) - root.new_tensor([0.0, 0.0, 1.0])
    points = view.regressor(state.output, view.regressor.contour_rows(state.output, towards_camera))
    start = weak_perspective_init(
        orientation,
        points - root[:, None],
        rows.keypoints[:, view.keypoints],
        rows.confidence[:, view.keypoints],
        rows.focal_length,
        rows.principal_point,
    )
    return person, InitialPose(start.orientation, start.root - root), x, start.root[:, 2]


def _prior_mean(solver: Solver, n_rows: int) -> Tensor:
    """[N, D] parameters of the mean of all priors."""
    n_parameters = solver.parameters.layout.n_parameters
    return torch.zeros(n_rows, n_parameters, dtype=solver.dtype, device=solver.device)


def _at_origin(orientation: Tensor) -> InitialPose:
    return InitialPose(orientation, torch.zeros_like(orientation[:, 0]))
