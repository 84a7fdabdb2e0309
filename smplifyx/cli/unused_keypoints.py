"""Says which detected keypoints and which settings a body model has no use for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smplifyx.body.canonical_keypoints import (
    CONTOUR_KEYPOINTS,
    FACE_KEYPOINTS,
    LEFT_HAND_KEYPOINTS,
    RIGHT_HAND_KEYPOINTS,
)
from smplifyx.cli import console
from smplifyx.config import Config
from smplifyx.keypoints import Observation

_HANDS = [*range(LEFT_HAND_KEYPOINTS.start, RIGHT_HAND_KEYPOINTS.stop)]
_FACE = [*range(FACE_KEYPOINTS.start, CONTOUR_KEYPOINTS.stop)]
#: Of each whole body, the keypoints that it does not have, and the weight of a stage that is about them.
_LACKING = {
    "smpl": (("hand", _HANDS, "hand_keypoints"), ("face", _FACE, "face_keypoints")),
    "smplh": (("face", _FACE, "face_keypoints"),),
}


def tell_unused_keypoints(config: Config, people: Sequence[Observation]) -> None:
    """Tell how many hand and face keypoints of all people a body has no use for, and which weights have no effect."""
    model = config.body.model
    for part, keypoints, weight in _LACKING.get(model, ()):
        seen = [int((one.keypoints[keypoints, 2] >= config.input.min_confidence).sum()) for one in people]
        settings = [f"stages.{k}.{weight}" for k, stage in enumerate(config.stages) if getattr(stage, weight)]
        n_people = int(np.count_nonzero(seen))
        if n_people:
            without_effect = f"; {', '.join(settings)} have no effect" if settings else ""
            console.note(
                f"{model} has no {part} keypoints: {sum(seen)} seen on {n_people} people are not used{without_effect}"
            )
        elif settings:
            console.note(f"{model} has no {part} keypoints: {', '.join(settings)} have no effect")
