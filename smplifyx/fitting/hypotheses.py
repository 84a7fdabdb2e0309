"""Competing hypotheses: how much they disagree, poses with limbs flipped in depth, hands turned."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from smplifyx import skeleton
from smplifyx.fitting.batch import InitialPose
from smplifyx.fitting.parameters import BodyParameters
from smplifyx.fitting.state import BodyState, BodyView
from smplifyx.optim import padded_rows
from smplifyx.rotations import axis_angle_to_matrix, matrix_to_axis_angle

#: A hypothesis whose loss is higher by this share of the best counts 1 / e of it.
_LOSS_SHARE = 0.2
#: Mean joint distance from which two poses count as different (metres).
_DIFFERENT = 0.06
#: The gap where no hypothesis differs.
_NO_RIVAL = 1.0
_BODY = slice(skeleton.BODY_JOINTS.start - 1, skeleton.BODY_JOINTS.stop)
#: Hypotheses with no joint farther apart count as the same pose (metres).
_SAME = 0.02
#: As ``max_rise`` of :func:`distinct`.
_MAX_RISE = 0.3


class Ambiguity(NamedTuple):
    """Disagreement between the hypotheses of P people.

    Attributes:
        spread: [P] mean joint distance of the hypotheses from the best one, weighted by their losses (metres).
        gap: [P] relative rise of the loss to the best different pose; at most 1.
    """

    spread: Tensor
    gap: Tensor


@torch.no_grad()
def ambiguity(joints: Tensor, loss: Tensor, person: Tensor, best: Tensor) -> Ambiguity:
    """Disagreement between the hypotheses of each person.

    Args:
        joints: [R, J, 3] of all hypotheses, camera frame.
        loss: [R] their losses; those that are not finite do not count.
        person: [R] the person of each.
        best: [P] the row of each person's best hypothesis.

    """
    n_rows, rows = len(joints), padded_rows(len(joints), joints.device)
    joints, loss, person = joints[rows], loss[rows], person[rows]
    loss[n_rows:] = torch.inf  # the copies do not count
    body = joints[:, _BODY]
    centred = body - body.mean(1, keepdim=True)
    reference = best[person]
    distance = (centred - centred[reference]).norm(dim=2).mean(1)
    lowest = loss[reference]
    rise = ((loss - lowest) / lowest.clamp(min=1e-9)).clamp(min=0.0)
    counts = torch.isfinite(rise) & torch.isfinite(distance)
    weight = torch.where(counts, torch.exp(-rise / _LOSS_SHARE), 0.0)
    distance = torch.where(counts, distance, 0.0)
    zeros = loss.new_zeros(len(best))
    total = zeros.index_add(0, person, weight).clamp(min=1e-9)
    spread = zeros.index_add(0, person, weight * distance) / total
    rival = torch.where(counts & (distance > _DIFFERENT), rise, _NO_RIVAL).clamp(max=_NO_RIVAL)
    gap = loss.new_full((len(best),), _NO_RIVAL).scatter_reduce(0, person, rival, "amin")
    return Ambiguity(spread, gap)


@torch.no_grad()
def distinct(joints: Tensor, loss: Tensor, person: Tensor, max_rise: float = _MAX_RISE) -> Tensor:
    """Rows of the hypotheses that may still win, ascending.

    Of hypotheses in the same pose the one of lowest loss stays; those whose loss is too high go.

    Args:
        joints: [R, J, 3] of all hypotheses, camera frame.
        loss: [R] their losses; those that are not finite lose.
        person: [R] the person of each, ascending or not; each person keeps at least one row.
        max_rise: share of the lowest loss by which that of a hypothesis that may still win is higher at most.
    """
    loss = torch.where(torch.isfinite(loss), loss, torch.inf)
    order = loss.argsort(stable=True)
    order = order[person[order].argsort(stable=True)]
    counts = torch.bincount(person)
    owner = person[order]
    rank = torch.arange(len(order), device=order.device) - (counts.cumsum(0) - counts)[owner]
    size = len(counts), int(counts.max())
    rows = order.new_full(size, -1)
    rows[owner, rank] = order
    losses = torch.where(rows >= 0, loss[rows], torch.inf)
    lowest = losses[:, :1]
    promising = (rows >= 0) & (losses - lowest <= max_rise * lowest.abs())
    promising[:, 0] = rows[:, 0] >= 0
    centred = (joints - joints[:, _BODY].mean(1, keepdim=True))[rows]
    kept = promising.clone()
    for place in range(1, size[1]):
        apart = (centred[:, :place] - centred[:, place : place + 1]).norm(dim=3).amax(2)
        kept[:, place] &= ~(kept[:, :place] & (apart < _SAME)).any(1)
    return rows[kept].sort().values


_joint = skeleton.joint_index
_LEFT_LEG, _RIGHT_LEG = ("left_hip", "left_knee"), ("right_hip", "right_knee")
_LEFT_ARM, _RIGHT_ARM = ("left_shoulder", "left_elbow"), ("right_shoulder", "right_elbow")
_LEGS = _LEFT_LEG + _RIGHT_LEG

#: Joints whose bones are flipped together; a bone is named by the joint at its upper end.
_FLIPS: tuple[tuple[str, ...], ...] = (
    *((bone,) for bone in _LEGS + _LEFT_ARM + _RIGHT_ARM),
    _LEFT_LEG,
    _RIGHT_LEG,
    _LEFT_ARM,
    _RIGHT_ARM,
    ("left_hip", "right_hip"),
    _LEGS,
    ("pelvis",),
    ("pelvis", "left_hip", "right_hip"),
    ("pelvis", *_LEGS),
    ("pelvis", *_LEGS, *_LEFT_ARM, *_RIGHT_ARM),
)
#: Joints whose bones are rotated into the image plane together: a person who does not lean or bend in depth.
_LEVELLED: tuple[tuple[str, ...], ...] = (("pelvis",), ("pelvis", *_LEGS))
_BONE_ENDS = {
    "pelvis": "neck",
    **{f"{side}_{upper}": f"{side}_{lower}" for side in ("left", "right")
       for upper, lower in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))},
}  # fmt: skip
#: Joints that keep their direction in space when a bone above them flips; the others follow.
_KEEP_DIRECTION = {_joint(name) for name in (*_BONE_ENDS, "neck") if name != "pelvis"}
_N_BODY = skeleton.BODY_JOINTS.stop
#: Normal of the palm at rest, in the frame of the wrist.
_PALM = (0.0, 1.0, 0.0)
#: Sine of the angle to the image plane below which a bone is not flipped.
_FLAT = 0.15


@torch.no_grad()
def depth_flips(view: BodyView, x: Tensor, initial: InitialPose) -> tuple[Tensor, Tensor, Tensor]:
    """All flips of each row, and its levelled versions.

    Args:
        view: the body; only joints are read.
        x: [B, D] parameters.
        initial: the pose that they are relative to.

    Returns:
        Parameters [H, D] of the flipped bodies, the row [H] of ``x`` each comes from, and whether [H] the flip
        changes anything.
    """
    n_rows, filled = len(x), padded_rows(len(x), x.device)
    state = view.pose(x[filled], initial.index(filled))
    joints, turned = state.output.joints, state.output.joint_rotations[:, :_N_BODY]
    sines = {name: _view_sine(joints, _joint(name), _joint(end)).abs() for name, end in _BONE_ENDS.items()}
    levelled, mirrored = {}, {}
    for name, end in _BONE_ENDS.items():
        level = _level(joints, _joint(name), _joint(end))
        # Turning a bone by as much again mirrors it.
        levelled[name], mirrored[name] = level @ turned[:, _joint(name)], level @ level @ turned[:, _joint(name)]
    versions = [(names, mirrored) for names in _FLIPS] + [(names, levelled) for names in _LEVELLED]
    world = turned.repeat(len(versions), 1, 1, 1, 1)
    for number, (names, goals) in enumerate(versions):
        for name in names:
            world[number, :, _joint(name)] = goals[name]
    local = _followed(world, state.inputs.rotations[:, :_N_BODY])[:, :n_rows].flatten(0, 1)
    matters = [torch.stack([sines[name] for name in names]).max(0).values > _FLAT for names, _ in versions]
    origin = torch.arange(n_rows, device=x.device).repeat(len(versions))
    filled = padded_rows(len(origin), x.device)
    changed = _with_rotations(view.parameters, x[origin[filled]], initial.index(origin[filled]), local[filled])
    return changed[: len(origin)], origin, torch.stack(matters)[:, :n_rows].flatten()


@torch.no_grad()
def turned_hands(view: BodyView, x: Tensor, initial: InitialPose) -> Tensor:
    """Each row with a hand seen from another side, in two ways: [2, 2, B, D], the second axis for left and right.

    First the hand is mirrored in depth, such that a flat one looks the same. Second its forearm is mirrored, too, and
    it makes half a turn about that. Fingers get the mean pose.

    Args:
        view: the body; only joints are read.
        x: [B, D] parameters.
        initial: the pose that they are relative to.
    """
    n_rows, filled = len(x), padded_rows(len(x), x.device)
    state, initial = view.pose(x[filled], initial.index(filled)), initial.index(filled)
    turned = []
    for with_forearm in (False, True):
        for side in skeleton.SIDES:
            changed = _with_rotations(
                view.parameters, x[filled], initial, _turned_hand(state, side, with_forearm=with_forearm)
            )
            changed[:, view.parameters.layout.slices[f"{side}_hand"]] = 0.0
            turned.append(changed[:n_rows])
    return torch.stack(turned).unflatten(0, (2, 2))


def _turned_hand(state: BodyState, side: str, *, with_forearm: bool) -> Tensor:
    """Local rotations [B, 22, 3, 3] of bodies with a hand turned as by :func:`turned_hands`."""
    shoulder, elbow, wrist = (_joint(f"{side}_{name}") for name in ("shoulder", "elbow", "wrist"))
    joints, world = state.output.joints, state.output.joint_rotations
    local = state.inputs.rotations[:, :_N_BODY].clone()
    bone, forearm = normalize(joints[:, wrist] - joints[:, elbow], dim=1), world[:, elbow]
    hand = _reflection(_view_direction(joints, wrist)) @ world[:, wrist] @ _reflection(bone.new_tensor(_PALM)[None])
    if with_forearm:
        level = _level(joints, elbow, wrist)
        bone, forearm = (level @ level @ bone[..., None])[..., 0], level @ level @ forearm
        hand = -_reflection(bone) @ hand
    # The wrist alone does not twist that far: the elbow takes half of it.
    twist = _twist(hand @ (forearm @ local[:, wrist]).mT, bone)
    forearm = axis_angle_to_matrix(0.5 * twist[:, None] * bone) @ forearm
    local[:, elbow], local[:, wrist] = world[:, shoulder].mT @ forearm, forearm.mT @ hand
    return local


def _reflection(normal: Tensor) -> Tensor:
    """Mirror images [B, 3, 3] in planes with these unit normals [B, 3]; times -1, half turns about them."""
    identity = torch.eye(3, dtype=normal.dtype, device=normal.device)
    return identity - 2.0 * normal[:, :, None] * normal[:, None]


def _twist(rotation: Tensor, axis: Tensor) -> Tensor:
    """Angles [B] of rotations [B, 3, 3] about unit vectors [B, 3], radians; the rest turns these vectors."""
    skew = rotation - rotation.mT
    vector = torch.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], 1)
    return 2.0 * torch.atan2((vector * axis).sum(1), 1.0 + rotation.diagonal(dim1=1, dim2=2).sum(1))


def _view_direction(joints: Tensor, joint: int) -> Tensor:
    return joints[:, joint] / joints[:, joint].norm(dim=1, keepdim=True)


def _view_sine(joints: Tensor, start: int, end: int) -> Tensor:
    """Component [B] of a bone's direction along the view ray through its upper end."""
    bone = joints[:, end] - joints[:, start]
    return (bone * _view_direction(joints, start)).sum(1) / bone.norm(dim=1)


