"""Three balls that may collide with each other."""

from __future__ import annotations

import numpy as np
import torch

from smplifyx.collision.contacts import ContactSearch
from smplifyx.collision.parts import PairFilter

#: Any two of the three parts may collide.
COLLIDING = ~np.eye(3, dtype=bool)


def ball(centre: tuple[float, float, float], radius: float, n_rings: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles, counter-clockwise seen from outside, of a sphere without its poles."""
    angles = np.linspace(0.3, np.pi - 0.3, n_rings)[:, None]
    around = np.linspace(0, 2 * np.pi, 2 * n_rings, endpoint=False)[None]
    places = np.stack(np.broadcast_arrays(np.sin(angles) * np.cos(around), np.sin(angles) * np.sin(around),
                                          np.cos(angles)), -1)  # fmt: skip
    number = np.arange(n_rings * 2 * n_rings).reshape(n_rings, -1)
    a, b = number[:-1], np.roll(number, -1, axis=1)[:-1]
    c, d = number[1:], np.roll(number, -1, axis=1)[1:]
    triangles = np.concatenate([np.stack([a, c, d], -1).reshape(-1, 3), np.stack([a, d, b], -1).reshape(-1, 3)])
    return (np.array(centre) + radius * places).reshape(-1, 3), triangles


class Balls:
    """Three balls, far apart at rest."""

    def __init__(self) -> None:
        parts = [ball((0.0, 0.0, 0.0), 0.05, 12), ball((1.0, 0.0, 0.0), 0.03, 9), ball((2.0, 0.0, 0.0), 0.01, 6)]
        starts = np.cumsum([0, *(len(vertices) for vertices, _ in parts)])
        self.vertices = np.concatenate([vertices for vertices, _ in parts])
        self.faces = np.concatenate([faces + start for (_, faces), start in zip(parts, starts, strict=False)])
        self.part = np.repeat(np.arange(3), np.diff(starts))
        labels = self.part[self.faces[:, 0]]
        self.pairs = PairFilter(labels, COLLIDING, np.zeros((0, 2), np.int64))
        self.search = ContactSearch(self.vertices, self.faces, self.pairs)

    def placed(self, *offsets: tuple[float, float, float]) -> torch.Tensor:
        """[1, V, 3] with the balls' centres elsewhere."""
        moved = self.vertices + (np.array(offsets) - np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0]]))[self.part]
        return torch.as_tensor(moved, dtype=torch.float32)[None]
