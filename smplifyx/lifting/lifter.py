"""Depth evidence for fits: lifted body joints with their uncertainty, and limbs whose sides a detector swapped."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from smplifyx import skeleton
from smplifyx.constants import index_of
from smplifyx.lifting.network import (
    LIFTED_KEYPOINTS,
    SWAPPABLE_LIMBS,
    LiftingNetwork,
    lifting_features,
    predict_with_flip,
)
from smplifyx.optim import padded_rows
from smplifyx.skeleton import CANONICAL_KEYPOINT_NAMES

_LIMB_PARTS = {
    "arms": ("shoulder", "elbow", "wrist"),
    "legs": ("hip", "knee", "ankle", "big_toe", "small_toe", "heel"),
}


@dataclass(frozen=True)
class LiftedJoints:
    """3D body joints predicted from the keypoints of people, in camera axes.

    Attributes:
        joints: [B, 21, 3] relative to the pelvis, metres.
        sqrt_precision: [B, 21, 3, 3] maps the error of a joint to unit variance.
        swapped_sides: [B, 2] probabilities that left and right of :data:`SWAPPABLE_LIMBS` are swapped.
    """

    joints: Tensor
    sqrt_precision: Tensor
    swapped_sides: Tensor


@torch.no_grad()
def lift(
    network: LiftingNetwork, keypoints: Tensor, confidence: Tensor, focal_length: Tensor, principal_point: Tensor
) -> LiftedJoints:
    """Predict the body joints of people from their keypoints.

    Args:
        network: a trained network.
        keypoints: [B, 135, 2] pixels, canonical layout.
        confidence: [B, 135]; 0 for keypoints that were not detected.
        focal_length: [B, 2] pixels.
        principal_point: [B, 2] pixels.
    """
    seen = confidence[:, LIFTED_KEYPOINTS].float()
    points = (keypoints - principal_point[:, None]) / focal_length[:, None]
    points = points[:, LIFTED_KEYPOINTS].float()
    towards = _rotation_towards(points, seen)
    rays = torch.cat([points, torch.ones_like(points[..., :1])], 2) @ towards
    turned = rays[..., :2] / rays[..., 2:].clamp_min(1e-3)
    output = predict_with_flip(network, lifting_features(turned, seen))
    sqrt_precision = torch.exp(-output.log_sd)[..., None] * towards.transpose(1, 2)[:, None]
    joints = output.joints @ towards.transpose(1, 2)
    return LiftedJoints(
        joints.to(keypoints), sqrt_precision.to(keypoints), output.swapped_sides.sigmoid().to(keypoints)
    )


def _rotation_towards(points: Tensor, seen: Tensor) -> Tensor:
    """Smallest rotations [B, 3, 3] from the view axis to the mean of the detected points [B, N, 2]."""
    share = (seen > 0).to(points.dtype)
    share = share / share.sum(1, keepdim=True).clamp_min(1.0)
    middle = (points * share[..., None]).sum(1)
    x, y, z = nn.functional.normalize(torch.cat([middle, torch.ones_like(middle[:, :1])], 1), dim=1).unbind(1)
    shared = -x * y / (1.0 + z)
    columns = [1.0 - x * x / (1.0 + z), shared, x, shared, 1.0 - y * y / (1.0 + z), y, -x, -y, z]
    return torch.stack(columns, 1).unflatten(1, (3, 3))


def lifting_energy(joints: Tensor, lifted: Tensor, sqrt_precision: Tensor) -> Tensor:
    """Squared Mahalanobis distance [B] of body joints from the lifted ones.

    Args:
        joints: [B, J, 3] in the camera frame, metres; the pelvis first, the 21 body joints after it.
        lifted: [B, 21, 3], see :class:`LiftedJoints`.
        sqrt_precision: [B, 21, 3, 3].
    """
    offsets = joints[:, skeleton.BODY_JOINTS] - joints[:, :1] - lifted
    return (sqrt_precision @ offsets[..., None]).square().sum((1, 2, 3))


def _swapped_order(limbs: str) -> list[int]:
    """Order of the 135 keypoints with left and right of the arms (with hands) or the legs swapped."""
    parts = {f"{side}_{part}" for side in skeleton.SIDES for part in _LIMB_PARTS[limbs]}
    hands = {name for name in CANONICAL_KEYPOINT_NAMES if "_hand_" in name and limbs == "arms"}
    return skeleton.mirror_order(CANONICAL_KEYPOINT_NAMES, only=parts | hands)


_SWAPPED_ORDERS = tuple(_swapped_order(limbs) for limbs in SWAPPABLE_LIMBS)


def undo_swap(keypoints: NDArray[np.float32], swapped_sides: Tensor | NDArray[np.bool_]) -> NDArray[np.float32]:
    """Swap left and right of one person's limbs.

    Args:
        keypoints: [135, ...].
        swapped_sides: [2] whether to swap each of :data:`SWAPPABLE_LIMBS`.
    """
    for limb, order in enumerate(_SWAPPED_ORDERS):
        if swapped_sides[limb]:
            keypoints = keypoints[order]
    return keypoints


@dataclass(frozen=True)
class LiftedKeypoints:
    """Keypoints after undoing swapped sides, and the joints lifted from them.

    Attributes:
        keypoints: [B, 135, 2] pixels.
        confidence: [B, 135].
        swapped_sides: [B, 2] whether sides of :data:`SWAPPABLE_LIMBS` were swapped in the input.
        lifted: the joints.
    """

    keypoints: Tensor
    confidence: Tensor
    swapped_sides: Tensor
    lifted: LiftedJoints


@dataclass(frozen=True)
class KeypointLifter:
    """Lift keypoints of people and undo swapped sides.

    Attributes:
        network: a trained network.
        available: canonical indices of the keypoints that the body model has; the network gets no others.
        swap_probability: sides of limbs are swapped back from this probability on; None: never.
    """

    network: LiftingNetwork
    available: Collection[int]
    swap_probability: float | None

    def __call__(
        self, keypoints: Tensor, confidence: Tensor, focal_length: Tensor, principal_point: Tensor
    ) -> LiftedKeypoints:
        """Lift keypoints; the arguments are those of :func:`lift`."""
        n_rows = len(keypoints)
        rows = padded_rows(n_rows, keypoints.device)
        lifted = self._lift(*(array[rows] for array in (keypoints, confidence, focal_length, principal_point)))
        return LiftedKeypoints(
            lifted.keypoints[:n_rows],
            lifted.confidence[:n_rows],
            lifted.swapped_sides[:n_rows],
            LiftedJoints(*(part[:n_rows] for part in vars(lifted.lifted).values())),
        )

    def _lift(
        self, keypoints: Tensor, confidence: Tensor, focal_length: Tensor, principal_point: Tensor
    ) -> LiftedKeypoints:
        known = torch.zeros_like(confidence)
        known.index_fill_(1, index_of(tuple(self.available), known.device), 1.0)
        lifted = lift(self.network, keypoints, confidence * known, focal_length, principal_point)
        swapped = torch.zeros_like(lifted.swapped_sides, dtype=torch.bool)
        if self.swap_probability is not None:
            swapped = lifted.swapped_sides > self.swap_probability
        if swapped.any():
            for limb, order in enumerate(_SWAPPED_ORDERS):
                chosen = swapped[:, limb, None]
                swapped_back = index_of(tuple(order), keypoints.device)
                confidence = torch.where(chosen, confidence[:, swapped_back], confidence)
                keypoints = torch.where(chosen[..., None], keypoints[:, swapped_back], keypoints)
            lifted = lift(self.network, keypoints, confidence * known, focal_length, principal_point)
        return LiftedKeypoints(keypoints, confidence, swapped, lifted)
