"""The contour of the face, from ear to chin to ear, as a camera in front of the turning head sees it.

Each of the 17 points owns a path on the skin, the cut of the face with a half-plane through the head's front-back
axis. A path begins on the jaw line, in front of the ear or under the jaw, and runs forward over the cheek. For every
yaw the point is the one on its path that lies outermost in the picture: the silhouette on the side turned away from
the camera, the jaw line itself on the side turned towards it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from smplifyx.body.model_data import FloatArray, IntArray
from smplifyx.body.open_body.source import BODY_VERTICES, SourceMesh
from smplifyx.body.skeleton import N_CONTOUR_LANDMARKS

#: MakeHuman's vertices along the right jaw line: from the front of the ear, down the jaw, to the middle of the chin.
_JAW_LINE = (5754, 5735, 5750, 5097, 866, 911, 895, 894, 893, 892, 3697, 891, 922, 916, 914, 918, 5291, 732)
#: Vertex at the base of the nose; the front-back axis passes through its height.
_AXIS_VERTEX = 5072
#: Paths end this far from the axis (metres), short of nose and mouth.
_AXIS_DISTANCE = 0.034
_MAX_YAW = 39
#: Yaws beyond the table take part in the smoothing, and the width of its Gaussian in degrees.
_YAW_MARGIN, _YAW_SMOOTHING = 20, 5.0
_SAMPLES_PER_PATH = 400


@dataclass(frozen=True)
class FaceContour:
    """Contour of the face for each degree of yaw.

    Row ``y`` in 0..39 is for a head turned ``y`` degrees to its right (towards -x), row ``39 + y`` for one turned
    ``y`` degrees to its left. Point 0 lies at the right ear, 8 on the chin, 16 at the left ear.

    Attributes:
        faces: [79, 17] triangles.
        barycentric: [79, 17, 3] weights of their corners.
    """

    faces: IntArray
    barycentric: FloatArray


@dataclass(frozen=True)
class _Path:
    """A line over the mesh: ``K`` triangles in a row, each crossed from one point to the next.

    Attributes:
        faces: [K] triangles.
        entry, exit: [K, 3] barycentric coordinates of the two ends of each piece.
        points: [K + 1, 3] the joined ends.
    """

    faces: IntArray
    entry: FloatArray
    exit: FloatArray
    points: FloatArray

    def at(self, position: float) -> tuple[int, FloatArray]:
        """Triangle and barycentric coordinates at a position in [0, K]."""
        piece = min(int(position), len(self.faces) - 1)
        fraction = position - piece
        return int(self.faces[piece]), (1 - fraction) * self.entry[piece] + fraction * self.exit[piece]


def face_contour(source: SourceMesh, vertices: FloatArray, mirror: IntArray) -> FaceContour:
    """Contour table of a head whose face looks to +z.

    Args:
        source: the mesh's faces and original vertex numbers.
        vertices: [V, 3] positions, metres.
        mirror: [V] each vertex's counterpart on the other side.
    """
    skin_faces = np.flatnonzero(np.all(source.in_part(BODY_VERTICES)[source.faces], axis=1))
    axis_height = vertices[source.positions_of(np.array([_AXIS_VERTEX]))[0], 1]
    jaw_points = _evenly_spaced(vertices[source.positions_of(np.array(_JAW_LINE))], N_CONTOUR_LANDMARKS // 2 + 1)
    yaws = np.arange(-_MAX_YAW, _MAX_YAW + 1)
    faces = np.zeros((len(yaws), N_CONTOUR_LANDMARKS), dtype=np.int64)
    barycentric = np.zeros((len(yaws), N_CONTOUR_LANDMARKS, 3))
    for number, jaw_point in enumerate(jaw_points):
        outward = np.array([jaw_point[0], jaw_point[1] - axis_height])
        outward /= np.linalg.norm(outward)
        path = _path_forward(vertices, source.faces, skin_faces, jaw_point, axis_height)
        for row, position in enumerate(_outermost_positions(path, outward)):
            face, weights = path.at(position)
            faces[row, number], barycentric[row, number] = face, weights
            other = N_CONTOUR_LANDMARKS - 1 - number
            if other != number:
                mirrored = _mirrored_point(vertices, source.faces, mirror, face, weights)
                faces[-1 - row, other], barycentric[-1 - row, other] = mirrored
    # from the order -39..39 to the table's: 0..39, then -1..-39
    order = np.concatenate([np.arange(_MAX_YAW, 2 * _MAX_YAW + 1), np.arange(_MAX_YAW - 1, -1, -1)])
    return FaceContour(faces[order], barycentric[order])


def _evenly_spaced(line: FloatArray, count: int) -> FloatArray:
    """[count, 3] points on a polyline [L, 3], equally far apart in the frontal (xy) picture."""
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line[:, :2], axis=0), axis=1))])
    wanted = np.linspace(0.0, lengths[-1], count)
    return np.stack([np.interp(wanted, lengths, line[:, axis]) for axis in range(3)], axis=1)


def _path_forward(
    vertices: FloatArray, faces: IntArray, skin_faces: IntArray, start: FloatArray, axis_height: float
) -> _Path:
    """Walk over the skin from ``start`` forward, in the plane through ``start`` and the front-back axis."""
    outward = np.array([start[0], start[1] - axis_height, 0.0])
    outward /= np.linalg.norm(outward)
    normal = np.array([-outward[1], outward[0], 0.0])
    relative = vertices - [0.0, axis_height, 0.0]
    distance, radius = relative @ normal, relative @ outward
    # Midline vertices lie on the chin's plane: there they count as one side, whose edges are then cut at their ends.
    above = distance > -1e-9 if abs(start[0]) < 1e-6 else distance > 0
    candidates = skin_faces[np.any(radius[faces[skin_faces]] > 0, axis=1)]
    n_above = above[faces[candidates]].sum(axis=1)
    cut = candidates[(n_above > 0) & (n_above < 3)]
    crossings: dict[int, list[tuple[int, int]]] = {}
    by_edge: dict[tuple[int, int], list[int]] = {}
    for face in cut:
        corners = faces[face]
        edges = [(int(a), int(b)) for a, b in zip(corners, np.roll(corners, -1), strict=True)]
        crossings[int(face)] = [(min(e), max(e)) for e in edges if above[e[0]] != above[e[1]]]
        for edge in crossings[int(face)]:
            by_edge.setdefault(edge, []).append(int(face))

    def point(edge: tuple[int, int]) -> tuple[FloatArray, float]:
        a, b = edge
        t = float(np.clip(distance[a] / (distance[a] - distance[b]), 0.0, 1.0))
        return (1 - t) * vertices[a] + t * vertices[b], t

    edge = min(by_edge, key=lambda e: float(np.linalg.norm(point(e)[0] - start)))
    onward = max(by_edge[edge], key=lambda f: max(point(e)[0][2] for e in crossings[f] if e != edge))
    walked: list[tuple[int, FloatArray, FloatArray]] = []
    points = [point(edge)[0]]
    while True:
        following = next(e for e in crossings[onward] if e != edge)
        walked.append((onward, *(_weights(faces[onward], e, point(e)[1]) for e in (edge, following))))
        points.append(point(following)[0])
        ends = (points[-1] - [0.0, axis_height, 0.0]) @ outward < _AXIS_DISTANCE
        neighbours = [f for f in by_edge[following] if f != onward]
        if ends or not neighbours:
            break
        edge, onward = following, neighbours[0]
    return _Path(
        np.array([w[0] for w in walked]), np.array([w[1] for w in walked]), np.array([w[2] for w in walked]),
        np.array(points),
    )  # fmt: skip


def _weights(corners: IntArray, edge: tuple[int, int], t: float) -> FloatArray:
    """Barycentric coordinates of the point a fraction ``t`` along an edge of a triangle."""
    return np.where(corners == edge[0], 1 - t, 0.0) + np.where(corners == edge[1], t, 0.0)


def _outermost_positions(path: _Path, outward: FloatArray) -> FloatArray:
    """[79] position on the path of the outermost point in the picture, for head yaws -39..39 (right is positive)."""
    positions = np.linspace(0.0, len(path.faces), _SAMPLES_PER_PATH)
    knots = np.arange(len(path.points))
    samples = np.stack([np.interp(positions, knots, path.points[:, axis]) for axis in range(3)], axis=1)
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(samples, axis=0), axis=1))])
    yaws = np.radians(np.arange(-_MAX_YAW - _YAW_MARGIN, _MAX_YAW + _YAW_MARGIN + 1))
    # a head turned to its right is seen by a camera that has moved to its left
    across = np.cos(yaws)[:, None] * samples[:, 0] - np.sin(yaws)[:, None] * samples[:, 2]
    outermost = np.argmax(outward[0] * across + outward[1] * samples[:, 1], axis=1)
    smooth = gaussian_filter1d(lengths[outermost], _YAW_SMOOTHING, mode="nearest")[_YAW_MARGIN:-_YAW_MARGIN]
    return np.interp(smooth, lengths, positions)


def _mirrored_point(
    vertices: FloatArray, faces: IntArray, mirror: IntArray, face: int, weights: FloatArray
) -> tuple[int, FloatArray]:
    """The mirror image of a point of a triangle; quads may be cut along the other diagonal on the other side."""
    corners = mirror[faces[face]]
    point = weights @ vertices[corners]
    candidates = np.flatnonzero(np.isin(faces, corners).sum(axis=1) >= 2)
    best_face, best_weights, best_distance = -1, np.zeros(3), np.inf
    for candidate in candidates:
        triangle = vertices[faces[candidate]]
        solution, *_ = np.linalg.lstsq((triangle[1:] - triangle[0]).T, point - triangle[0], rcond=None)
        coordinates = np.clip(np.array([1 - solution.sum(), *solution]), 0.0, None)
        coordinates /= coordinates.sum()
        distance = float(np.linalg.norm(coordinates @ triangle - point))
        if distance < best_distance:
            best_face, best_weights, best_distance = int(candidate), coordinates, distance
    return best_face, best_weights
