"""Clay, its light and its colours: one look for both renderers."""

from __future__ import annotations

import numpy as np

Color = tuple[float, float, float]

#: Linear RGB base colours, one a person, in turn.
PERSON_COLORS: tuple[Color, ...] = (
    (0.65, 0.62, 0.58),  # clay
    (0.36, 0.53, 0.72),  # blue
    (0.76, 0.44, 0.32),  # terracotta
    (0.45, 0.62, 0.42),  # sage
    (0.70, 0.56, 0.26),  # ochre
    (0.56, 0.44, 0.66),  # lilac
    (0.34, 0.62, 0.62),  # teal
    (0.72, 0.46, 0.54),  # rose
)
ROUGHNESS = 0.6
AMBIENT = 0.22
#: (intensity, direction towards the light in the camera frame: x right, y down, z forward).
LIGHTS: tuple[tuple[float, tuple[float, float, float]], ...] = (
    (2.0, (-0.6, -0.9, -1.0)),  # key: from above left, beside the camera
    (0.8, (1.0, -0.2, -0.8)),  # fill
    (1.2, (0.3, -0.8, 1.0)),  # back: a rim on head and shoulders
)


def person_color(person: int) -> Color:
    """The colour of one person of a photo; colours repeat after the last."""
    return PERSON_COLORS[person % len(PERSON_COLORS)]


def unit_lights() -> list[tuple[float, np.ndarray]]:
    """The lights with unit directions `[3]`."""
    return [(intensity, np.array(towards) / np.linalg.norm(towards)) for intensity, towards in LIGHTS]
