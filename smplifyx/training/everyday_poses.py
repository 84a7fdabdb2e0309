"""Sitting, kneeling and squatting people: photos are full of them, motion capture is not.

Legs come from the anatomy of the three postures, with generous spreads; trunk, head and arms are those of
motion-capture frames, the trunk leaning forward as the posture needs it for balance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smplifyx import skeleton
from smplifyx.training.motion_capture import N_BODY_JOINTS

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Posture:
    """Mean and standard deviation of angles, degrees.

    Attributes:
        hip, knee: flexion.
        spread: how far each thigh turns outwards, to its side.
        ankle: flexion towards the shin, negative for a stretched foot.
        lean: forward bend of the lower spine, shared by its three joints.
        uneven: standard deviation between the two legs.
    """

    hip: tuple[float, float]
    knee: tuple[float, float]
    spread: tuple[float, float]
    ankle: tuple[float, float]
    lean: tuple[float, float]
    uneven: float = 8.0


SITTING = Posture(hip=(82, 12), knee=(85, 18), spread=(8, 9), ankle=(0, 10), lean=(5, 12))
KNEELING = Posture(hip=(25, 25), knee=(115, 20), spread=(8, 7), ankle=(-35, 15), lean=(5, 8), uneven=5.0)
SQUATTING = Posture(hip=(110, 12), knee=(125, 14), spread=(15, 9), ankle=(25, 8), lean=(20, 10))
#: Postures and how often each is made.
POSTURES = ((SITTING, 0.7), (KNEELING, 0.15), (SQUATTING, 0.15))
#: Shares of a forward bend that the joints from spine1 to spine3 take.
_SPINE_SHARES = (0.5, 0.3, 0.2)


def everyday_poses(body_pose: FloatArray, rng: np.random.Generator) -> FloatArray:
    """The people of ``body_pose`` [N, 63] (axis-angle, radians) sitting, kneeling or squatting."""
    kinds = rng.choice(len(POSTURES), size=len(body_pose), p=[share for _, share in POSTURES])
    changed = body_pose.copy()
    for kind, (posture, _) in enumerate(POSTURES):
        changed[kinds == kind] = _take(posture, changed[kinds == kind], rng)
    return changed


def _take(posture: Posture, body_pose: FloatArray, rng: np.random.Generator) -> FloatArray:
    pose = body_pose.reshape(len(body_pose), N_BODY_JOINTS, 3).copy()

    def draw(mean_and_sd: tuple[float, float]) -> FloatArray:
        return np.asarray(np.radians(rng.normal(*mean_and_sd, len(pose))))

    hip, knee, spread, ankle = (draw(angle) for angle in (posture.hip, posture.knee, posture.spread, posture.ankle))
    uneven = (0.0, posture.uneven)
    for side, outwards in (("left", 1.0), ("right", -1.0)):
        pose[:, _row(f"{side}_hip")] = np.stack(
            [-(hip + draw(uneven)), outwards * (spread + draw(uneven)), outwards * draw((2, 5))], 1
        )
        bent = np.clip(knee + draw(uneven), 0.0, np.radians(150.0))
        pose[:, _row(f"{side}_knee")] = np.stack([bent, draw((0, 2)), draw((0, 2))], 1)
        pose[:, _row(f"{side}_ankle")] = np.stack([-(ankle + draw(uneven)), draw((0, 5)), draw((0, 4))], 1)
        pose[:, _row(f"{side}_foot")] = 0.0
    lean = draw(posture.lean)
    for number, share in enumerate(_SPINE_SHARES, 1):
        pose[:, _row(f"spine{number}"), 0] = share * lean + draw((0, 2))
    return pose.reshape(body_pose.shape)


def _row(name: str) -> int:
    return skeleton.joint_index(name) - skeleton.BODY_JOINTS.start
