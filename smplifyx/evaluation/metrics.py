"""Alignment and distance metrics of 3D bodies, and the vertices and joints that they compare.

Points in metres, errors in millimetres, batch first, numpy only. The names follow the field: ``mpjpe`` and ``v2v``
are mean point distances; the prefix ``pa`` means after the best similarity transform ("Procrustes alignment"). Every
function takes optional weights [N] or [B, N]; a weight of zero leaves a missing point out of the alignment and of the
mean. For SMPL-X, hands, face and joints come from the files that published figures were computed with; for a mesh
without such files, from the model's own skinning weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

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


MILLIMETRES_PER_METRE = 1000.0


class Alignment(Enum):
    """Transform that is removed from the prediction before its distance to the truth is measured."""

    NONE = "none"
    RIGID = "rigid"
    SIMILARITY = "similarity"


@dataclass(frozen=True)
class Similarity:
    """``x -> scale * rotation @ x + translation``, one a row.

    Attributes:
        scale: [B].
        rotation: [B, 3, 3] proper rotations.
        translation: [B, 3] metres.
    """

    scale: FloatArray
    rotation: FloatArray
    translation: FloatArray

    def apply(self, points: ArrayLike) -> FloatArray:
        """Transform points [B, N, 3]."""
        rotated = np.asarray(points, dtype=np.float64) @ self.rotation.swapaxes(-1, -2)
        return self.scale[:, None, None] * rotated + self.translation[:, None, :]


def fit_similarity(
    source: ArrayLike, target: ArrayLike, weights: ArrayLike | None = None, with_scale: bool = True
) -> Similarity:
    """The transform that takes ``source`` closest to ``target`` in weighted least squares (Umeyama 1991).

    Reflections are excluded: the rotation always has determinant one. Points with weight zero may be NaN.

    Args:
        source: [B, N, 3] points to move.
        target: [B, N, 3] points to reach.
        weights: [N] or [B, N], not negative.
        with_scale: False keeps the scale at one (rigid alignment).

    Raises:
        ValueError: the shapes disagree, or a row has fewer than three weighted points.
    """
    source_points, target_points, w = _checked(source, target, weights)
    if (np.count_nonzero(w, axis=1) < 3).any():
        raise ValueError("alignment needs at least three points of positive weight in every row")
    w = w / w.sum(axis=1, keepdims=True)
    source_mean = np.einsum("bn,bnd->bd", w, source_points)
    target_mean = np.einsum("bn,bnd->bd", w, target_points)
    centred = source_points - source_mean[:, None]
    covariance = np.einsum("bn,bni,bnj->bij", w, target_points - target_mean[:, None], centred)
    u, singular_values, vt = np.linalg.svd(covariance)
    signs = np.ones_like(singular_values)
    signs[:, 2] = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    rotation = (u * signs[:, None, :]) @ vt
    scale = np.ones(len(source_points))
    if with_scale:
        variance = np.einsum("bn,bnd->b", w, centred**2)
        scale = (signs * singular_values).sum(axis=1) / np.maximum(variance, np.finfo(np.float64).tiny)
    translation = target_mean - scale[:, None] * np.einsum("bij,bj->bi", rotation, source_mean)
    return Similarity(scale, rotation, translation)


def align(
    source: ArrayLike,
    target: ArrayLike,
    weights: ArrayLike | None = None,
    alignment: Alignment = Alignment.SIMILARITY,
) -> FloatArray:
    """``source`` [B, N, 3] moved onto ``target`` [B, N, 3] by the best transform of the given kind."""
    if alignment is Alignment.NONE:
        return np.asarray(source, dtype=np.float64)
    transform = fit_similarity(source, target, weights, with_scale=alignment is Alignment.SIMILARITY)
    return transform.apply(source)


def point_errors(source: ArrayLike, target: ArrayLike, weights: ArrayLike | None = None) -> FloatArray:
    """Distance of each point pair, millimetres [B, N]; NaN where the weight is zero."""
    source_points, target_points, w = _checked(source, target, weights)
    distances = np.linalg.norm(source_points - target_points, axis=-1) * MILLIMETRES_PER_METRE
    return np.where(w > 0, distances, np.nan)


def mpjpe(
    source: ArrayLike,
    target: ArrayLike,
    weights: ArrayLike | None = None,
    alignment: Alignment = Alignment.NONE,
) -> FloatArray:
    """Weighted mean point distance in millimetres [B] after an alignment of all points; NaN for an empty row."""
    _, _, w = _checked(source, target, weights)
    errors = np.nan_to_num(point_errors(align(source, target, weights, alignment), target, w))
    totals = w.sum(axis=1)
    return np.divide((w * errors).sum(axis=1), totals, out=np.full(len(w), np.nan), where=totals > 0)


def pa_mpjpe(source: ArrayLike, target: ArrayLike, weights: ArrayLike | None = None) -> FloatArray:
    """Mean joint distance in millimetres [B] after similarity alignment."""
    return mpjpe(source, target, weights, Alignment.SIMILARITY)


def root_aligned_mpjpe(
    source: ArrayLike,
    target: ArrayLike,
    source_root: ArrayLike,
    target_root: ArrayLike,
    weights: ArrayLike | None = None,
) -> FloatArray:
    """Mean point distance in millimetres [B] after moving the roots [B, 3] (the pelvis, a wrist) onto each other."""
    offset = np.asarray(target_root, dtype=np.float64) - np.asarray(source_root, dtype=np.float64)
    return mpjpe(np.asarray(source, dtype=np.float64) + offset[:, None, :], target, weights)


# Vertices are points like joints: the field only names the figures differently.
v2v = mpjpe
pa_v2v = pa_mpjpe
root_aligned_v2v = root_aligned_mpjpe


def _checked(
    source: ArrayLike, target: ArrayLike, weights: ArrayLike | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    source_points = np.asarray(source, dtype=np.float64)
    target_points = np.asarray(target, dtype=np.float64)
    if source_points.ndim != 3 or source_points.shape[-1] != 3 or source_points.shape != target_points.shape:
        raise ValueError(f"expected two arrays [B, N, 3], found {source_points.shape} and {target_points.shape}")
    shape = source_points.shape[:2]
    w = np.ones(shape) if weights is None else np.broadcast_to(np.asarray(weights, dtype=np.float64), shape)
    if not (w >= 0).all():
        raise ValueError("weights must not be negative or NaN")
    present = (w > 0)[..., None]
    return np.where(present, source_points, 0.0), np.where(present, target_points, 0.0), w


@dataclass(frozen=True)
class SurfaceErrors:
    """Millimetres, one number a person; hands are the mean of both.

    Attributes:
        v2v: all vertices after similarity alignment (the paper's v2v, the field's PA-PVE).
        joints: the 22 body joints after similarity alignment (the paper's joint error).
        pve: all vertices with the pelvis moved onto the true one.
        pve_hands, pa_hands: hands with the wrist moved; after aligning each hand.
        pve_face, pa_face: head with the neck moved; after aligning it.
        mpjpe14, pa_mpjpe14: 14 joints with the pelvis moved; after alignment.
    """

    v2v: float
    joints: float
    pve: float
    pve_hands: float
    pa_hands: float
    pve_face: float
    pa_face: float
    mpjpe14: float
    pa_mpjpe14: float


#: Headings for tables, in the order of the fields.
SURFACE_HEADINGS = {
    "v2v": "v2v (PA-PVE)",
    "joints": "PA joints",
    "pve": "PVE",
    "pve_hands": "PVE hands",
    "pa_hands": "PA-PVE hands",
    "pve_face": "PVE face",
    "pa_face": "PA-PVE face",
    "mpjpe14": "MPJPE 14",
    "pa_mpjpe14": "PA-MPJPE 14",
}
SURFACE_METRICS = tuple(field.name for field in fields(SurfaceErrors))


def surface_errors(fitted: ArrayLike, true: ArrayLike, sets: VertexSets) -> SurfaceErrors:
    """Compare two meshes.

    Args:
        fitted: [V, 3] vertices, in the true mesh's orientation (the camera frame).
        true: [V, 3].
        sets: parts and joints of the topology.

    Raises:
        ValueError: the meshes have different numbers of vertices.
    """
    source, target = (np.asarray(points, dtype=np.float64)[None] for points in (fitted, true))
    if source.shape != target.shape:
        raise ValueError(f"meshes of {source.shape[1]} and {target.shape[1]} vertices cannot be compared")
    pelvis = sets.joint("pelvis", source), sets.joint("pelvis", target)
    body = sets.body_joints @ source, sets.body_joints @ target
    joints = sets.joints14 @ source, sets.joints14 @ target
    hands = (("left_wrist", sets.left_hand), ("right_wrist", sets.right_hand))

    def part(joint: str, vertices: NDArray[np.int64]) -> float:
        roots = sets.joint(joint, source), sets.joint(joint, target)
        return float(root_aligned_v2v(source[:, vertices], target[:, vertices], *roots)[0])

    def aligned(vertices: NDArray[np.int64]) -> float:
        return float(pa_mpjpe(source[:, vertices], target[:, vertices])[0])

    offset = (pelvis[1] - pelvis[0])[:, None]
    return SurfaceErrors(
        v2v=float(pa_mpjpe(source, target)[0]),
        joints=float(pa_mpjpe(*body)[0]),
        pve=float(root_aligned_v2v(source, target, *pelvis)[0]),
        pve_hands=float(np.mean([part(*hand) for hand in hands])),
        pa_hands=float(np.mean([aligned(vertices) for _, vertices in hands])),
        pve_face=part("neck", sets.face),
        pa_face=aligned(sets.face),
        mpjpe14=float(mpjpe(joints[0] + offset, joints[1])[0]),
        pa_mpjpe14=float(pa_mpjpe(*joints)[0]),
    )