def _level(joints: Tensor, start: int, end: int) -> Tensor:
    """Smallest rotations [B, 3, 3] of a bone into the plane perpendicular to the view ray."""
    bone = joints[:, end] - joints[:, start]
    bone = bone / bone.norm(dim=1, keepdim=True)
    view = _view_direction(joints, start)
    across = bone - (bone * view).sum(1, keepdim=True) * view
    return _between(bone, across / across.norm(dim=1, keepdim=True).clamp_min(1e-6))


def _between(start: Tensor, end: Tensor) -> Tensor:
    """Rotations [B, 3, 3] that take unit vectors to others less than 180 degrees away (Rodrigues)."""
    axis = torch.linalg.cross(start, end)
    cosine = (start * end).sum(1)[:, None, None]
    zero = torch.zeros_like(axis[:, 0])
    cross = torch.stack(
        [zero, -axis[:, 2], axis[:, 1], axis[:, 2], zero, -axis[:, 0], -axis[:, 1], axis[:, 0], zero], 1
    ).unflatten(1, (3, 3))
    identity = torch.eye(3, dtype=start.dtype, device=start.device)
    return identity + cross + cross @ cross / (1.0 + cosine)


def _followed(world: Tensor, local: Tensor) -> Tensor:
    """Local rotations [F, B, 22, 3, 3] of flipped bodies; joints that keep no direction follow those above them.

    Args:
        world: [F, B, 22, 3, 3] rotations of the joints in the world; those of joints that follow are overwritten.
        local: [B, 22, 3, 3] of the bodies before.
    """
    for joint in range(1, _N_BODY):
        if joint not in _KEEP_DIRECTION:
            world[:, :, joint] = world[:, :, skeleton.PARENTS[joint]] @ local[:, joint]
    above = world[:, :, list(skeleton.PARENTS[1:_N_BODY])].transpose(-1, -2)
    return torch.cat([world[:, :, :1], above @ world[:, :, 1:]], 2)


def _with_rotations(parameters: BodyParameters, x: Tensor, initial: InitialPose, rotations: Tensor) -> Tensor:
    """x with the orientation and body pose of the given local rotations [B, 22, 3, 3]."""
    slices = parameters.layout.slices
    changed = x.clone()
    turn = rotations[:, 0] @ initial.orientation.transpose(1, 2)
    changed[:, slices["global_orient"]] = matrix_to_axis_angle(turn)
    changed[:, slices["body_pose"]] = parameters.prior.encode(matrix_to_axis_angle(rotations[:, 1:]).flatten(1))
    return changed
