"""What a batch's keypoints tell about depth, and arms and legs that a detector took for each other."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smplifyx.body import skeleton
from smplifyx.body.canonical_keypoints import CANONICAL_KEYPOINT_NAMES
from smplifyx.fitting.evidence import Evidence
from smplifyx.priors.lifting import EXCHANGED_LIMBS, LiftedJoints, LiftingNetwork, lift

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


_ORDERS = tuple(_other_side(limbs) for limbs in EXCHANGED_LIMBS)


@dataclass(frozen=True)
class DepthEvidence:
    """Adds to the evidence of people what a lifting network reads from it.

    Attributes:
        network: a trained one.
        keypoints: canonical indices of those that the body model has; the network sees no others.
        exchange_probability: limbs are exchanged back from this probability on; None: never.
    """

    network: LiftingNetwork
    keypoints: Collection[int]
    exchange_probability: float | None

    def complete(self, people: Evidence) -> Evidence:
        """The evidence with exchanged limbs put right and the lifted joints."""
        lifted = self._lift(people)
        if self.exchange_probability is not None:
            exchanged = lifted.exchanged > self.exchange_probability
            if exchanged.any():
                people = exchanged_back(people, exchanged)
                lifted = self._lift(people)
        return replace(people, lifted=lifted.joints, lifted_whitening=lifted.whitening)

    def _lift(self, people: Evidence) -> LiftedJoints:
        known = torch.zeros_like(people.confidence)
        known[:, list(self.keypoints)] = 1.0
        return lift(
            self.network, people.keypoints, people.confidence * known, people.focal_length, people.principal_point
        )


def exchanged_back(people: Evidence, exchanged: Tensor) -> Evidence:
    """Evidence in which those limbs [B, 2] of :data:`EXCHANGED_LIMBS` have left and right exchanged."""
    keypoints, confidence = people.keypoints, people.confidence
    for limb, order in enumerate(_ORDERS):
        chosen = exchanged[:, limb, None]
        confidence = torch.where(chosen, confidence[:, order], confidence)
        keypoints = torch.where(chosen[..., None], keypoints[:, order], keypoints)
    return replace(people, keypoints=keypoints, confidence=confidence, exchanged=exchanged)


def put_right(keypoints: NDArray[np.float32], exchanged: Tensor) -> NDArray[np.float32]:
    """One person's keypoints [135, 3] with those limbs [2] exchanged back."""
    for limb, order in enumerate(_ORDERS):
        if exchanged[limb]:
            keypoints = keypoints[order]
    return keypoints
