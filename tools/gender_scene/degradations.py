"""Occluding objects and degradations of photos: blur, tones, grain, compression."""

from __future__ import annotations

import cv2
import numpy as np

from tools.gender_scene.backgrounds import background, random_color

Rng = np.random.Generator


def occluder(size: tuple[int, int], box: np.ndarray, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """Coverage [H, W] and colours [H, W, 3] of something in front of a person.

    Args:
        size: (width, height) of the picture.
        box: [4] the person's left, top, right and bottom, pixels.
        rng: random numbers.
    """
    width, height = size
    mask = np.zeros((height, width), np.float32)
    low, high = box[:2], box[2:]
    extent = high - low
    kind = rng.random()
    if kind < 0.35:  # a table, a wall, a person before: from below
        top = int(low[1] + extent[1] * rng.uniform(0.45, 0.9))
        tilt = rng.normal(0.0, 0.05) * width
        corners = [(0, top - tilt), (width, top + tilt), (width, height), (0, height)]
        cv2.fillPoly(mask, [np.array(corners, np.int32)], 1.0, cv2.LINE_AA)
    elif kind < 0.5:  # a post
        x = low[0] + extent[0] * rng.uniform(-0.1, 1.1)
        cv2.line(mask, (int(x), 0), (int(x + rng.normal(0, 15)), height), 1.0, int(rng.integers(4, 30)), cv2.LINE_AA)
    elif kind < 0.65:  # a bat, a board, a bag's strap
        start, end = low + extent * rng.random(2), low + extent * rng.random(2)
        cv2.line(mask, tuple(start.astype(int)), tuple(end.astype(int)), 1.0, int(rng.integers(2, 14)), cv2.LINE_AA)
    else:
        centre = low + extent * rng.uniform([0.0, 0.3], [1.0, 1.0])
        axes = np.maximum(extent * rng.uniform(0.08, 0.3, 2), 3).astype(int)
        if rng.random() < 0.5:
            cv2.ellipse(
                mask, tuple(centre.astype(int)), tuple(axes), rng.uniform(0, 180), 0, 360, 1.0, -1, cv2.LINE_AA
            )
        else:
            box_corners = cv2.boxPoints((centre.tolist(), (2.0 * axes).tolist(), float(rng.uniform(0, 90))))
            cv2.fillPoly(mask, [box_corners.astype(np.int32)], 1.0, cv2.LINE_AA)
    if rng.random() < 0.4:
        return mask, np.ones((height, width, 3), np.float32) * random_color(rng, 0.8)
    return mask, background(size, rng)


def develop(picture: np.ndarray, rng: Rng) -> np.ndarray:
    """The photo [H, W, 3] uint8 RGB of a scene in sRGB: tones, blur, grain."""
    gain, gamma = np.exp(rng.normal(0.0, 0.10)), np.exp(rng.normal(0.0, 0.14))
    cast = np.exp(rng.normal(0.0, 0.045, 3))
    result = np.clip(picture * gain * cast, 0.0, 1.0) ** gamma
    contrast = np.exp(rng.normal(0.0, 0.12))
    result = np.clip(0.5 + contrast * (result - 0.5), 0.0, 1.0)
    if rng.random() < 0.05:
        result = np.repeat(result.mean(axis=2, keepdims=True), 3, axis=2)
    height, width = result.shape[:2]
    result = result.astype(np.float32)
    if rng.random() < 0.3:  # a small picture enlarged
        scale = rng.uniform(0.4, 0.9)
        small = cv2.resize(result, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        result = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.4:
        result = cv2.GaussianBlur(result, (0, 0), float(rng.uniform(0.3, 1.3)))
    if rng.random() < 0.08:
        length = int(rng.integers(3, 9))
        kernel = np.zeros((length, length), np.float32)
        angle = rng.uniform(0, np.pi)
        reach = 0.5 * (length - 1) * np.array([np.cos(angle), np.sin(angle)])
        middle = np.full(2, 0.5 * (length - 1))
        cv2.line(kernel, tuple(np.rint(middle - reach).astype(int)), tuple(np.rint(middle + reach).astype(int)), 1.0)
        result = cv2.filter2D(result, -1, kernel / kernel.sum())
    if rng.random() < 0.25:
        soft = cv2.GaussianBlur(result, (0, 0), 1.0)
        result = result + rng.uniform(0.2, 0.9) * (result - soft)
    grain = rng.normal(0.0, 1.0, result.shape) * rng.gamma(1.2, 0.010)
    return np.clip(np.rint(255.0 * (result + grain)), 0, 255).astype(np.uint8)
