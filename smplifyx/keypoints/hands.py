"""People as their hands: one observation for each hand that can be fitted by itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from smplifyx.body.canonical_keypoints import LEFT_HAND_KEYPOINTS, RIGHT_HAND_KEYPOINTS
from smplifyx.keypoints.load import Loaded, Skipped
from smplifyx.keypoints.observation import Observation
from smplifyx.keypoints.select import PersonSelection, piece_lacks

_HANDS = {"left": LEFT_HAND_KEYPOINTS, "right": RIGHT_HAND_KEYPOINTS}


def split_hands(loaded: Loaded, selection: PersonSelection) -> Loaded:
    """The same input with each person's hands in the person's place, and those that cannot be fitted left out.

    Args:
        loaded: whole people.
        selection: of the part ``hands``: what a hand needs.
    """
    hands, skipped = [], []
    for one in loaded.observations:
        for side in _HANDS:
            reason = piece_lacks(one.keypoints, f"{side} hand", selection)
            if reason is None:
                hands.append(_hand(one, side))
            else:
                skipped.append(Skipped(one.keypoint_path, one.person_index, reason))
    return replace(loaded, observations=tuple(hands), skipped=(*loaded.skipped, *skipped))


def _hand(person: Observation, side: str) -> Observation:
    keypoints = np.zeros_like(person.keypoints)
    keypoints[_HANDS[side]] = person.keypoints[_HANDS[side]]
    return replace(person, keypoints=keypoints, side=side)
