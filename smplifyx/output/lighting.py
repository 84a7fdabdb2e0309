"""Clay, its light and its colours: one look for both renderers."""

from __future__ import annotations

import numpy as np

Color = tuple[float, float, float]

#: Linear RGB base colours, one a person, in turn.
PERSON_COLORS: tuple[Color, ...] = (
    (0.62, 0.59, 0.55),  # clay
    (0.28, 0.46, 0.70),  # blue
    (0.36, 0.56, 0.34),  # sage
    (0.68, 0.50, 0.18),  # ochre
    (0.48, 0.36, 0.62),  # lilac
    (0.24, 0.56, 0.56),  # teal
    (0.64, 0.26, 0.18),  # brick
    (0.40, 0.42, 0.46),  # slate
)
ROUGHNESS = 0.6
AMBIENT = 0.18
#: (intensity, direction towards the light in the camera frame: x right, y down, z forward).
LIGHTS: tuple[tuple[float, tuple[float, float, float]], ...] = (
    (2.4, (-1.0, -1.0, -0.9)),  # key: from above left, beside the camera
    (0.5, (1.0, -0.1, -0.7)),  # fill
    (1.2, (0.5, -0.8, 1.0)),  # back: a rim on head and shoulders
)


def person_color(person: int) -> Color:
    """The colour of one person of a photo; colours repeat after the last."""
    return PERSON_COLORS[person % len(PERSON_COLORS)]


def unit_lights() -> list[tuple[float, np.ndarray]]:
    """The lights with unit directions `[3]`."""
    return [(intensity, np.array(towards) / np.linalg.norm(towards)) for intensity, towards in LIGHTS]
