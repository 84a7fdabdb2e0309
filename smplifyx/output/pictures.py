"""Pictures of a fit: the body on the photo, and the body from the side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from smplifyx.camera import Camera
from smplifyx.files import write_bytes
from smplifyx.output.render import NEAREST, BodyMesh, BodyRenderer

#: Pictures of larger photos are shrunk to this longest side, pixels.
LONGEST_SIDE = 1600
#: Drawings of smooth bodies show no blocks at this quality, in a tenth of the bytes of a PNG.
_JPEG_QUALITY = 88
#: The side view is taken from this far with a focal length to match, metres: all but orthographic.
_SIDE_DISTANCE = 100.0
#: Room about the body in the side view and its least width, as shares of its height.
_SIDE_MARGIN, _SIDE_WIDTH = 0.05, 0.6
_MIN_SIDE_HEIGHT = 120
#: Lines and letters of the side view are made for this height and grow with it, pixels.
_DRAWN_HEIGHT = 600
_BACKGROUND, _LINE, _TEXT = (238, 240, 241), (128, 132, 138), (96, 100, 104)
_PHOTO_EDGE = (120, 150, 210)


def overlay(
    image_bgr: np.ndarray,
    meshes: Sequence[BodyMesh],
    camera: Camera,
    renderer: BodyRenderer,
    longest_side: int = LONGEST_SIDE,
) -> np.ndarray:
    """The photo with one or more bodies drawn over it, BGR uint8 `[h, w, 3]`.

    A photo whose longer side exceeds ``longest_side`` pixels is shrunk to it, and so is the picture returned.

    Args:
        image_bgr: the photo `[H, W, 3]` uint8, at its full size or shrunk already.
        meshes: bodies in the camera frame, camera translation included.
        camera: intrinsics for the photo at its full size.
        renderer: draws the bodies.
        longest_side: pixels.

    Raises:
        ValueError: the photo has another size than the camera says.
    """
    height, width = image_bgr.shape[:2]
    shown = camera.capped(longest_side)
    if (width, height) not in (tuple(camera.size), tuple(shown.size)):
        raise ValueError(f"the photo has {width} x {height} pixels, its camera {camera.size}")
    if (width, height) != tuple(shown.size):
        picture = np.asarray(cv2.resize(image_bgr, shown.size, interpolation=cv2.INTER_AREA), np.uint8)
    else:
        picture = image_bgr.copy()
    left, top, right, bottom = _region(meshes, shown)
    if right > left and bottom > top:
        part = picture[top:bottom, left:right]
        part[:] = composite(part, renderer.render(meshes, shown.cropped(left, top, (right - left, bottom - top))))
    return picture


def _region(meshes: Sequence[BodyMesh], camera: Camera) -> tuple[int, int, int, int]:
    """The part of a picture that bodies can be seen in: first column, first row, and those behind the last."""
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    for mesh in meshes:
        if mesh.vertices[:, 2].min() < NEAREST:  # beside or behind the camera
            return 0, 0, *camera.size
        points = camera.project(mesh.vertices)
        low, high = np.minimum(low, points.min(axis=0)), np.maximum(high, points.max(axis=0))
    if not np.isfinite([low, high]).all():
        return 0, 0, *camera.size
    left, top = np.clip(np.floor(low), 0, camera.size).astype(int)
    right, bottom = np.clip(np.ceil(high) + 1, 0, camera.size).astype(int)
    return int(left), int(top), int(right), int(bottom)


def composite(background_bgr: np.ndarray, rgba: np.ndarray) -> np.ndarray:
    """Lay premultiplied RGBA `[H, W, 4]` over BGR `[H, W, 3]`, both uint8."""
    transparency = (255 - rgba[..., 3:]).astype(np.float32) / 255.0
    mixed = background_bgr.astype(np.float32) * transparency + rgba[..., 2::-1]
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class _SideCanvas:
    """Map from the turned body, metres about the pelvis, to pixels of the side view."""

    scale: float
    origin: tuple[float, float]
    size: tuple[int, int]

    def camera(self) -> Camera:
        """A distant camera at the height of the pelvis, at the scale of the canvas."""
        focal_length = self.scale * _SIDE_DISTANCE
        return Camera(focal_length, self.origin, image_size=self.size)

    def column(self, metres: float) -> int:
        """Pixel column of a point by its distance behind the pelvis."""
        return round(self.origin[0] + self.scale * metres)

    def row(self, metres: float) -> int:
        """Pixel row of a point by its distance below the pelvis."""
        return round(self.origin[1] + self.scale * metres)


def side_view(
    mesh: BodyMesh,
    pelvis: np.ndarray,
    camera: Camera,
    renderer: BodyRenderer,
    longest_side: int = LONGEST_SIDE,
) -> np.ndarray:
    """The body seen from the side, BGR uint8 `[h, w, 3]`; the photo's camera is on the left.

    The view is the photo's turned by 90 degrees about its vertical through the pelvis, nearly orthographic, at the
    scale that the pelvis has in :func:`overlay`. A level line lies under the lowest point and an upright one goes
    through the pelvis, both relative to the photo: they are level and upright in the world if the camera was.
    A dashed line shows the lower edge of the photo if it cuts the body.

    Args:
        mesh: the body in the camera frame, camera translation included.
        pelvis: the pelvis joint `[3]` in the same frame, metres.
        camera: intrinsics for the photo at its full size.
        renderer: draws the body.
        longest_side: limit of this picture and of the overlay, pixels; a larger one is drawn at a smaller scale.

    Raises:
        ValueError: the body has vertices that are not finite.
    """
    if not np.isfinite(mesh.vertices).all():
        raise ValueError("the body has vertices that are not finite")
    shown = camera.capped(longest_side)
    x, y, z = (np.asarray(mesh.vertices, np.float64) - pelvis).T
    turned = np.stack([z, y, -x], axis=1)
    scale = shown.focal_length[1] / max(float(pelvis[2]), 1e-3)
    canvas = _side_canvas(turned, scale, longest_side)
    picture = np.full((canvas.size[1], canvas.size[0], 3), _BACKGROUND, np.uint8)
    _draw_ground(picture, canvas.row(float(y.max())))
    _draw_upright(picture, canvas, float(y.max()))
    body = replace(mesh, vertices=turned + np.array([0.0, 0.0, _SIDE_DISTANCE]))
    picture = composite(picture, renderer.render([body], canvas.camera()))
    faint = picture.copy()
    _draw_upright(faint, canvas, float(y.max()))
    picture = np.asarray(cv2.addWeighted(picture, 0.3, faint, 0.7, 0.0), np.uint8)
    photo_end = (shown.size[1] - 0.5 - shown.center[1]) * pelvis[2] / shown.focal_length[1] - pelvis[1]
    if photo_end < y.max():
        _draw_photo_end(picture, canvas.row(float(photo_end)))
    draw_camera_arrow(picture)
    return picture


def save_picture(picture_bgr: np.ndarray, path: str | Path) -> None:
    """Write BGR `[H, W, 3]` uint8 in the format of the suffix (.png, .jpg), all or nothing."""
    write_bytes(path, picture_bytes(picture_bgr, path))


def picture_bytes(picture_bgr: np.ndarray, path: str | Path) -> bytes:
    """BGR `[H, W, 3]` uint8 as a file in the format of the suffix of its name (.png, .jpg)."""
    path = Path(path)
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if path.suffix in (".jpg", ".jpeg") else []
    done, encoded = cv2.imencode(path.suffix, picture_bgr, options)
    if not done:
        raise ValueError(f"{path}: the picture cannot be encoded as {path.suffix}")
    return bytes(encoded)


def _side_canvas(turned: np.ndarray, scale: float, longest_side: int) -> _SideCanvas:
    low, high = turned[:, :2].min(axis=0), turned[:, :2].max(axis=0)
    margin = 2.0 * _SIDE_MARGIN * (high - low)[1]
    scale = min(scale, longest_side / float((high - low).max() + margin))
    height = max(_MIN_SIDE_HEIGHT, round(scale * float((high - low)[1] + margin)))
    width = max(round(_SIDE_WIDTH * height), round(scale * float((high - low)[0] + margin)))
    middle = scale * (low + high) / 2.0
    return _SideCanvas(scale, (width / 2.0 - float(middle[0]), height / 2.0 - float(middle[1])), (width, height))


def _unit(picture: np.ndarray) -> float:
    """Pixels of this picture per pixel of the drawing that its lines and letters were made for."""
    return len(picture) / _DRAWN_HEIGHT


def _thickness(picture: np.ndarray, thickness: float) -> int:
    return max(1, round(thickness * _unit(picture)))


def _write(picture: np.ndarray, text: str, place: tuple[int, int], color: tuple[int, int, int]) -> None:
    unit = _unit(picture)
    cv2.putText(
        picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4 * unit, color, _thickness(picture, 1), cv2.LINE_AA
    )


def _draw_ground(picture: np.ndarray, row: int) -> None:
    picture[row:] = (np.array(_BACKGROUND) * 0.94).astype(np.uint8)
    cv2.line(picture, (0, row), (picture.shape[1] - 1, row), _LINE, _thickness(picture, 2), cv2.LINE_AA)


def _draw_upright(picture: np.ndarray, canvas: _SideCanvas, lowest: float) -> None:
    column = canvas.column(0.0)
    cv2.line(picture, (column, 4), (column, canvas.row(lowest)), _LINE, _thickness(picture, 1), cv2.LINE_AA)


def _draw_photo_end(picture: np.ndarray, row: int) -> None:
    if not 0 <= row < len(picture):
        return
    unit = _unit(picture)
    for start in range(0, picture.shape[1], max(2, round(14 * unit))):
        cv2.line(
            picture, (start, row), (start + round(7 * unit), row), _PHOTO_EDGE, _thickness(picture, 1), cv2.LINE_AA
        )
    _write(picture, "photo ends", (round(6 * unit), row + round((-5 if row > 16 * unit else 14) * unit)), _PHOTO_EDGE)


def draw_camera_arrow(picture: np.ndarray) -> None:
    """Draw an arrow at the lower left that points to the photo's camera."""
    unit, row = _unit(picture), len(picture) - round(10 * _unit(picture))
    tail, head = (round(30 * unit), row), (round(6 * unit), row)
    cv2.arrowedLine(picture, tail, head, _TEXT, _thickness(picture, 1), cv2.LINE_AA, tipLength=0.3)
    _write(picture, "camera", (round(35 * unit), row + round(4 * unit)), _TEXT)


