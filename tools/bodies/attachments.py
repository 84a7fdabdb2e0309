"""Points attached to the open body's surface: nose, eyes, ears, toes, finger tips and the landmarks of the face.

Every point is picked on the person's right side (-x) or the midline and named by MakeHuman's vertex numbers;
the left side is its mirror image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smplifyx.body.data import FloatArray, IntArray
from smplifyx.skeleton import EXTRA_POINT_NAMES, mirrored_landmark
from smplifyx.synthetic.makehuman.skinning import mirror_vertices
from smplifyx.synthetic.makehuman.source import SourceMesh
from tools.bodies.face_contour import face_contour

#: MakeHuman's vertex of each extra point of the right side, and of the nose. The eye's is the corner of the
#: pupil that lies nearest to the middle of the opening between the lids.
_EXTRA_POINTS = {
    "nose": 5054,
    "right_eye": 14733,
    "right_ear": 5477,
    "right_big_toe": 6160,
    "right_small_toe": 6588,
    "right_heel": 6218,
    "right_thumb": 2680,
    "right_index": 1953,
    "right_middle": 2145,
    "right_ring": 2337,
    "right_pinky": 2529,
}

#: Landmarks of the right side and the midline by their number in the iBUG layout, as weights of MakeHuman's vertices.
#: Two vertices are the ends of one edge, so that the mirrored point exists on the left side too.
_RIGHT_AND_MIDDLE_LANDMARKS: dict[int, dict[int, float]] = {
    # eyebrow, outer to inner end
    17: {207: 0.5, 212: 0.5},
    18: {206: 1.0},
    19: {204: 1.0},
    20: {205: 0.75, 177: 0.25},
    21: {208: 0.6, 209: 0.4},
    # bridge of the nose, down to the tip
    27: {136: 1.0},
    28: {135: 1.0},
    29: {164: 1.0},
    30: {5054: 1.0},
    # lower edge of the nose: wing, nostril, septum
    31: {318: 1.0},
    32: {285: 0.5, 332: 0.5},
    33: {317: 1.0},
    # rim of the eyelids: outer corner, upper lid, inner corner, lower lid
    36: {21: 1.0},
    37: {0: 1.0},
    38: {54: 0.5, 57: 0.5},
    39: {66: 1.0},
    40: {47: 0.5, 50: 0.5},
    41: {41: 0.75, 44: 0.25},
    # border of the lips: corner, upper lip, lower lip
    48: {425: 1.0},
    49: {5354: 0.5, 5351: 0.5},
    50: {450: 1.0},
    51: {455: 1.0},
    57: {492: 1.0},
    58: {486: 0.8, 480: 0.2},
    59: {406: 0.5, 480: 0.5},
    # where the lips meet: corner, upper lip, lower lip
    60: {444: 1.0},
    61: {471: 1.0},
    62: {474: 1.0},
    66: {493: 1.0},
    67: {481: 0.5, 487: 0.5},
}

_FIRST_LANDMARK, _END_LANDMARK = 17, 68


@dataclass(frozen=True)
class SurfaceAttachments:
    """Points on the surface, in the vertex and triangle numbers of the mesh they were made for.

    Attributes:
        extra_point_vertices: [21] vertex of each of ``skeleton.EXTRA_POINT_NAMES``.
        landmark_faces: [51] triangle of each face landmark, iBUG order 17..67.
        landmark_barycentric: [51, 3] weights of that triangle's corners.
        contour_faces: [79, 17] triangles of the contour of the face, see :mod:`.face_contour`.
        contour_barycentric: [79, 17, 3] weights of those triangles' corners.
    """

    extra_point_vertices: IntArray
    landmark_faces: IntArray
    landmark_barycentric: FloatArray
    contour_faces: IntArray
    contour_barycentric: FloatArray


def surface_attachments(source: SourceMesh, vertices: FloatArray | None = None) -> SurfaceAttachments:
    """Pick the extra points, the landmarks and the contour of the face.

    Args:
        source: the mesh.
        vertices: [V, 3] the upright, symmetric body whose silhouette gives the contour, face to +z; by default the
            source's own shape, whose silhouette is some 3 mm off the mean adult's.
    """
    mirror = mirror_vertices(source)
    extra = [_extra_point(source, mirror, name) for name in EXTRA_POINT_NAMES]
    landmarks = [_landmark(source, mirror, number) for number in range(_FIRST_LANDMARK, _END_LANDMARK)]
    contour = face_contour(source, source.vertices if vertices is None else vertices, mirror)
    return SurfaceAttachments(
        extra_point_vertices=np.array(extra, dtype=np.int64),
        landmark_faces=np.array([face for face, _ in landmarks], dtype=np.int64),
        landmark_barycentric=np.array([weights for _, weights in landmarks]),
        contour_faces=contour.faces,
        contour_barycentric=contour.barycentric,
    )


def _extra_point(source: SourceMesh, mirror: IntArray, name: str) -> int:
    right_name = name.replace("left_", "right_")
    vertex = source.positions_of(np.array([_EXTRA_POINTS[right_name]]))[0]
    return int(vertex if right_name == name else mirror[vertex])


def _landmark(source: SourceMesh, mirror: IntArray, number: int) -> tuple[int, FloatArray]:
    """The first triangle that has the landmark's vertices, and their weights in it."""
    on_the_left = number not in _RIGHT_AND_MIDDLE_LANDMARKS
    picked = _RIGHT_AND_MIDDLE_LANDMARKS[mirrored_landmark(number) if on_the_left else number]
    vertices = source.positions_of(np.array(list(picked)))
    if on_the_left:
        vertices = mirror[vertices]
    has_all = np.all([np.any(source.faces == vertex, axis=1) for vertex in vertices], axis=0)
    if not has_all.any():
        raise ValueError(f"the vertices of face landmark {number} share no triangle")
    face = int(np.flatnonzero(has_all)[0])
    weights = np.zeros(3)
    for vertex, weight in zip(vertices, picked.values(), strict=True):
        weights[source.faces[face] == vertex] = weight
    return face, weights
