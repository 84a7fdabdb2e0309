"""Light on surfaces: one lamp with shadows, sky and ground, and darker hollows."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from tools.gender_scene.garments import BEARD, BOTTOM, HAIR, SKIN, TOP
from tools.gender_scene.geometry import HANGING_HAIR
from tools.gender_scene.paint import NoiseVolume, Painted
from tools.gender_scene.raster import Pixels, Surface

#: Edge of a cell of the lamp's depth map, and slack in it (metres).
_SHADOW_CELL, _SHADOW_SLACK = 0.022, 0.035
_GAMMA = 2.2


@dataclass(frozen=True)
class Light:
    """Directions in the camera frame (right, down, forwards); colours are linear RGB.

    Attributes:
        towards: [3] unit vector towards the lamp.
        lamp, sky, ground: colours times strengths.
        hollows: how dark hollows are.
        shadows: share of the lamp's light that shadows take.
    """

    towards: np.ndarray
    lamp: np.ndarray
    sky: np.ndarray
    ground: np.ndarray
    hollows: float
    shadows: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Light:
        """Random light from above, mostly from the camera's side."""
        towards = np.array([rng.normal(0.0, 0.7), -rng.uniform(0.2, 1.2), rng.normal(-0.6, 0.5)])
        hard = rng.beta(1.2, 1.4)
        warmth = rng.normal(0.0, 0.10)
        strength = rng.uniform(0.85, 1.25)
        sky = np.array([1.0 - 0.4 * warmth, 1.0, 1.0 + 0.6 * warmth]) * strength * (0.75 - 0.5 * hard)
        return cls(
            towards=towards / np.linalg.norm(towards),
            lamp=np.array([1.0 + warmth, 1.0, 1.0 - warmth]) * strength * (0.35 + 0.85 * hard),
            sky=sky,
            ground=sky * rng.uniform(0.4, 0.9) * rng.normal(1.0, 0.06, 3),
            hollows=float(rng.uniform(0.4, 1.0)),
            shadows=float(rng.uniform(0.5, 1.0)),
        )


def shade(pixels: Pixels, surfaces: list[Surface], painted: Painted, light: Light, noise: NoiseVolume) -> np.ndarray:
    """sRGB [N, 3], not clipped, of painted pixels."""
    labels = painted.labels
    normals = _wrinkled(pixels, painted, noise)
    cosine = normals @ light.towards
    skin = np.isin(labels, (SKIN, BEARD))
    direct = np.where(skin, np.clip((cosine + 0.2) / 1.2, 0.0, None), np.clip(cosine, 0.0, None))
    direct *= 1.0 - light.shadows * _shadow(pixels, surfaces, light.towards)
    upward = (0.5 - 0.5 * normals[:, 1])[:, None]
    hollows = (1.0 - light.hollows * _hollow(pixels))[:, None]
    ambient = (light.sky * upward + light.ground * (1.0 - upward)) * hollows
    linear = painted.colors**_GAMMA * (ambient + direct[:, None] * (0.4 + 0.6 * hollows) * light.lamp)
    linear += _gloss(pixels, normals, labels, light)[:, None] * light.lamp
    return np.clip(linear, 0.0, None) ** (1.0 / _GAMMA)


def _wrinkled(pixels: Pixels, painted: Painted, noise: NoiseVolume) -> np.ndarray:
    """Normals [N, 3] of cloth with folds and hair with locks."""
    normals = pixels.normals.copy()
    labels = painted.labels
    cloth = np.isin(labels, (TOP, BOTTOM))
    # folds run from the shoulders outwards and downwards
    x, y, z = pixels.places[cloth].T
    slanted = np.stack([x + 0.35 * y * np.sign(x), 0.45 * y, z], axis=1)
    slope = noise.slope(slanted, 0.045) + 0.5 * noise.slope(slanted, 0.016)
    normals[cloth] += painted.folds * slope
    hair = labels == HAIR
    places = pixels.places[hair] * np.where(pixels.material[hair] == HANGING_HAIR, 0.1, 1.0)[:, None]
    normals[hair] += 0.22 * noise.slope(places, 0.006)
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def _gloss(pixels: Pixels, normals: np.ndarray, labels: np.ndarray, light: Light) -> np.ndarray:
    view = -pixels.points / np.linalg.norm(pixels.points, axis=1, keepdims=True)
    middle = view + light.towards
    middle /= np.maximum(np.linalg.norm(middle, axis=1, keepdims=True), 1e-6)
    cosine = np.clip(np.einsum("nc,nc->n", normals, middle), 0.0, 1.0)
    strength = np.where(labels == SKIN, 0.05, np.where(labels == HAIR, 0.05, 0.008))
    return strength * cosine ** np.where(labels == HAIR, 12.0, 24.0)


def _hollow(pixels: Pixels) -> np.ndarray:
    """[N] 0 to 1: how far a pixel lies behind its neighbourhood (Luft et al. 2006), at two sizes."""
    half = (pixels.size[0] // 4, pixels.size[1] // 4)
    depth, cover = pixels.image(pixels.points[:, 2]), pixels.image(np.ones(len(pixels.index)))
    small, small_cover = (cv2.resize(one, half, interpolation=cv2.INTER_AREA) for one in (depth, cover))
    # the person's area sets the neighbourhood
    unit = np.sqrt(len(pixels.index)) / 14.0 / 4.0
    hollow = np.zeros(len(pixels.index))
    for size, scale in ((0.35 * unit, 0.03), (1.0 * unit, 0.10)):
        blurred, weight = (cv2.GaussianBlur(one, (0, 0), size) for one in (small, small_cover))
        around = cv2.resize(blurred / np.maximum(weight, 1e-3), pixels.size, interpolation=cv2.INTER_LINEAR)
        hollow += 0.5 * np.clip((pixels.points[:, 2] - around.ravel()[pixels.index]) / scale, 0.0, 1.0)
    return hollow


def _shadow(pixels: Pixels, surfaces: list[Surface], towards: np.ndarray) -> np.ndarray:
    """[N] 0 to 1: how much of the lamp other parts hide, from a coarse depth map of the triangles' centres."""
    side = np.cross(towards, [0.3, 0.5, 0.81])
    side /= np.linalg.norm(side)
    axes = np.stack([side, np.cross(towards, side), towards], axis=1)
    centres = np.concatenate([one.vertices[one.faces].mean(axis=1) for one in surfaces]) @ axes
    points = pixels.points @ axes
    low = centres[:, :2].min(axis=0) - 3 * _SHADOW_CELL
    cells = ((centres[:, :2] - low) / _SHADOW_CELL).astype(int)
    highest = np.full(cells.max(axis=0) + 4, -np.inf, np.float32)
    np.maximum.at(highest, tuple(cells.T), centres[:, 2])
    place = (points[:, :2] - low) / _SHADOW_CELL
    hidden = np.zeros(len(points))
    offsets = ((0.0, 0.0), (0.8, 0.3), (-0.3, 0.8), (-0.8, -0.3), (0.3, -0.8))
    for offset in offsets:
        cell = np.clip((place + offset).astype(int), 0, np.array(highest.shape) - 1)
        hidden += highest[tuple(cell.T)] > points[:, 2] + _SHADOW_SLACK
    return hidden / len(offsets)
