"""The surfaces of a dressed person: body with cloth, hanging hair, skirt, coat and the peak of a cap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse

from smplifyx.body.data import BodyModelData
from smplifyx.output.meshes import vertex_normals
from smplifyx.skeleton import JOINT_NAMES
from tools.demo_scene.clothes import BodyMarks
from tools.gender_scene.appearance import Appearance
from tools.gender_scene.garments import BOTTOM, HAIR, HAT, INNER, SHOES, TIE, TOP, Garments
from tools.gender_scene.raster import Surface

BODY, HANGING_HAIR, SKIRT, COAT, PEAK = range(5)
#: Rounds of smoothing: of small forms, of hollows, and final; and of shoes.
_CLOTH_ROUNDS, _SHOE_ROUNDS = (4, 26, 2), 10
_RING = 48
_BANDS = 18
_HAIR_COLUMNS, _HAIR_ROWS = 49, 26
_CAP_SHARE = 0.42


@dataclass(frozen=True)
class Figure:
    """A posed body: ``vertices`` [V, 3] in the camera frame, of the model ``data`` with its ``marks``.

    ``neighbours`` [V, V] takes values at vertices to the means over their neighbours.
    """

    vertices: np.ndarray
    data: BodyModelData
    marks: BodyMarks
    neighbours: scipy.sparse.csr_matrix

    @property
    def rest(self) -> np.ndarray:
        """[V, 3] the mean shape in T-pose."""
        return np.asarray(self.data.v_template, np.float64)

    def weights(self, *names: str) -> np.ndarray:
        """[V] joint skinning weight of the named joints."""
        return np.asarray(self.data.skinning_weights[:, [JOINT_NAMES.index(name) for name in names]].sum(axis=1))

    def motion(self, *names: str) -> np.ndarray:
        """[4, 3] affine map from the T-posed mean body to the picture that fits the part of the named joints."""
        part = self.weights(*names) > 0.8
        source = np.column_stack([self.rest[part], np.ones(part.sum())])
        return np.linalg.lstsq(source, self.vertices[part], rcond=None)[0]


def dressed_surfaces(figure: Figure, appearance: Appearance, rng: np.random.Generator) -> list[Surface]:
    """All surfaces of a person."""
    garments = Garments(figure.marks, appearance)
    surfaces = [_body(figure, garments, rng)]
    if appearance.hair.length > 0 and appearance.hair.tied == "none":
        surfaces.append(_curtain(figure, appearance, rng))
    elif appearance.hair.tied != "none":
        surfaces.append(_tied_hair(figure, appearance, rng))
    if appearance.lower == "skirt":
        surfaces.append(_skirt(figure, garments.belt, garments.height_on_leg(appearance.leg), appearance, SKIRT))
    if appearance.coat > 0:
        surfaces.append(_skirt(figure, garments.belt, garments.belt - appearance.coat, appearance, COAT))
    if appearance.hat is not None:
        surfaces.append(_peak(figure))
    return surfaces


def _body(figure: Figure, garments: Garments, rng: np.random.Generator) -> Surface:
    faces, rest = np.asarray(figure.data.faces), figure.rest
    labels = garments.label(rest)
    vertices = _relaxed(figure, figure.vertices, np.isin(labels, (SHOES, HAIR, HAT)), _SHOE_ROUNDS)
    vertices = _draped(figure, vertices, np.isin(labels, (TOP, INNER, BOTTOM, TIE)))
    thickness = garments.thickness(rest, labels)
    hair = labels == HAIR
    thickness[hair] *= rng.uniform(0.7, 1.3, hair.sum())
    return Surface(vertices + thickness[:, None] * vertex_normals(vertices, faces), faces, rest, BODY)


def _draped(figure: Figure, vertices: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Cloth over the chosen vertices: it rounds off small forms and bridges hollows, but never lies deeper."""
    near = _relaxed(figure, vertices, chosen, _CLOTH_ROUNDS[0])
    far = _relaxed(figure, near, chosen, _CLOTH_ROUNDS[1])
    normals = vertex_normals(near, np.asarray(figure.data.faces))
    outwards = np.clip(np.einsum("vc,vc->v", far - near, normals), 0.0, None)
    return _relaxed(figure, near + outwards[:, None] * normals, chosen, _CLOTH_ROUNDS[2])


def _relaxed(figure: Figure, vertices: np.ndarray, chosen: np.ndarray, rounds: int) -> np.ndarray:
    """The chosen vertices pulled towards their neighbours."""
    result, average = vertices.copy(), figure.neighbours[chosen]
    for _ in range(rounds):
        result[chosen] += 0.5 * (average @ result - result[chosen])
    return result


