"""Random people whose hands or heads vary more than those of the whole body's shape space."""

from __future__ import annotations

import numpy as np

from smplifyx.body.data import FloatArray
from smplifyx.body.open_body.build import People, common_parts
from smplifyx.body.open_body.joints import joint_locations
from smplifyx.body.open_body.shape_space import sample_adults
from smplifyx.body.open_body.source import SourceModel

_DEVIATION = 0.22
#: Beginnings of the names of the source's changes to one part, made to both sides alike.
HAND_CHANGES = ("hand-fingers-diameter", "hand-fingers-distance")
HEAD_CHANGES = ("chin-", "cheek-", "ear-", "eye-", "eyebrows-", "forehead-", "head-back-", "mouth-", "neck-", "nose-")
#: These make a face lopsided, or move the head on the body.
_LEFT_OUT = ("mouth-trans-out", "nose-trans-out", "nose-septumangle-incr", "neck-trans-")


def people_with_changes(model: SourceModel, gender: str, count: int, seed: int, changes: tuple[str, ...]) -> People:
    """Random adults in T-pose, as for the body's shape space, with further random changes.

    Args:
        model: the source.
        gender: ``neutral``, ``male`` or ``female``.
        count: how many people.
        seed: of the random numbers.
        changes: beginnings of the changes' names, without the side.
    """
    random = np.random.default_rng(seed)
    values: dict[str, FloatArray] = {}
    for label in sorted(model.anny_model.local_change_labels):
        name = label.removeprefix("l-").removeprefix("r-")
        if not name.startswith(changes) or name.startswith(_LEFT_OUT):
            continue
        twin = values.get(f"l-{name}")
        drawn = np.clip(random.normal(0, _DEVIATION, count), -1, 1) if twin is None else twin
        values[label] = drawn
    middle = {"gender": np.full(count, 0.5)}
    added = model.coefficients(middle, values) - model.coefficients(middle, {})
    vertices, heads, _ = model.people(sample_adults(model, gender, count, seed) + added)
    return People(*common_parts().bake.apply(vertices, joint_locations(model, vertices, heads)))
