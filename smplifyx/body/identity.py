"""Model type, gender and side of a plain body-model file, from its arrays and its name."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from smplifyx.body.arrays import ArrayReader
from smplifyx.errors import InputError
from smplifyx.skeleton import GENDERS, MODEL_TYPES, SIDES, Skeleton, skeleton_of

_TYPE_OF_JOINTS = {skeleton_of(t, "right" if t == "mano" else None).n_joints: t for t in MODEL_TYPES}
#: Words in names of licensed files; folders use the full gender names.
_GENDER_WORDS = {**{gender: gender for gender in GENDERS}, "m": "male", "f": "female", "generic": "neutral"}


@dataclass(frozen=True)
class Identity:
    """Model type, gender and name of a file.

    Attributes:
        skeleton: of the model type and side.
        gender: ``neutral``, ``male`` or ``female``.
        name: of the body, for reports.
    """

    skeleton: Skeleton
    gender: str
    name: str


def identity_of(file: ArrayReader) -> Identity:
    """Identify the model in a file of the plain layout.

    Raises:
        InputError: the number of joints is unknown or fits no model.
    """
    model_type = _model_type(file)
    name = file.text("model_name") if "model_name" in file else file.path.stem
    return Identity(skeleton_of(model_type, _side(file) if model_type == "mano" else None), _gender(file), name)


def _model_type(file: ArrayReader) -> str:
    n_joints = _n_joints(file)
    if n_joints not in _TYPE_OF_JOINTS:
        known = ", ".join(f"{count} ({model_type})" for count, model_type in _TYPE_OF_JOINTS.items())
        raise file.error("kintree_table", f"found {n_joints} joints; expected {known}")
    return _TYPE_OF_JOINTS[n_joints]


def _n_joints(file: ArrayReader) -> int:
    """Count joints in the kinematic tree or, if that is damaged, in the skinning weights."""
    try:
        return file.array("kintree_table", (2, None)).shape[1]
    except InputError:
        if "weights" not in file:
            raise
        return file.array("weights", (None, None)).shape[1]


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def _gender(file: ArrayReader) -> str:
    stored = file.text("gender") if "gender" in file else ""
    if stored in GENDERS:
        return stored
    named = [_GENDER_WORDS[word] for word in _words(file.path.stem) if word in _GENDER_WORDS]
    named += [word for word in _words(file.path.absolute().parent.name) if word in GENDERS]
    return named[0] if named else "neutral"


def _side(file: ArrayReader) -> str:
    """Find the side of a hand from its key, the file name, or the direction of the fingers (left: +x)."""
    if "side" in file:
        side = file.text("side")
        if side not in SIDES:
            raise file.error("side", f"found {side!r}, expected left or right")
        return side
    named = [side for side in SIDES if side in _words(file.path.stem)]
    if named:
        return named[0]
    template = file.array("v_template", (None, 3))
    n_joints = _n_joints(file)
    joints = file.array("J_regressor", (n_joints, len(template))) @ template
    return "left" if np.mean(joints[1:, 0]) > joints[0, 0] else "right"
