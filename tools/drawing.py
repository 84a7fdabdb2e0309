"""Close-up drawings of bodies on plain paper, with captions, for the pictures of the documentation."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from smplifyx.body.data import FloatArray
from smplifyx.camera import Camera
from smplifyx.output import BodyMesh, BodyRenderer, open_renderer

PAPER, INK = (245, 243, 240), (50, 50, 50)
#: Height of a caption, pixels.
CAPTION = 24
#: Distance of the camera from the focus, as a multiple of the height that the picture shows there.
_DISTANCE = 4.0
#: Pictures are rendered at this multiple of their size and shrunk, for smooth outlines.
_SUPERSAMPLING = 2
_JPEG_QUALITY = 88


@dataclass(frozen=True)
class Viewpoint:
    """Direction and scale of a drawing.

    Attributes:
        azimuth, elevation: direction of the camera, degrees: from the front towards the person's left, and up.
        height: metres that the picture shows at the focus.
    """

    azimuth: float
    elevation: float
    height: float


def start_renderer() -> BodyRenderer:
    """Open a renderer; a warning about a slow one goes to standard error."""
    renderer, warning = open_renderer()
    if warning:
        print(warning, file=sys.stderr)
    return renderer


def draw_meshes(
    meshes: Sequence[BodyMesh], focus: FloatArray, viewpoint: Viewpoint, size: tuple[int, int], renderer: BodyRenderer
) -> np.ndarray:
    """Draw meshes of the body frame around the point ``focus`` [3]; BGR [H, W, 3] uint8 of ``size`` (W, H)."""
    camera_frame = Rotation.from_euler("YX", [viewpoint.azimuth, -viewpoint.elevation], degrees=True).inv()
    turned = []
    for mesh in meshes:
        seen = camera_frame.apply(mesh.vertices - focus) * (1, -1, -1)
        seen[:, 2] += _DISTANCE * viewpoint.height
        turned.append(replace(mesh, vertices=seen))
    width, height = (_SUPERSAMPLING * side for side in size)
    camera = Camera(_DISTANCE * height, ((width - 1) / 2, (height - 1) / 2), image_size=(width, height))
    rgba = renderer.render(turned, camera).astype(float)
    picture = rgba[..., 2::-1] + (1 - rgba[..., 3:] / 255) * np.array(PAPER)
    return cv2.resize(picture.clip(0, 255).astype(np.uint8), size, interpolation=cv2.INTER_AREA)


def captioned(pictures: Sequence[np.ndarray], captions: Sequence[str], gap: int) -> np.ndarray:
    """Pictures of equal size side by side under their captions, with a white gap to the right and below."""
    height, width = pictures[0].shape[:2]
    block = np.full((CAPTION + height + gap, len(pictures) * (width + 2) - 2 + gap, 3), 255, np.uint8)
    for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        left = number * (width + 2)
        block[CAPTION : CAPTION + height, left : left + width] = picture
        cv2.putText(block, caption, (left + 2, CAPTION - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA)
    return block


def save_sheet(rows: Sequence[Sequence[np.ndarray]], path: Path) -> None:
    """Write rows of equally large blocks as one JPEG picture; missing folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.vstack([np.hstack(row) for row in rows]), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
