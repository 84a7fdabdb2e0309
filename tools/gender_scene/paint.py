"""Colours of surface points: cloth patterns, hair strands, faces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from tools.demo_scene.clothes import BodyMarks, distance_to_line, inside_polygon
from tools.gender_scene.appearance import Appearance, Cloth
from tools.gender_scene.garments import BEARD, BOTTOM, HAIR, HAT, INNER, SHOES, SKIN, TIE, TOP, Garments
from tools.gender_scene.geometry import BODY, COAT, HANGING_HAIR, PEAK, SKIRT
from tools.gender_scene.raster import Pixels

#: Side of the noise volume in its cells, and cells that a feature is wide.
_NOISE_SIDE, _NOISE_FEATURE = 128, 4.5
_SCLERA, _PUPIL, _RIMS = (0.88, 0.86, 0.84), (0.03, 0.03, 0.03), (0.06, 0.05, 0.05)
_RIM_RADIUS = 0.027


class NoiseVolume:
    """Smooth periodic noise in space with unit variance, and its gradient."""

    def __init__(self, seed: int = 0) -> None:
        white = np.random.default_rng(seed).normal(size=(_NOISE_SIDE,) * 3).astype(np.float32)
        smooth = ndimage.gaussian_filter(white, _NOISE_FEATURE, mode="wrap")
        self._values = (smooth / smooth.std()).ravel()
        volume = self._values.reshape(white.shape)
        slopes = [np.roll(volume, -1, axis) - np.roll(volume, 1, axis) for axis in range(3)]
        self._slopes = 0.5 * _NOISE_FEATURE * np.stack(slopes, axis=-1).reshape(-1, 3)

    def at(self, points: np.ndarray, feature: float) -> np.ndarray:
        """[N] noise at points [N, 3] with features of that size, metres."""
        return np.asarray(self._values[self._cells(points, feature)])

    def slope(self, points: np.ndarray, feature: float) -> np.ndarray:
        """[N, 3] gradient per ``feature``."""
        return np.asarray(self._slopes[self._cells(points, feature)])

    def _cells(self, points: np.ndarray, feature: float) -> np.ndarray:
        cells = np.floor(points * (_NOISE_FEATURE / feature)).astype(np.int32) % _NOISE_SIDE
        return np.asarray((cells[:, 0] * _NOISE_SIDE + cells[:, 1]) * _NOISE_SIDE + cells[:, 2])


@dataclass(frozen=True)
class Painted:
    """Pixels' sRGB ``colors`` [N, 3] and what covers the body there, ``labels`` [N]; depth of the ``folds``."""

    colors: np.ndarray
    labels: np.ndarray
    folds: float


def paint(pixels: Pixels, appearance: Appearance, marks: BodyMarks, noise: NoiseVolume) -> Painted:
    """The colours of every pixel before light falls on them."""
    colors, labels = np.zeros((len(pixels.index), 3)), np.full(len(pixels.index), SKIN)
    body = pixels.material == BODY
    places = pixels.places[body]
    labels[body] = Garments(marks, appearance).label(places)
    labels[pixels.material == HANGING_HAIR] = HAIR
    labels[pixels.material == SKIRT] = BOTTOM
    labels[pixels.material == COAT] = TOP
    labels[pixels.material == PEAK] = HAT
    colors[body] = _skin(places, appearance, marks, noise)
    for label, cloth in ((TOP, appearance.top), (INNER, appearance.inner), (BOTTOM, appearance.bottom)):
        chosen = labels == label
        colors[chosen] = _cloth(pixels.places[chosen], cloth, marks, noise)
    for label, color in ((SHOES, appearance.shoes), (HAT, appearance.hat), (TIE, appearance.tie)):
        if color is not None:
            colors[labels == label] = color
    _paint_hair(colors, pixels, labels, appearance, noise)
    return Painted(np.clip(colors, 0.01, 1.0), labels, 0.06 + 7.0 * appearance.top_thickness)


def _paint_hair(
    colors: np.ndarray, pixels: Pixels, labels: np.ndarray, appearance: Appearance, noise: NoiseVolume
) -> None:
    short = ((labels == HAIR) | (labels == BEARD)) & (pixels.material == BODY)
    hanging = pixels.material == HANGING_HAIR
    grain = np.zeros(len(labels))
    grain[short] = noise.at(pixels.places[short] * [1.0, 0.35, 0.6], 0.0035)
    strands = np.column_stack([pixels.places[hanging][:, 0] * 0.1, 0.06 * pixels.places[hanging][:, 1:]])
    grain[hanging] = noise.at(strands, 0.0022) + 0.5 * noise.at(strands, 0.007)
    hair = short | hanging
    shade = 1.0 + 0.16 * grain[hair]
    colors[hair] = np.array(appearance.hair.color) * shade[:, None]
    if appearance.hair.cut == "buzz":
        scalp = (labels == HAIR) & short
        colors[scalp] = 0.7 * colors[scalp] + 0.3 * np.array(appearance.skin)


def _cloth(places: np.ndarray, cloth: Cloth, marks: BodyMarks, noise: NoiseVolume) -> np.ndarray:
    """sRGB [N, 3]."""
    share = np.asarray(_pattern(places, cloth, marks, noise), np.float64)[:, None]
    color = (1.0 - share) * np.array(cloth.color) + share * np.array(cloth.second)
    return color * (1.0 + 0.025 * noise.at(places, 0.004))[:, None]


