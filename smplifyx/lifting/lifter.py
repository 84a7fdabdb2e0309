"""What a batch's keypoints tell about depth, and arms and legs that a detector took for each other."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smplifyx import skeleton
from smplifyx.fitting.evidence import FitTargets
from smplifyx.lifting.network import SWAPPABLE_LIMBS, LiftedJoints, LiftingNetwork, lift
from smplifyx.skeleton import CANONICAL_KEYPOINT_NAMES

_BODY_PARTS = {
    "arms": ("shoulder", "elbow", "wrist"),
    "legs": ("hip", "knee", "ankle", "big_toe", "small_toe", "heel"),
}


def _other_side(limbs: str) -> list[int]:
    """Order of the 135 keypoints after left and right of arms (with hands) or legs are exchanged."""
    names = list(CANONICAL_KEYPOINT_NAMES)
    left, right = skeleton.SIDES
    hands = {name.removeprefix(f"{left}_") for name in names if name.startswith(f"{left}_hand_")}
    parts = {*_BODY_PARTS[limbs], *(hands if limbs == "arms" else ())}
    other = {f"{a}_{part}": f"{b}_{part}" for part in parts for a, b in ((left, right), (right, left))}
    return [names.index(other.get(name, name)) for name in names]


_ORDERS = tuple(_other_side(limbs) for limbs in SWAPPABLE_LIMBS)


@dataclass(frozen=True)
class KeypointLifter:
    """Adds to the evidence of people what a lifting network reads from it.

    Attributes:
        network: a trained one.
        keypoints: canonical indices of those that the body model has; the network sees no others.
        exchange_probability: limbs are exchanged back from this probability on; None: never.
    """

    network: LiftingNetwork
    keypoints: Collection[int]
    exchange_probability: float | None

    def complete(self, people: FitTargets) -> FitTargets:
        """The evidence with exchanged limbs put right and the lifted joints."""
        lifted = self._lift(people)
        if self.exchange_probability is not None:
            swapped_sides = lifted.swapped_sides > self.exchange_probability
            if swapped_sides.any():
                people = swapped_back(people, swapped_sides)
                lifted = self._lift(people)
        return replace(people, lifted=lifted.joints, sqrt_precision=lifted.whitening)

    def _lift(self, people: FitTargets) -> LiftedJoints:
        known = torch.zeros_like(people.confidence)
        known[:, list(self.keypoints)] = 1.0
        return lift(
            self.network, people.keypoints, people.confidence * known, people.focal_length, people.principal_point
        )


def swapped_back(people: FitTargets, swapped_sides: Tensor) -> FitTargets:
    """Evidence in which those limbs [B, 2] of :data:`SWAPPABLE_LIMBS` have left and right exchanged."""
    keypoints, confidence = people.keypoints, people.confidence
    for limb, order in enumerate(_ORDERS):
        chosen = swapped_sides[:, limb, None]
        confidence = torch.where(chosen, confidence[:, order], confidence)
        keypoints = torch.where(chosen[..., None], keypoints[:, order], keypoints)
    return replace(people, keypoints=keypoints, confidence=confidence, swapped_sides=swapped_sides)


def undo_swap(keypoints: NDArray[np.float32], swapped_sides: Tensor) -> NDArray[np.float32]:
    """One person's keypoints [135, 3] with those limbs [2] exchanged back."""
    for limb, order in enumerate(_ORDERS):
        if swapped_sides[limb]:
            keypoints = keypoints[order]
    return keypoints
