"""Where the fit of a hand or a head alone starts: from several sides, each turned and placed as the picture says."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from smplifyx.fitting.initialization import facing_camera

#: Turns of a head about its vertical and then about the camera's level axis, degrees.
_HEAD_VIEWS = ((0.0, 0.0), (45.0, 0.0), (-45.0, 0.0), (0.0, 30.0), (0.0, -30.0), (80.0, 0.0), (-80.0, 0.0))
_CORNER = math.degrees(math.atan(math.sqrt(0.5)))
#: The same of a hand: the sides and the corners of a cube.
_HAND_VIEWS = (
    (0.0, 90.0), (0.0, -90.0), *((yaw, 0.0) for yaw in (0.0, 90.0, 180.0, 270.0)),
    *((yaw, pitch) for yaw in (45.0, 135.0, 225.0, 315.0) for pitch in (-_CORNER, _CORNER)),
)  # fmt: skip
#: Of the size that the spread of the observed points lets expect; a view that fits badly is not taken for smaller.
_MIN_SIZE = 0.5


class PartStart(NamedTuple):
    """``orientation`` [B, 3, 3] from model to camera, and the place [B, 3] of the root joint, metres."""

    orientation: Tensor
    root: Tensor


def view_orientations(model_type: str, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Orientations [N, 3, 3] from which a ``mano`` hand or a ``flame`` head is tried.

    A hand may be seen from everywhere, here from the 6 sides and the 8 corners of a cube; a head whose face was found
    is seen from the front half. The turn in the image follows from the keypoints.
    """
    pairs = _HEAD_VIEWS if model_type == "flame" else _HAND_VIEWS
    yaw, pitch = torch.deg2rad(torch.tensor(pairs, dtype=dtype, device=device)).unbind(1)
    zero, one = torch.zeros_like(pitch), torch.ones_like(pitch)
    nod = [one, zero, zero, zero, pitch.cos(), -pitch.sin(), zero, pitch.sin(), pitch.cos()]
    return torch.stack(nod, 1).unflatten(1, (3, 3)) @ facing_camera(zero, yaw)


def place_part(
    orientation: Tensor, points: Tensor, observed: Tensor, confidence: Tensor, focal: Tensor, centre: Tensor
) -> PartStart:
    """Turn in the image, depth and place at which the projected points come closest to the observed ones.

    A least-squares similarity of the plane (Umeyama 1991, without reflections) under weak perspective.

    Args:
        orientation: [B, 3, 3] from which side it is seen.
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
    return PartStart(roll @ orientation, root)