def _pattern(places: np.ndarray, cloth: Cloth, marks: BodyMarks, noise: NoiseVolume) -> np.ndarray:
    """[N] share of the second colour."""
    shoulder, scale = marks.joint["left_shoulder"], cloth.scale
    of_arm = (np.abs(places[:, 0]) > shoulder[0] + 0.02) & (places[:, 1] > 0.25)
    # rings about the arms where the trunk has horizontal stripes
    along = np.where(of_arm, np.abs(places[:, 0]), places[:, 1])
    across = np.where(of_arm, places[:, 1], places[:, 0])
    if cloth.pattern == "stripes":
        return (along / scale) % 1.0 < 0.45
    if cloth.pattern == "pinstripes":
        return (across / (0.6 * scale)) % 1.0 < 0.2
    if cloth.pattern == "plaid":
        return 0.4 * ((along / scale) % 1.0 < 0.5) + 0.4 * ((across / scale) % 1.0 < 0.5)
    if cloth.pattern == "dots":
        cells = np.stack([along, across], axis=1) / scale
        cells[:, 1] += 0.5 * (np.floor(cells[:, 0]) % 2)
        return np.linalg.norm(cells % 1.0 - 0.5, axis=1) < 0.27
    if cloth.pattern == "blotches":
        return noise.at(places, 0.4 * scale) > 0.25
    if cloth.pattern == "print":
        on_chest = (np.abs(places[:, 0]) < 0.10) & (np.abs(places[:, 1] - shoulder[1] + 0.16) < 0.09)
        return on_chest & (places[:, 2] > 0) & (noise.at(places, 0.012) > 0.1)
    if cloth.pattern == "blocks":
        return of_arm | (places[:, 1] > shoulder[1] - scale * 1.5)
    return np.zeros(len(places))


def _skin(rest: np.ndarray, appearance: Appearance, marks: BodyMarks, noise: NoiseVolume) -> np.ndarray:
    """sRGB [N, 3] of points [N, 3] of the body, with the face."""
    skin = np.array(appearance.skin)
    colors = skin * (1.0 + 0.03 * noise.at(rest, 0.02))[:, None]
    face = np.flatnonzero((rest[:, 1] > marks.joint["neck"][1]) & (rest[:, 2] > marks.landmarks[:, 2].min() - 0.02))
    spot, tone = rest[face], colors[face]
    plane = spot[:, :2]
    if appearance.hair.beard == "stubble":
        mouth = marks.landmarks[31:43]
        low = spot[:, 1] < np.interp(
            np.abs(spot[:, 0]), [0, 0.06], [mouth[:, 1].max() + 0.008, marks.point["left_ear"][1] - 0.03]
        )
        low &= spot[:, 1] > marks.joint["neck"][1] + 0.03
        tone[low] = 0.72 * tone[low] + 0.28 * np.array(appearance.hair.color)
    cheek = np.exp(-(((np.abs(spot[:, 0]) - 0.04) ** 2 + (spot[:, 1] - marks.point["nose"][1]) ** 2) / 0.0005))
    tone *= 1.0 - 0.10 * cheek[:, None] * [0.0, 1.0, 1.0]
    lips = inside_polygon(plane, marks.landmarks[31:43, :2])
    color, share = appearance.lips
    tone[lips] = share * np.array(color) + (1.0 - share) * skin * [0.95, 0.75, 0.75]
    for side, corners in ((-1, slice(19, 25)), (1, slice(25, 31))):
        _paint_eye(tone, spot, marks.landmarks[corners], appearance)
        brow = marks.landmarks[:5] if side < 0 else marks.landmarks[5:10]
        near = distance_to_line(plane, brow[:, :2]) < appearance.brow
        tone[near] = 0.85 * np.array(appearance.hair.color) * 0.9 + 0.15 * tone[near]
    colors[face] = tone
    return colors


def _paint_eye(tone: np.ndarray, spot: np.ndarray, outline: np.ndarray, appearance: Appearance) -> None:
    centre = outline.mean(axis=0)
    around = np.linalg.norm(spot[:, :2] - centre[:2], axis=1)
    shadow = (around < 0.020) & (spot[:, 1] > centre[1] - 0.006)
    tone[shadow] *= 1.0 - 0.6 * appearance.eye_shadow
    lid = inside_polygon(spot[:, :2], centre[:2] + 1.12 * (outline[:, :2] - centre[:2]))
    tone[lid] *= 0.45 if appearance.eye_shadow > 0 else 0.62
    eye = inside_polygon(spot[:, :2], outline[:, :2])
    tone[eye] = _SCLERA
    tone[eye & (around < 0.0058)] = appearance.eyes
    tone[eye & (around < 0.0025)] = _PUPIL
    if appearance.glasses == "rims":
        bridge = (np.abs(spot[:, 1] - centre[1]) < 0.0018) & (np.abs(spot[:, 0]) < abs(centre[0]))
        tone[(np.abs(around - _RIM_RADIUS + 0.003) < 0.0022) | (bridge & (around > 0.024))] = _RIMS
    elif appearance.glasses == "dark":
        bridge = (np.abs(spot[:, 1] - centre[1]) < 0.003) & (np.abs(spot[:, 0]) < abs(centre[0]))
        tone[(around < _RIM_RADIUS) | bridge] = np.array(_RIMS) + 0.03
