"""SMPL and SMPL+H derived from an SMPL-X body on the same mesh: joints that they lack are merged into others.

Posed by shared joints only, a body has the same vertices in all three models.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from smplifyx.body.data import BodyModelData, FloatArray
from smplifyx.skeleton import JOINT_NAMES, skeleton_of

#: The fingers that SMPL's joint ``left_hand`` turns about the middle of their knuckles.
_FINGERS = ("index", "middle", "pinky", "ring")
_N_ROTATION_ENTRIES = 9


def smplh_from_smplx(body: BodyModelData) -> BodyModelData:
    """Derive SMPL+H: jaw and eyes move with the head; no expressions."""
    joined = {"jaw": "head", "left_eye_smplhf": "head", "right_eye_smplhf": "head"}
    return _without_face(_join_joints(body, "smplh", joined))


def smpl_from_smplx(body: BodyModelData) -> BodyModelData:
    """Derive SMPL: one joint per hand, at the middle of the knuckles, moves all fingers and the thumb.

    Its pose blend shapes are those of the four knuckles, rotated alike; at rest the hand is open as in the T-pose.
    """
    left, right = (
        {name: f"{side}_hand" for name in JOINT_NAMES if name.startswith(side) and name[-1] in "123"}
        for side in ("left", "right")
    )
    joined = {"jaw": "head", "left_eye_smplhf": "head", "right_eye_smplhf": "head", **left, **right}
    body = _without_face(_join_joints(body, "smpl", joined))
    return dataclasses.replace(
        body,
        left_hand_components=None,
        right_hand_components=None,
        left_hand_mean=None,
        right_hand_mean=None,
    )


def reduced_from_smplx(body: BodyModelData, model_type: str) -> BodyModelData:
    """:func:`smplh_from_smplx` or :func:`smpl_from_smplx`; raises ``KeyError`` for another layout."""
    return {"smplh": smplh_from_smplx, "smpl": smpl_from_smplx}[model_type](body)


def _without_face(body: BodyModelData) -> BodyModelData:
    return dataclasses.replace(
        body,
        expression_dirs=np.zeros((body.n_vertices, 3, 0), body.expression_dirs.dtype),
        landmark_faces=None,
        landmark_barycentric=None,
        contour_faces=None,
        contour_barycentric=None,
    )


def _join_joints(body: BodyModelData, model_type: str, joined: Mapping[str, str]) -> BodyModelData:
    """Merge joints of SMPL-X into the joints of another model.

    Args:
        body: with SMPL-X's joints.
        model_type: of the result.
        joined: for each removed joint, the joint that takes over its skinning weights.
    """
    names = skeleton_of(model_type).joint_names
    place = np.array([names.index(joined.get(name, name)) for name in JOINT_NAMES])
    membership = np.zeros((len(JOINT_NAMES), len(names)))
    membership[np.arange(len(JOINT_NAMES)), place] = 1
    leading = _leading_joints(names)
    posedirs, projection = _pose_shapes(body, leading)
    return dataclasses.replace(
        body,
        model_type=model_type,
        joint_regressor=np.stack([body.joint_regressor[members].mean(axis=0) for members in leading]),
        skinning_weights=(body.skinning_weights @ membership).astype(body.skinning_weights.dtype),
        parents=np.array(skeleton_of(model_type).parents),
        part_labels=None if body.part_labels is None else place[body.part_labels],
        posedirs=posedirs,
        pose_projection=projection,
    )


def _leading_joints(names: Sequence[str]) -> list[list[int]]:
    """For each joint, the joints of SMPL-X whose location and pose blend shapes it takes over."""
    leading = []
    for name in names:
        side = name.removesuffix("_hand")
        sources = [name] if name in JOINT_NAMES else [f"{side}_{finger}1" for finger in _FINGERS]
        leading.append([JOINT_NAMES.index(source) for source in sources])
    return leading


def _pose_shapes(body: BodyModelData, leading: list[list[int]]) -> tuple[FloatArray, FloatArray | None]:
    """``posedirs`` and ``pose_projection`` for joints that rotate all their leading joints alike."""

    def joined(blocks: FloatArray) -> FloatArray:  # [..., 9 (J - 1)] of SMPL-X -> of the new joints
        by_joint = blocks.reshape(*blocks.shape[:-1], -1, _N_ROTATION_ENTRIES)
        sums = [by_joint[..., np.array(members) - 1, :].sum(axis=-2) for members in leading[1:]]
        return np.stack(sums, axis=-2).reshape(*blocks.shape[:-1], -1)

    if body.pose_projection is None:
        return joined(body.posedirs), None
    projection = joined(body.pose_projection)
    used = np.any(projection != 0, axis=1)
    return body.posedirs[..., used], projection[used]
