"""Procedural backgrounds: studios, rooms, open air, blotches and clutter."""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import cv2
import numpy as np

Rng = np.random.Generator


def background(size: tuple[int, int], rng: Rng) -> np.ndarray:
    """A random sRGB picture [H, W, 3], float32, of ``size`` (width, height)."""
    kinds: tuple[Callable[[tuple[int, int], Rng], np.ndarray], ...] = (_studio, _room, _outdoors, _blotches, _clutter)
    picture = kinds[rng.choice(len(kinds), p=[0.16, 0.30, 0.26, 0.12, 0.16])](size, rng)
    if rng.random() < 0.6:
        picture = cv2.GaussianBlur(picture, (0, 0), float(np.exp(rng.uniform(np.log(0.6), np.log(7.0)))))
    return np.clip(picture, 0.0, 1.0).astype(np.float32)


def fractal(
    size: tuple[int, int], rng: Rng, roughness: float = 0.55, first: int = 2, aspect: float = 1.0
) -> np.ndarray:
    """Noise [H, W] of many scales with zero mean and unit variance."""
    width, height = size
    total, weight, cells = np.zeros((height, width), np.float32), 1.0, first
    while cells < max(width, height) / 2:
        rows = max(1, round(cells * height / width * aspect))
        grid = rng.normal(size=(rows + 3, cells + 3)).astype(np.float32)
        total += weight * cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC)
        weight, cells = weight * roughness, 2 * cells
    return (total - total.mean()) / max(float(total.std()), 1e-6)


def random_color(rng: Rng, saturation: float = 0.5) -> np.ndarray:
    """sRGB [3]."""
    hue = rng.uniform() if rng.random() < 0.4 else rng.choice([0.08, 0.11, 0.58, 0.3]) + rng.normal(0.0, 0.03)
    return np.array(colorsys.hsv_to_rgb(hue % 1.0, saturation * rng.beta(0.9, 2.0), rng.beta(1.5, 1.2)), np.float32)


def _gradient(size: tuple[int, int], rng: Rng, one: np.ndarray, two: np.ndarray) -> np.ndarray:
    width, height = size
    x, y = np.meshgrid(np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32))
    angle = rng.uniform(0.0, 2.0 * np.pi)
    share = np.clip(0.5 + 0.5 * (np.cos(angle) * x + np.sin(angle) * y), 0.0, 1.0)[..., None]
    return one * (1.0 - share) + two * share


def _studio(size: tuple[int, int], rng: Rng) -> np.ndarray:
    level = rng.uniform(0.0, 0.08) if rng.random() < 0.12 else rng.uniform(0.75, 1.0)
    color = np.full(3, level, np.float32) if rng.random() < 0.6 else random_color(rng)
    return _gradient(size, rng, color, color * rng.uniform(0.75, 1.0)) + 0.004 * fractal(size, rng)[..., None]


def _wall(size: tuple[int, int], rng: Rng) -> np.ndarray:
    width, height = size
    color = random_color(rng, 0.5)
    wall = _gradient(size, rng, color, color * rng.uniform(0.6, 1.0))
    wall = wall * (1.0 + rng.uniform(0.0, 0.08) * fractal(size, rng)[..., None])
    kind = rng.random()
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    if kind < 0.15:  # bricks
        brick_h, brick_w = rng.uniform(6, 16), rng.uniform(16, 40)
        row = np.floor(y / brick_h)
        joint = (y % brick_h < 1.5) | ((x + 0.5 * brick_w * (row % 2)) % brick_w < 1.5)
        tint = 1.0 + 0.1 * np.sin(12.9 * row + 78.2 * np.floor((x + 0.5 * brick_w * (row % 2)) / brick_w))
        wall = np.where(joint[..., None], wall * 0.6 + 0.3, wall * tint[..., None])
    elif kind < 0.25:
        wall = np.where(((x / rng.uniform(8, 40)) % 1.0 < 0.5)[..., None], wall, wall * rng.uniform(0.7, 0.95))
    return wall


