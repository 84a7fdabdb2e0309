"""Bodies for the open benchmark: adults from Anny's full shape space, with faces and hands in motion.

None of them lies in the ten shape and ten expression components or the twelve hand components that a fit can use.
The remainder counts as an error, as it does for people.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smplifyx.synthetic.makehuman.adults import common_tpose, people_in_tpose, sample_adults
from smplifyx.synthetic.makehuman.hand_poses import hand_pose_from_angles, mirror_hand_pose, sample_hand_angles
from smplifyx.synthetic.makehuman.source import SourceModel, load_source_model
from smplifyx.synthetic.people import RestBody
from smplifyx.warp_runtime import load_warp

FloatArray = NDArray[np.float64]

#: Facial actions that the eye and jaw joints make, or that need an open jaw.
_NOT_ACTED = ("eyeLook", "jaw", "tongueOut", "mouthClose")
_ACTION_SHARE, _STRONGEST_ACTION, _SIDE_DEVIATION = 0.15, 0.7, 0.2


def open_people(count: int, seed: int) -> list[RestBody]:
    """Men and women in turn; person k is the same for any ``count``.

    The first call on a machine takes some minutes, in which anny prepares its data.

    Args:
        count: how many.
        seed: of everything random about them.

    Raises:
        UsageError: the package anny is not installed.
    """
    load_warp()  # anny would start it with its banner
    model = load_source_model()
    return [_person(model, k, seed) for k in range(count)]


def _person(model: SourceModel, number: int, seed: int) -> RestBody:
    rng = np.random.default_rng([seed, number, 1])
    gender = ("male", "female")[number % 2]
    adult = people_in_tpose(model, sample_adults(model, gender, 1, int(rng.integers(2**31))))
    left, right = hand_pose_from_angles(sample_hand_angles(2, int(rng.integers(2**31))))
    return RestBody(
        gender=gender,
        vertices=np.float64(adult.vertices[0]) + _face(model, rng),
        joints=np.float64(adult.joints[0]),
        left_hand_pose=left,
        right_hand_pose=np.float64(mirror_hand_pose(right)),
    )


def _face(model: SourceModel, rng: np.random.Generator) -> FloatArray:
    """[V, 3] displacements of a random expression in T-pose; both sides of the face mostly act together."""
    strength: dict[str, float] = {}
    displacement = np.zeros_like(model.mesh.vertices)
    for name, shape in zip(model.action_names, model.action_shapes, strict=True):
        stem = name.removesuffix("Left").removesuffix("Right")
        if stem not in strength:
            strength[stem] = float(rng.uniform(0.0, _STRONGEST_ACTION) * (rng.random() < _ACTION_SHARE))
        side = 1.0 + _SIDE_DEVIATION * rng.standard_normal()
        if not name.startswith(_NOT_ACTED):
            displacement += np.clip(strength[stem] * side, 0.0, 1.0) * shape
    return np.float64(common_tpose().apply_to_directions(displacement[None])[0])
