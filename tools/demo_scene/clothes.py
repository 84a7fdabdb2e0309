"""Dresses and colours a posed body; each point is treated by its place on the T-posed body."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
import scipy.sparse
import trimesh

from smplifyx.body.data import BodyModelData
from smplifyx.output.meshes import vertex_normals
from smplifyx.skeleton import EXTRA_POINT_NAMES, JOINT_NAMES, LEFT_EYE_JOINT, RIGHT_EYE_JOINT
from tools.demo_scene.characters import Color, Outfit

#: Thickness of the clothes and of the hair at its fullest, metres.
_SHIRT, _TROUSERS, _WIDE_HEM, _SHOES, _HAIR = 0.009, 0.008, 0.020, 0.010, 0.016
#: Triangles with longer edges are refined, metres.
_FINE = 0.004
_SMOOTHING_ROUNDS, _SMOOTHING_SHARES = 40, (0.6, -0.61)
#: Radii in those of the eyeball.
_IRIS, _PUPIL = 0.42, 0.18
_LIPS, _SCLERA = (0.72, 0.36, 0.34), (0.95, 0.94, 0.92)
_EYE_COLOR, _PUPIL_COLOR = (0.33, 0.24, 0.17), (0.03, 0.03, 0.03)
SKIN, SHIRT, TROUSERS, SHOES, HAIR = range(5)


@dataclass(frozen=True)
class DressedBody:
    """Triangles: ``vertices`` [N, 3] as posed, ``normals`` [N, 3], ``faces`` [F, 3], ``colors`` [N, 3] sRGB."""

    vertices: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    colors: np.ndarray


def dress(vertices: np.ndarray, data: BodyModelData, outfit: Outfit) -> list[DressedBody]:
    """The posed body ``vertices`` [V, 3] in clothes, and its shoes.

    Cloth does not follow the small forms of the skin, so it is smoothed.
    """
    faces = np.asarray(data.faces)
    rest = np.asarray(data.v_template, np.float64)
    regions = _Regions(BodyMarks.of(data), outfit)
    cloth = regions.label(rest)
    covered = np.isin(cloth, (SHIRT, TROUSERS))
    smooth, rest_cloth = (_smoothed(points, faces, covered) for points in (vertices, rest))
    eyes = data.skinning_weights[:, [LEFT_EYE_JOINT, RIGHT_EYE_JOINT]].sum(axis=1, keepdims=True)
    attributes = {"rest": rest_cloth, "normals": vertex_normals(smooth, faces), "eyes": eyes}
    shoes = [_shoe(vertices, rest, cloth == SHOES, side, outfit.shoes) for side in (-1, 1)]
    for _ in range(4):
        corners = smooth[faces]
        coarse = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1) > _FINE
        smooth, faces, attributes = trimesh.remesh.subdivide(
            smooth, faces, face_index=np.flatnonzero(coarse), vertex_attributes=attributes
        )
    labels = regions.label(attributes["rest"])
    thickness = regions.thickness(attributes["rest"], labels)
    grown = smooth + thickness[:, None] * attributes["normals"]
    colors = regions.colors(attributes["rest"], labels, attributes["eyes"][:, 0] > 0.99)
    # the normals of the coarse mesh, interpolated: refined flat triangles would show
    return [DressedBody(grown, attributes["normals"], faces, colors), *shoes]


def _shoe(vertices: np.ndarray, rest: np.ndarray, chosen: np.ndarray, side: int, color: Color) -> DressedBody:
    """A rounded shell about the foot, without toes: the hull of its front and that of its heel and ankle."""
    chosen = chosen & (side * rest[:, 0] > 0)
    posed, flat = vertices[chosen], rest[chosen]
    low, high = flat.min(axis=0), flat.max(axis=0)
    forward = (flat[:, 2] - low[2]) / (high - low)[2]
    height = (flat[:, 1] - low[1]) / (high - low)[1]
    back_to_flat = np.linalg.lstsq(np.column_stack([posed, np.ones(len(posed))]), flat, rcond=None)[0]
    parts = []
    for part in (forward < 0.55, (forward > 0.3) & (height < 0.78)):
        hull = trimesh.convex.convex_hull(posed[part])
        hull = hull.subdivide_to_size(0.012)
        trimesh.smoothing.filter_laplacian(hull, lamb=0.5, iterations=12)
        parts.append(hull)
    shell = trimesh.util.concatenate(parts)
    assert isinstance(shell, trimesh.Trimesh)
    points = shell.vertices + _SHOES * shell.vertex_normals
    in_rest = np.column_stack([shell.vertices, np.ones(len(points))]) @ back_to_flat
    colors = np.tile(color, (len(points), 1))
    sole = in_rest[:, 1] < low[1] + 0.012
    colors[sole] = 0.5 * colors[sole] + 0.40
    return DressedBody(points, shell.vertex_normals, np.asarray(shell.faces), colors)


@dataclass(frozen=True)
class BodyMarks:
    """Named points of the T-posed body: joints, surface points, and face landmarks [51, 3]."""

    joint: dict[str, np.ndarray]
    point: dict[str, np.ndarray]
    landmarks: np.ndarray

    @classmethod
    def of(cls, data: BodyModelData) -> BodyMarks:
        """The marks of a body's mean shape.

        Raises:
            ValueError: the body has no face landmarks.
        """
        if data.landmark_faces is None or data.landmark_barycentric is None:
            raise ValueError(f"{data.name} ({data.model_type}) has no face landmarks")
        joints = data.joint_regressor @ data.v_template
        surface = data.v_template[data.extra_point_vertices]
        corners = data.v_template[data.faces[data.landmark_faces]]
        return cls(
            dict(zip(JOINT_NAMES, joints, strict=True)),
            dict(zip(EXTRA_POINT_NAMES, surface, strict=True)),
            (corners * data.landmark_barycentric[..., None]).sum(axis=1),
        )


def hair_depth(rest: np.ndarray, marks: BodyMarks, length: float, forehead: float = 0.0) -> np.ndarray:
    """[N] metres above the hairline, from the forehead past the ears to the nape; below it negative.

    Args:
        rest: [N, 3] points of the T-posed body.
        marks: of that body.
        length: how far the hair reaches below the ears, metres.
        forehead: by how much the forehead is higher than usual, metres.
    """
    ear, brow = marks.point["left_ear"], marks.landmarks[:10].mean(axis=0)
    nape = ear[1] - 0.035 - length
    z = [ear[2] - 0.03, ear[2] - 0.012, ear[2] + 0.012, ear[2] + 0.03, brow[2] - 0.02, brow[2] + 0.02]
    y = [nape, ear[1] - 0.01, ear[1] + 0.012, ear[1] + 0.03, brow[1] + 0.045 + forehead, brow[1] + 0.055 + forehead]
    depth = rest[:, 1] - np.interp(rest[:, 2], z, y)
    mirrored = rest * np.where(rest[:, :1] < 0, [-1.0, 1.0, 1.0], 1.0)
    of_ear = np.linalg.norm(mirrored - ear, axis=1) < 0.036
    outside = np.abs(rest[:, 0]) > abs(ear[0]) - 0.010
    return np.where(of_ear & outside, -1.0, depth)


class _Regions:
    """Coverage of each point [N, 3] of the T-posed body."""

    def __init__(self, marks: BodyMarks, outfit: Outfit) -> None:
        self._marks = marks
        self._outfit = outfit

    def label(self, rest: np.ndarray) -> np.ndarray:
        """[N] the region of each point."""
        joint = self._marks.joint
        labels = np.full(len(rest), SKIN)
        away = np.abs(rest[:, 0])
        belt = joint["pelvis"][1] + 0.04
        shoulder, elbow, wrist = (joint[f"left_{name}"][0] for name in ("shoulder", "elbow", "wrist"))
        sleeve = np.interp(self._outfit.sleeve, [0, 1, 2], [shoulder, elbow, wrist])
        neck = np.linalg.norm((rest - joint["neck"]) * [1.0, 1.15, 1.0], axis=1) < 0.1
        below_neck = (rest[:, 1] < joint["neck"][1]) & ~neck
        labels[below_neck & (rest[:, 1] >= belt) & (away < sleeve)] = SHIRT
        ankle = joint["left_ankle"][1]
        labels[(rest[:, 1] < belt) & (rest[:, 1] > ankle + 0.005)] = TROUSERS
        labels[rest[:, 1] <= ankle + 0.005] = SHOES
        labels[self._hair_depth(rest) > 0] = HAIR
        return labels

    def thickness(self, rest: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """[N] metres."""
        thickness = np.array([0.0, _SHIRT, _TROUSERS, 0.0, 0.0])[labels]
        ankle, knee = self._marks.joint["left_ankle"][1], self._marks.joint["left_knee"][1]
        wide = np.interp(rest[:, 1], [ankle, knee], [_WIDE_HEM, _TROUSERS])
        thickness = np.where(labels == TROUSERS, wide, thickness)
        fullness = _HAIR + 0.15 * self._outfit.hair_length
        hair = np.minimum(fullness, 0.003 + 0.5 * self._hair_depth(rest))
        return np.where(labels == HAIR, hair, thickness)

    def colors(self, rest: np.ndarray, labels: np.ndarray, of_eye: np.ndarray) -> np.ndarray:
        """[N, 3] sRGB."""
        outfit = self._outfit
        colors = np.array([outfit.skin, outfit.shirt, outfit.trousers, outfit.shoes, outfit.hair])[labels]
        if outfit.stripes is not None:
            band = ((rest[:, 1] / 0.05) % 1.0 < 0.35) & (
                np.abs(rest[:, 0]) < self._marks.joint["left_shoulder"][0] + 0.01
            )
            colors[band & (labels == SHIRT)] = outfit.stripes
        self._paint_eyes(rest, of_eye, colors)
        self._paint_brows_and_lips(rest, colors)
        return colors

    def _hair_depth(self, rest: np.ndarray) -> np.ndarray:
        return hair_depth(rest, self._marks, self._outfit.hair_length)

    def _paint_eyes(self, rest: np.ndarray, of_eye: np.ndarray, colors: np.ndarray) -> None:
        for side in (-1, 1):
            ball = of_eye & (side * rest[:, 0] > 0)
            centre = (rest[ball].min(axis=0) + rest[ball].max(axis=0)) / 2.0
            radius = float(np.ptp(rest[ball, 0])) / 2.0
            around = np.linalg.norm(rest[:, :2] - centre[:2], axis=1) / radius
            colors[ball] = _SCLERA
            colors[ball & (around < _IRIS)] = _EYE_COLOR
            colors[ball & (around < _PUPIL)] = _PUPIL_COLOR

    def _paint_brows_and_lips(self, rest: np.ndarray, colors: np.ndarray) -> None:
        front = rest[:, 2] > self._marks.landmarks[:, 2].min() - 0.01
        for brow in (self._marks.landmarks[:5], self._marks.landmarks[5:10]):
            near = front & (distance_to_line(rest[:, :2], brow[:, :2]) < 0.0032)
            colors[near] = 0.75 * np.array(self._outfit.hair) + 0.25 * np.array(self._outfit.skin)
        outline = self._marks.landmarks[31:43, :2]
        lips = front & inside_polygon(rest[:, :2], outline)
        lip_color = 0.3 * np.array(_LIPS) + 0.7 * np.array(self._outfit.skin) * [0.98, 0.78, 0.78]
        colors[lips] = lip_color


def _smoothed(vertices: np.ndarray, faces: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """``vertices`` [V, 3] with the chosen ones smoothed without shrinking (Taubin 1995)."""
    neighbours = neighbour_average(faces, len(vertices))
    result = vertices.copy()
    for _ in range(_SMOOTHING_ROUNDS):
        for share in _SMOOTHING_SHARES:
            result[chosen] += share * (neighbours @ result - result)[chosen]
    return result


def neighbour_average(faces: np.ndarray, n_vertices: int) -> scipy.sparse.csr_matrix:
    """[V, V] takes values at vertices to the means over their neighbours."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = np.concatenate([edges, edges[:, ::-1]])
    shape = (n_vertices, n_vertices)
    neighbours = scipy.sparse.coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape).tocsr()
    return scipy.sparse.diags(1.0 / np.maximum(neighbours.sum(axis=1).A1, 1.0)) @ neighbours


def distance_to_line(points: np.ndarray, line: np.ndarray) -> np.ndarray:
    """[N] distance of points [N, 2] to a polyline [M, 2]."""
    distance = np.full(len(points), np.inf)
    for start, end in itertools.pairwise(line):
        along = np.clip(((points - start) @ (end - start)) / ((end - start) @ (end - start)), 0.0, 1.0)
        distance = np.minimum(distance, np.linalg.norm(points - start - along[:, None] * (end - start), axis=1))
    return distance


def inside_polygon(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """[N] whether points [N, 2] in metres lie within the polygon [M, 2]."""
    contour = (1000.0 * polygon).astype(np.float32)[:, None]
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    inside = np.all((points > low) & (points < high), axis=1)
    inside[inside] = [cv2.pointPolygonTest(contour, tuple(1000.0 * point), False) > 0 for point in points[inside]]
    return inside