def _room(size: tuple[int, int], rng: Rng) -> np.ndarray:
    width, height = size
    picture = _wall(size, rng)
    for _ in range(rng.poisson(2.5)):
        _furnish(picture, rng)
    if rng.random() < 0.75:
        edge = int(height * rng.uniform(0.6, 0.95))
        color = random_color(rng, 0.5)
        rows = height - edge
        depth = 1.0 / (np.arange(rows) + rng.uniform(4, 30))[:, None]
        x = (np.arange(width)[None] - width / 2.0) * depth
        boards = (x * rng.uniform(4, 12) + rng.uniform(0, 5)) % 1.0
        tiles = ((depth * rng.uniform(50, 300)) % 1.0 < 0.08) | (boards < 0.06)
        floor = color * (1.0 + 0.05 * fractal((width, rows), rng, aspect=2.0)[..., None] if rows > 2 else 1.0)
        picture[edge:] = np.where(tiles[..., None] & (rng.random() < 0.6), floor * 0.8, floor)
        if rng.random() < 0.5:
            picture[edge - 6 : edge] = picture[edge - 6 : edge] * 0.3 + 0.6
    return picture


def _furnish(picture: np.ndarray, rng: Rng) -> None:
    """A picture, window, door or shelf on the wall."""
    height, width = picture.shape[:2]
    w, h = int(width * rng.uniform(0.1, 0.5)), int(height * rng.uniform(0.1, 0.6))
    x, y = int(rng.integers(-w // 2, width - w // 2)), int(rng.integers(-h // 3, max(1, int(0.7 * height))))
    x0, x1, y0, y1 = max(x, 0), min(x + w, width), max(y, 0), min(y + h, height)
    if x1 - x0 < 8 or y1 - y0 < 8:
        return
    size = (x1 - x0, y1 - y0)
    kind = rng.random()
    if kind < 0.3:
        inside = _outdoors(size, rng) if min(size) > 24 else _blotches(size, rng)
        inside = inside * 0.6 + 0.35 if rng.random() < 0.5 else inside
    elif kind < 0.5:
        inside = _blotches(size, rng)
    elif kind < 0.75:
        inside = _shelf(size, rng)
    else:
        inside = np.ones((size[1], size[0], 3)) * random_color(rng)
    picture[y0:y1, x0:x1] = inside
    border = int(rng.integers(0, 5))
    if border:
        color = tuple(float(c) for c in random_color(rng, 0.4))
        cv2.rectangle(picture, (x0, y0), (x1 - 1, y1 - 1), color, border)


def _shelf(size: tuple[int, int], rng: Rng) -> np.ndarray:
    width, height = size
    picture = np.ones((height, width, 3), np.float32) * random_color(rng, 0.3) * 0.5
    step = int(rng.integers(14, 45))
    for top in range(0, height, step):
        x = 0
        while x < width:
            thick = int(rng.integers(3, 12))
            tall = int(step * rng.uniform(0.5, 0.9))
            picture[max(0, top + step - tall) : top + step - 2, x : x + thick] = random_color(rng, 0.9)
            x += thick + int(rng.integers(0, 2))
        picture[top + step - 2 : top + step] *= 1.5
    return picture


def _outdoors(size: tuple[int, int], rng: Rng) -> np.ndarray:
    width, height = size
    sky = np.array([0.55, 0.70, 0.90]) if rng.random() < 0.6 else np.full(3, rng.uniform(0.6, 0.95))
    picture = _gradient(size, rng, sky * rng.uniform(0.8, 1.1), np.ones(3) * rng.uniform(0.8, 1.0))
    clouds = np.clip(fractal(size, rng, 0.5) * 0.6, 0.0, 1.0)[..., None]
    picture = picture * (1.0 - 0.6 * clouds) + 0.6 * clouds
    horizon = height * rng.uniform(0.1, 0.75)
    rows = np.arange(height)[:, None]
    for _ in range(rng.integers(0, 3)):
        profile = (
            horizon - height * np.abs(rng.normal(0.0, 0.25)) - 0.06 * height * fractal((width, 4), rng, 0.6, 3)[1]
        )
        leaf = np.array([0.20, 0.33, 0.13]) * rng.uniform(0.4, 1.7) * rng.normal(1.0, 0.15, 3)
        if rng.random() < 0.3:
            leaf = random_color(rng, 0.3)
        texture = leaf * (1.0 + rng.uniform(0.1, 0.45) * fractal(size, rng, 0.85, 4)[..., None])
        picture = np.where((rows > profile[None])[..., None], texture, picture)
    for _ in range(rng.poisson(0.8)):  # houses, posts
        w, x = int(width * rng.uniform(0.03, 0.5)), int(rng.integers(-20, width))
        top = int(horizon * rng.uniform(0.0, 0.8))
        wall = random_color(rng, 0.4) * (1.0 + 0.04 * fractal((width + w, height), rng)[..., None])
        target = picture[top : int(horizon), max(x, 0) : max(x + w, 0)]
        target[:] = wall[: target.shape[0], : target.shape[1]]
        target[4::14, :] *= 0.75
        target[:, 5::18] *= 0.7
    ground = np.array([[0.30, 0.45, 0.16], [0.45, 0.44, 0.43], [0.66, 0.54, 0.38], [0.9, 0.9, 0.93]])
    color = ground[rng.choice(4, p=[0.4, 0.3, 0.22, 0.08])] * rng.uniform(0.6, 1.2) * rng.normal(1.0, 0.07, 3)
    earth = color * (1.0 + rng.uniform(0.03, 0.25) * fractal(size, rng, 0.8, 4, aspect=2.5)[..., None])
    return np.where((rows > horizon)[..., None], earth, picture)


def _blotches(size: tuple[int, int], rng: Rng) -> np.ndarray:
    picture = np.ones((size[1], size[0], 3)) * random_color(rng, 0.9)
    for _ in range(int(rng.integers(1, 5))):
        share = 1.0 / (
            1.0 + np.exp(-rng.uniform(1, 8) * fractal(size, rng, rng.uniform(0.3, 0.9), int(rng.integers(2, 7))))
        )
        picture = picture * (1.0 - share[..., None]) + random_color(rng, 0.9) * share[..., None]
    return picture


def _clutter(size: tuple[int, int], rng: Rng) -> np.ndarray:
    """Many shapes over each other: markets, streets, crowds."""
    width, height = size
    picture = np.ascontiguousarray(_gradient(size, rng, random_color(rng), random_color(rng)), np.float32)
    for _ in range(int(rng.integers(10, 60))):
        color = tuple(float(c) for c in random_color(rng, 0.9))
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        w, h = (int(np.exp(rng.uniform(np.log(4), np.log(side / 2)))) for side in (width, height))
        kind = rng.random()
        if kind < 0.35:
            cv2.rectangle(picture, (x - w // 2, y - h // 2), (x + w // 2, y + h // 2), color, -1)
        elif kind < 0.7:
            cv2.ellipse(
                picture, (x, y), (w // 2 + 1, h // 2 + 1), rng.uniform(0, 180), 0, 360, color, -1, cv2.LINE_AA
            )
        elif kind < 0.85:
            corners = rng.normal(0.0, 1.0, (4, 2)) * [w / 2, h / 2] + [x, y]
            cv2.fillPoly(picture, [corners.astype(np.int32)], color, cv2.LINE_AA)
        else:
            cv2.line(
                picture,
                (x, y),
                (x + int(rng.normal(0, width / 3)), y + int(rng.normal(0, height / 3))),
                color,
                int(rng.integers(1, 8)),
                cv2.LINE_AA,
            )
    return picture * (1.0 + 0.06 * fractal(size, rng, 0.8)[..., None])