def _grid_faces(rows: int, columns: int) -> np.ndarray:
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    quads = np.stack([corner, corner + 1, corner + columns + 1, corner + columns], axis=1)
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def _skull(figure: Figure) -> tuple[np.ndarray, np.ndarray]:
    """Centre [3] at ear height and half axes [3] (side, up, back) of the T-posed mean skull."""
    ear = figure.marks.point["left_ear"]
    part = (figure.rest[:, 1] > ear[1] + 0.02) & (figure.weights("head") > 0.8)
    low, high = figure.rest[part].min(axis=0), figure.rest[part].max(axis=0)
    centre = np.array([0.0, ear[1] + 0.02, 0.5 * (low[2] + high[2]) - 0.01])
    return centre, np.array([0.5 * (high[0] - low[0]), high[1] - centre[1], centre[2] - low[2]])


def _curtain(figure: Figure, appearance: Appearance, rng: np.random.Generator) -> Surface:
    """Hair that lies on the skull and hangs down around its back and sides."""
    hair = appearance.hair
    centre, axes = _skull(figure)
    axes = axes + hair.fullness + 0.002
    azimuth = np.radians(np.linspace(-hair.sides, hair.sides, _HAIR_COLUMNS))[None]
    along = np.linspace(0.0, 1.0, _HAIR_ROWS)[:, None]
    polar = np.clip(along / _CAP_SHARE, 0.05, 1.0) * np.pi / 2.0
    hang = np.clip((along - _CAP_SHARE) / (1.0 - _CAP_SHARE), 0.0, 1.0)
    uneven = np.interp(np.arange(_HAIR_COLUMNS), np.linspace(0, _HAIR_COLUMNS - 1, 9), rng.normal(0.0, 0.06, 9))
    drop = hang * (hair.length + 0.02) * (1.0 + uneven + rng.normal(0.0, 0.02, _HAIR_COLUMNS))
    wave = hair.wave * np.sin(rng.uniform(40, 80) * drop + rng.uniform(0, 6.3) + 7.0 * np.sin(5.0 * azimuth))
    wide = 1.0 + hair.spread * np.minimum(drop / 0.2, 1.5) - 0.10 * np.minimum(drop / 0.08, 1.0)
    wide = wide + (wave + rng.normal(0.0, 0.0012, drop.shape)) / axes[0]
    x = axes[0] * np.sin(polar) * np.sin(azimuth) * wide
    y = axes[1] * np.cos(polar) - drop
    below = np.clip((drop - 0.10) / 0.12, 0.0, 1.0)
    z = -axes[2] * np.sin(polar) * np.cos(azimuth) * wide - 0.05 * below * np.clip(np.cos(azimuth), 0.0, 1.0)
    # before the shoulders the strands come forward
    z = z + 0.06 * below * np.clip(-np.cos(azimuth) + 0.15, 0.0, 0.6)
    points = np.stack([x, y, z], axis=-1).reshape(-1, 3) + centre
    share = np.clip((figure.marks.joint["head"][1] - 0.02 - points[:, 1:2]) / 0.14, 0.0, 1.0)
    rows = np.column_stack([points, np.ones(len(points))])
    posed = (1.0 - share) * (rows @ figure.motion("head")) + share * (rows @ figure.motion("spine3", "neck"))
    places = np.stack(np.broadcast_arrays(azimuth, along, drop), axis=-1).reshape(-1, 3)
    return Surface(posed, _grid_faces(_HAIR_ROWS, _HAIR_COLUMNS), places, HANGING_HAIR, two_sided=True)


def _tied_hair(figure: Figure, appearance: Appearance, rng: np.random.Generator) -> Surface:
    """A ponytail or a bun at the back of the head."""
    centre, axes = _skull(figure)
    lift = np.radians(rng.uniform(-10.0, 60.0))
    start = centre + axes * [0.0, np.sin(lift), -np.cos(lift)]
    along = np.linspace(0.0, 1.0, 14)
    if appearance.hair.tied == "bun":
        radius = rng.uniform(0.030, 0.050)
        line = start + np.outer(
            2.0 * radius * (1.0 - np.cos(np.pi * along)) / 2.0 - 0.015, [0.0, np.sin(lift), -np.cos(lift)]
        )
        radii = radius * np.sin(np.pi * np.clip(along, 0.03, 0.97))
    else:
        length = max(appearance.hair.length, 0.1) + 0.06
        line = start + np.stack(
            [rng.normal(0.0, 0.02) * along, -length * along**1.5, -0.05 * np.sin(np.pi * along**0.7)], axis=1
        )
        radii = rng.uniform(0.018, 0.032) * (1.0 - 0.75 * along**2) * np.clip(along * 6.0 + 0.5, 0.0, 1.0)
    angle = np.linspace(0.0, 2.0 * np.pi, 13)[None, :, None]
    outward = np.cos(angle) * [1.0, 0.0, 0.0] + np.sin(angle) * np.array(
        [0.0, np.sin(lift + 0.9), -np.cos(lift + 0.9)]
    )
    if appearance.hair.tied == "tail":
        outward = np.cos(angle) * [1.0, 0.0, 0.0] + np.sin(angle) * np.array([0.0, 0.3, -1.0])
    points = (line[:, None] + radii[:, None, None] * outward).reshape(-1, 3)
    posed = np.column_stack([points, np.ones(len(points))]) @ figure.motion("head")
    places = np.stack(np.broadcast_arrays(angle[..., 0], along[:, None], along[:, None]), axis=-1).reshape(-1, 3)
    return Surface(posed, _grid_faces(len(along), 13), places, HANGING_HAIR, two_sided=True)