#: Longer side of the picture, pixels.
_LONGEST_SIDE = 640
#: Room on each side, as a share of the box around the mesh.
_MARGIN = 0.4


def close_up(
    image_bgr: np.ndarray, camera: Camera, vertices: np.ndarray, longest_side: int = _LONGEST_SIDE
) -> tuple[np.ndarray, Camera]:
    """Crop the photo to a mesh, enlarged to ``longest_side``, with the camera of the crop.

    Args:
        image_bgr: the photo `[H, W, 3]` uint8.
        camera: its intrinsics.
        vertices: `[V, 3]` in the camera frame, camera translation included, metres.
        longest_side: pixels; 640 at most.

    Returns:
        BGR uint8 `[h, w, 3]` and its intrinsics. A mesh outside the photo gives the whole photo.
    """
    size = np.array(camera.size)
    points = camera.project(vertices)
    low, high = points.min(axis=0), points.max(axis=0)
    margin = _MARGIN * float((high - low).max())
    if not np.isfinite(margin):
        low, high, margin = np.zeros(2), size.astype(float), 0.0
    first = np.clip(np.floor(low - margin), 0, size - 1).astype(int)
    end = np.clip(np.ceil(high + margin) + 1, first + 1, size).astype(int)
    if (high < 0).any() or (low > size - 1).any():
        first, end = np.zeros(2, int), size
    width, height = (int(length) for length in end - first)
    left, top = (int(number) for number in first)
    cropped = camera.cropped(left, top, (width, height))
    scale = min(longest_side, _LONGEST_SIDE) / max(width, height)
    shown = cropped.resized((max(1, round(scale * width)), max(1, round(scale * height))))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    part = image_bgr[top : top + height, left : left + width]
    return np.asarray(cv2.resize(part, shown.size, interpolation=method)), shown
