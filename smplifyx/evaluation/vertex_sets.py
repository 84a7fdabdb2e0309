"""Vertices and joints that metrics compare.

For SMPL-X, hands, face and joints come from the files that published figures were computed with; for a mesh without
such files, from the model's own skinning weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smplifyx import skeleton
from smplifyx.body.data import BodyModelData
from smplifyx.body.pickles import load_pickle
from smplifyx.errors import InputError, reason

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
HANDS_FILE = "MANO_SMPLX_vertex_ids.pkl"
FACE_FILE = "SMPL-X__FLAME_vertex_ids.npy"
JOINTS_FILE = "SMPLX_to_J14.pkl"
#: The fourteen joints of the Leeds Sports Pose data, in its order, which the field evaluates.
J14_NAMES = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
    "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "neck", "head",
)  # fmt: skip
_BODY_JOINTS = skeleton.JOINT_NAMES[: skeleton.BODY_JOINTS.stop]
_HEAD_JOINTS = ("neck", "head", "jaw", "left_eye_smplhf", "right_eye_smplhf")
#: A vertex belongs to the part that carries more than this share of it.
_PART_WEIGHT = 0.5
#: Vertices that move with a joint and its parent in less than this product carry no information on the joint.
_MIN_BLEND = 1e-3


@dataclass(frozen=True)
class VertexSets:
    """Parts and joints of one mesh topology (V vertices).

    Attributes:
        left_hand, right_hand, face: vertex numbers; the face is the whole head with the neck, as FLAME has it.
        joints14: [14, V] takes a posed mesh to the joints of :data:`J14_NAMES`.
        body_joints: [22, V] takes it to the body joints of the skeleton, pelvis first.
        source: where parts and joints come from.
    """

    left_hand: IntArray
    right_hand: IntArray
    face: IntArray
    joints14: FloatArray
    body_joints: FloatArray
    source: str

    def joint(self, name: str, vertices: FloatArray) -> FloatArray:
        """A body joint [B, 3] of posed meshes [B, V, 3]."""
        return np.asarray(self.body_joints[_BODY_JOINTS.index(name)] @ vertices, dtype=np.float64)


def vertex_sets(data: BodyModelData, folders: Sequence[str | Path] = ()) -> VertexSets:
    """The parts of a body model's mesh.

    The three files are used where the mesh is SMPL-X's and all of them lie in one of the folders.

    Args:
        data: the body model.
        folders: where the files may be.

    Raises:
        InputError: a file is damaged or belongs to another mesh.
    """
    if data.n_vertices == skeleton.N_SMPLX_VERTICES:
        for folder in map(Path, folders):
            if all((folder / name).is_file() for name in (HANDS_FILE, FACE_FILE, JOINTS_FILE)):
                return _from_files(data, folder)
    weights = np.asarray(data.skinning_weights, dtype=np.float64)
    body = posed_joint_regressor(data, _BODY_JOINTS)
    return VertexSets(
        left_hand=_moved_by(weights, ("left_wrist", *skeleton.JOINT_NAMES[skeleton.LEFT_HAND_JOINTS])),
        right_hand=_moved_by(weights, ("right_wrist", *skeleton.JOINT_NAMES[skeleton.RIGHT_HAND_JOINTS])),
        face=_moved_by(weights, _HEAD_JOINTS),
        joints14=body[[_BODY_JOINTS.index(name) for name in J14_NAMES]],
        body_joints=body,
        source=f"skinning weights of {data.name}",
    )


def posed_joint_regressor(data: BodyModelData, names: Sequence[str]) -> FloatArray:
    """[N, V] rows that find joints on posed meshes.

    A model's own regressor is made for the T-pose; where it looks far along the limbs it drifts when they bend. Here
    a row uses only the ring of vertices that move with both bones of a joint, with the least change to their blended
    weights that meets the joint of the template.

    Args:
        data: the body model.
        names: the joints.
    """
    weights = np.asarray(data.skinning_weights, dtype=np.float64)
    template = np.asarray(data.v_template, dtype=np.float64)
    rest = np.asarray(data.joint_regressor, dtype=np.float64) @ template
    rows = np.zeros((len(names), data.n_vertices))
    for row, name in zip(rows, names, strict=True):
        joint = skeleton.joint_index(name)
        parent = int(data.parents[joint])
        others = [parent] if parent >= 0 else [k for k, p in enumerate(data.parents) if p == joint]
        blend = weights[:, joint] * weights[:, others].sum(axis=1)
        ring = np.flatnonzero(blend > _MIN_BLEND)
        if len(ring) < 4:
            ring, blend = np.arange(len(blend)), np.maximum(np.asarray(data.joint_regressor[joint], np.float64), 0.0)
        row[ring] = _meeting(template[ring], blend[ring] / blend[ring].sum(), rest[joint])
    return rows


def _meeting(points: FloatArray, weights: FloatArray, target: FloatArray) -> FloatArray:
    """Weights [N], nearest the given ones, that sum to one and average points [N, 3] to the target [3]."""
    conditions = np.concatenate([np.ones((1, len(points))), points.T])
    missing = np.concatenate([[1.0], target]) - conditions @ weights
    scaled = conditions * weights
    multipliers = np.linalg.lstsq(scaled @ conditions.T, missing, rcond=None)[0]
    return np.asarray(weights + weights * (conditions.T @ multipliers))


def _moved_by(weights: FloatArray, names: Sequence[str]) -> IntArray:
    share = weights[:, [skeleton.joint_index(name) for name in names]].sum(axis=1)
    return np.flatnonzero(share > _PART_WEIGHT)


def _from_files(data: BodyModelData, folder: Path) -> VertexSets:
    hands = load_pickle(folder / HANDS_FILE)
    if not isinstance(hands, dict) or not {"left_hand", "right_hand"} <= set(hands):
        raise InputError(folder / HANDS_FILE, "expected a dict with left_hand and right_hand")
    try:
        face = np.load(folder / FACE_FILE, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(folder / FACE_FILE, f"not an array of vertex numbers: {reason(error)}") from error
    joints14 = np.asarray(load_pickle(folder / JOINTS_FILE))
    if joints14.shape != (len(J14_NAMES), data.n_vertices) or joints14.dtype.kind != "f":
        problem = f"expected numbers [{len(J14_NAMES)}, {data.n_vertices}], found shape {joints14.shape}"
        raise InputError(folder / JOINTS_FILE, problem)
    body = np.asarray(data.joint_regressor, dtype=np.float64)[: len(_BODY_JOINTS)]
    return VertexSets(
        left_hand=_numbers(folder / HANDS_FILE, hands["left_hand"], data.n_vertices),
        right_hand=_numbers(folder / HANDS_FILE, hands["right_hand"], data.n_vertices),
        face=_numbers(folder / FACE_FILE, face, data.n_vertices),
        joints14=joints14.astype(np.float64),
        body_joints=body,
        source=f"{HANDS_FILE}, {FACE_FILE}, {JOINTS_FILE}",
    )


def _numbers(path: Path, values: object, n_vertices: int) -> IntArray:
    numbers = np.asarray(values)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu" or not len(numbers):
        raise InputError(path, f"expected a list of vertex numbers, found shape {numbers.shape}, {numbers.dtype}")
    if numbers.min() < 0 or numbers.max() >= n_vertices:
        raise InputError(path, f"expected vertex numbers below {n_vertices}, found {numbers.max()}")
    return numbers.astype(np.int64)
