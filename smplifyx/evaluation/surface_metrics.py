"""The figures that papers report on EHF, from two meshes of one topology. Metres in, millimetres out.

``v2v`` and ``joints`` are those of SMPLify-X (Pavlakos et al. 2019, Tables 1 and 2): after one similarity alignment
of the whole surface, of the body joints. The others are those of later work (ExPose, Hand4Whole): PVE after moving
the pelvis, for hands the wrist, for the face the neck; PA-PVE after aligning each part alone; 14 joints likewise.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smplifyx.evaluation.metrics import mpjpe, pa_mpjpe, root_aligned_v2v
from smplifyx.evaluation.vertex_sets import VertexSets

FloatArray = NDArray[np.float64]


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
    """Compares two meshes.

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
