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

from smplifyx.body.data import FloatArray, IntArray
from smplifyx.skeleton import N_CONTOUR_LANDMARKS
from smplifyx.synthetic.makehuman.source import BODY_VERTICES, SourceMesh

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

_Edge = tuple[int, int]


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


@dataclass(frozen=True)
class _PlaneCut:
    """Intersection of a plane and the mesh; an edge is named by its two vertices, the smaller number first.

    Attributes:
        points: edge -> the point [3] where it is cut, and the fraction of the edge before it.
        edges_of: triangle -> its two cut edges.
        faces_at: edge -> the cut triangles that share it.
    """

    points: dict[_Edge, tuple[FloatArray, float]]
    edges_of: dict[int, list[_Edge]]
    faces_at: dict[_Edge, list[int]]

    def next_edge(self, face: int, edge: _Edge) -> _Edge:
        """The edge through which a line that enters a triangle leaves it."""
        first, second = self.edges_of[face]
        return second if edge == first else first


def _cut(vertices: FloatArray, faces: IntArray, candidates: IntArray, distance: FloatArray) -> _PlaneCut:
    """Cut the candidate triangles with the plane from which the vertices have these signed distances [V]."""
    # Midline vertices lie on the chin's own plane: counted as one side, their edges are cut at their ends.
    above = distance > -1e-9
    n_above = above[faces[candidates]].sum(axis=1)
    cut = _PlaneCut({}, {}, {})
    for face in candidates[(n_above > 0) & (n_above < 3)].tolist():
        a, b, c = sorted(faces[face].tolist())
        cut.edges_of[face] = [edge for edge in ((a, b), (b, c), (a, c)) if above[edge[0]] != above[edge[1]]]
        for edge in cut.edges_of[face]:
            start, end = edge
            fraction = float(np.clip(distance[start] / (distance[start] - distance[end]), 0.0, 1.0))
            cut.points[edge] = ((1 - fraction) * vertices[start] + fraction * vertices[end], fraction)
            cut.faces_at.setdefault(edge, []).append(face)
    return cut


def _path_forward(
    vertices: FloatArray, faces: IntArray, skin_faces: IntArray, start: FloatArray, axis_height: float
) -> _Path:
    """Walk over the skin from ``start`` forward, in the plane through ``start`` and the front-back axis."""
    axis = np.array([0.0, axis_height, 0.0])
    outward = (start - axis) * [1.0, 1.0, 0.0]
    outward /= np.linalg.norm(outward)
    normal = np.array([-outward[1], outward[0], 0.0])
    relative = vertices - axis
    in_half_plane = skin_faces[np.any((relative @ outward)[faces[skin_faces]] > 0, axis=1)]
    cut = _cut(vertices, faces, in_half_plane, relative @ normal)

    edge = min(cut.points, key=lambda candidate: float(np.linalg.norm(cut.points[candidate][0] - start)))
    face = max(cut.faces_at[edge], key=lambda candidate: cut.points[cut.next_edge(candidate, edge)][0][2])
    path_faces, path_edges = [face], [edge, cut.next_edge(face, edge)]
    while (cut.points[path_edges[-1]][0] - axis) @ outward > _AXIS_DISTANCE:
        onward = [other for other in cut.faces_at[path_edges[-1]] if other != path_faces[-1]]
        if not onward:
            break
        path_faces.append(onward[0])
        path_edges.append(cut.next_edge(onward[0], path_edges[-1]))
    return _Path(
        faces=np.array(path_faces),
        entry=_edge_weights(faces, path_faces, path_edges[:-1], cut),
        exit=_edge_weights(faces, path_faces, path_edges[1:], cut),
        points=np.array([cut.points[e][0] for e in path_edges]),
    )


def _edge_weights(faces: IntArray, path_faces: list[int], edges: list[_Edge], cut: _PlaneCut) -> FloatArray:
    """[K, 3] barycentric coordinates, in the K triangles of a path, of the cuts of their edges."""
    corners = faces[path_faces]
    starts, ends = np.array(edges).T[:, :, None]
    fractions = np.array([cut.points[edge][1] for edge in edges])[:, None]
    return np.where(corners == starts, 1 - fractions, 0.0) + np.where(corners == ends, fractions, 0.0)


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
