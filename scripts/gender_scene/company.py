"""Other people in the picture: cut-outs beside, behind or before the one it is about."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

_SHARE, _BEFORE_SHARE = 0.3, 0.25
#: Heights in those of the person's box, and places in widths of it from its middle.
_HEIGHTS, _PLACES = (0.5, 1.15), (0.45, 1.4)


def over(scene: np.ndarray, layer: np.ndarray | None) -> np.ndarray:
    """A premultiplied RGBA layer [H, W, 4] laid over a scene [H, W, 3]."""
    return scene if layer is None else scene * (1.0 - layer[..., 3:]) + layer[..., :3]


def place_bystanders(
    keypoints: np.ndarray, size: tuple[int, int], cutouts: Sequence[np.ndarray], rng: np.random.Generator
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Layers RGBA [H, W, 4] of bystanders behind and before the person with ``keypoints`` [135, 2]; none for most."""
    layers: list[np.ndarray | None] = [None, None]
    if not cutouts or rng.random() > _SHARE:
        return None, None
    low, high = keypoints.min(axis=0), keypoints.max(axis=0)
    for _ in range(int(rng.integers(1, 3))):
        cutout = cutouts[int(rng.integers(len(cutouts)))]
        cutout = cutout[:, ::-1] if rng.random() < 0.5 else cutout
        factor = (high - low)[1] * rng.uniform(*_HEIGHTS) / cutout.shape[0]
        side = rng.choice([-1.0, 1.0]) * rng.uniform(*_PLACES)
        middle = 0.5 * (low + high)[0] + side * max((high - low)[0], 0.4 * (high - low)[1])
        bottom = high[1] + rng.normal(0.0, 0.06) * (high - low)[1]
        move = np.array([[factor, 0.0, middle - 0.5 * factor * cutout.shape[1]],
                         [0.0, factor, bottom - factor * cutout.shape[0]]])  # fmt: skip
        layer = cv2.warpAffine(np.ascontiguousarray(cutout), move, size, flags=cv2.INTER_LINEAR)
        depth = int(rng.random() < _BEFORE_SHARE)
        below = layers[depth]
        layers[depth] = layer if below is None else below * (1.0 - layer[..., 3:]) + layer
    return layers[0], layers[1]