def _skirt(figure: Figure, waist: float, hem: float, appearance: Appearance, material: int) -> Surface:
    """Cloth about both legs: at each height it runs round their convex hull (by its support function)."""
    rest, torso = (
        figure.rest,
        figure.weights(
            "pelvis", "spine1", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"
        )
        > 0.6,
    )
    levels = np.linspace(waist, hem, _BANDS)
    step = max(0.018, 0.7 * abs(levels[0] - levels[1]))
    bands = [figure.vertices[torso & (np.abs(rest[:, 1] - level) < step)] for level in levels]
    centres = np.stack([0.5 * (band.min(axis=0) + band.max(axis=0)) for band in bands])
    down = np.gradient(centres, axis=0)
    across, upward = figure.motion("pelvis")[:2]
    # Where neighbouring bands have the same vertices, the pelvis says where down is.
    down[np.linalg.norm(down, axis=1) < 1e-6] = -upward
    down /= np.linalg.norm(down, axis=1, keepdims=True)
    angle = np.linspace(0.0, 2.0 * np.pi, _RING + 1)
    fall = np.linspace(0.0, 1.0, _BANDS)
    pleats = 0.06 * np.sin(angle * np.round(8 + 10 * appearance.bottom.scale / 0.12))
    rings = []
    for band, centre, axis, share in zip(bands, centres, down, fall, strict=True):
        side = across - (across @ axis) * axis
        side /= np.linalg.norm(side)
        directions = np.outer(np.cos(angle), side) + np.outer(np.sin(angle), np.cross(axis, side))
        turned = np.outer(-np.sin(angle), side) + np.outer(np.cos(angle), np.cross(axis, side))
        support = ((band - centre) @ directions.T).max(axis=0) + 0.010 + appearance.flare * share
        support = support * (1.0 + pleats * share * min(1.0, appearance.flare / 0.1))
        slope = np.gradient(np.append(support[:-1], support[:3]))[1 : _RING + 1] / (angle[1] - angle[0])
        slope = np.append(slope[-1], slope)
        rings.append(centre + support[:, None] * directions + slope[:, None] * turned)
    points = np.stack(rings)
    for _ in range(2):
        points[1:-1] = 0.25 * points[:-2] + 0.5 * points[1:-1] + 0.25 * points[2:]
        points[:, 1:-1] = 0.25 * points[:, :-2] + 0.5 * points[:, 1:-1] + 0.25 * points[:, 2:]
    places = np.stack(np.broadcast_arrays(0.16 * (angle[None] - np.pi), levels[:, None], 0.0), axis=-1)
    return Surface(
        points.reshape(-1, 3), _grid_faces(_BANDS, _RING + 1), places.reshape(-1, 3), material, two_sided=True
    )


def _peak(figure: Figure) -> Surface:
    """The peak of a cap."""
    brow = figure.marks.landmarks[:10].mean(axis=0)
    centre, axes = _skull(figure)
    angle, out = np.meshgrid(np.linspace(-0.95, 0.95, 13), np.linspace(0.0, 1.0, 4))
    reach = 0.075 * np.cos(angle) ** 0.7 * out
    front = brow[2] - centre[2]
    x = (axes[0] + 0.010 + 0.4 * reach) * np.sin(angle)
    z = (front + 0.004) * np.cos(angle) + reach
    y = brow[1] + 0.035 - 0.28 * reach - 0.06 * np.abs(x) * out
    points = np.stack([x, y, z + centre[2]], axis=-1).reshape(-1, 3)
    posed = np.column_stack([points, np.ones(len(points))]) @ figure.motion("head")
    return Surface(posed, _grid_faces(4, 13), points, PEAK, two_sided=True)
