"""Reading of photos, upright, and of the focal length in their EXIF data.

Pillow decodes the formats that it knows, because it notices a file that was cut off; OpenCV decodes the rest.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from smplifyx.camera import FILM_DIAGONAL_MM, SHORTEST_FOCAL_LENGTH
from smplifyx.errors import InputError
from smplifyx.keypoints.documents import LFS_POINTER, missing

#: Largest photo that is decoded, pixels: telephones write 200 million.
LARGEST_IMAGE = 400_000_000
#: EXIF orientations that exchange width and height.
QUARTER_TURNS = (5, 6, 7, 8)
#: Focal lengths outside this range, in units of the longer image side, are mistakes (9 to 1000 mm on film).
PLAUSIBLE_FOCAL_LENGTH = (SHORTEST_FOCAL_LENGTH, 28.0)
#: Brands of HEIC files, as telephones write them.
_HEIC = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
#: EXIF FocalPlaneResolutionUnit in millimetres.
RESOLUTION_UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}


def read_image(path: str | Path, least_scale: float = 1.0) -> NDArray[np.uint8]:
    """Read a photo and turn it upright as its EXIF orientation says.

    Grey, palette, 16-bit and transparent images become plain 8-bit colour; transparent parts become white.

    Args:
        path: the photo.
        least_scale: a JPEG may come back reduced, which is decoded faster, down to this share of its size.

    Returns:
        uint8 `[H, W, 3]`, blue, green, red.

    Raises:
        InputError: the file is missing, empty, cut off, or no image that Pillow or OpenCV can decode.
    """
    with _opened(path) as image:
        if image is None:
            return _read_with_opencv(path)
        if least_scale < 1.0:
            width, height = image.size
            image.draft(None, (math.ceil(least_scale * width), math.ceil(least_scale * height)))
        ImageOps.exif_transpose(image, in_place=True)  # which copies nothing where there is no turn
        rgb = np.asarray(_opaque(image))
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), np.uint8)


@dataclass(frozen=True)
class PhotoHeader:
    """Figures of a photo that need no decoding.

    Attributes:
        size: width and height in pixels of the upright image.
        orientation: EXIF orientation, 1 to 8.
        focal_length_px: from EXIF data, see :func:`exif_focal_length_px`.
    """

    size: tuple[int, int]
    orientation: int = 1
    focal_length_px: float | None = None


def read_header(path: str | Path) -> PhotoHeader:
    """Read the figures of a photo in one go; whether it is complete shows when it is decoded.

    Raises:
        InputError: the file is missing, empty or no image.
    """
    with _opened(path) as image:
        if image is None:
            height, width = _read_with_opencv(path).shape[:2]
            return PhotoHeader((width, height))
        exif = image.getexif()
        orientation = exif.get(ExifTags.Base.Orientation, 1)
        orientation = orientation if orientation in range(1, 9) else 1
        width, height = image.size
        focal_length = _plausible_focal_length(dict(exif.get_ifd(ExifTags.IFD.Exif)), (width, height))
    size = (height, width) if orientation in QUARTER_TURNS else (width, height)
    return PhotoHeader(size, orientation, focal_length)


def image_size(path: str | Path) -> tuple[int, int]:
    """Width and height in pixels of the upright image.

    The file is decoded to its end, JPEG at an eighth of its size, so that one that is cut off is noticed.

    Raises:
        InputError: as for `read_image`.
    """
    with _opened(path) as image:
        if image is None:
            height, width = _read_with_opencv(path).shape[:2]
        elif image.format in ("JPEG", "MPO"):
            width, height = image.size
            image.draft("RGB", (1, 1))
            image.load()
            if image.getexif().get(ExifTags.Base.Orientation, 1) in QUARTER_TURNS:
                width, height = height, width
        else:
            width, height = ImageOps.exif_transpose(image).size
    return width, height


def exif_focal_length_px(path: str | Path) -> float | None:
    """Focal length in pixels from a photo's EXIF data.

    ``FocalLengthIn35mmFilm`` is read by the camera makers' convention (CIPA DCG-001): the same angle of view across
    the diagonal, 43.27 mm on film. Without it, ``FocalLength`` and the focal-plane resolution serve; they refer to
    the picture as it was taken, so a later change of size is allowed for through ``ExifImageWidth``.

    Returns:
        The focal length in pixels of the image as stored, or None where EXIF data are absent or implausible, or
        where the picture was cropped since (another aspect ratio than EXIF recorded).

    Raises:
        InputError: as for `read_header`.
    """
    return read_header(path).focal_length_px


def _plausible_focal_length(exif: dict[int, Any], size: tuple[int, int]) -> float | None:
    focal_length = _focal_length_px(exif, max(size), min(size))
    low, high = PLAUSIBLE_FOCAL_LENGTH
    return focal_length if focal_length is not None and low <= focal_length / max(size) <= high else None


def _focal_length_px(exif: dict[int, Any], long_side: int, short_side: int) -> float | None:
    recorded = sorted(_number(exif.get(tag)) for tag in (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight))
    if recorded[0] > 0 and abs(recorded[1] / recorded[0] - long_side / short_side) > 0.02 * long_side / short_side:
        return None
    film = _number(exif.get(ExifTags.Base.FocalLengthIn35mmFilm))
    if film > 0:
        return film / FILM_DIAGONAL_MM * math.hypot(long_side, short_side)
    focal_length = _number(exif.get(ExifTags.Base.FocalLength))
    pixels_per_unit = _number(exif.get(ExifTags.Base.FocalPlaneXResolution))
    unit = RESOLUTION_UNIT_MM.get(exif.get(ExifTags.Base.FocalPlaneResolutionUnit, 2))
    if focal_length <= 0 or pixels_per_unit <= 0 or unit is None:
        return None
    resized = long_side / recorded[1] if recorded[0] > 0 else 1.0
    return focal_length * pixels_per_unit / unit * resized


def _number(value: object) -> float:
    """An EXIF number as float; 0 where it is absent, no number, or a fraction over zero."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0
    return number if math.isfinite(number) else 0.0


#: Held while a file is opened without Pillow's own limit, which is one for the whole process.
_OPENING = threading.Lock()


@contextmanager
def _opened(path: str | Path) -> Iterator[Image.Image | None]:
    """The open image, or None where OpenCV must decode it; decoding errors in the block become InputError."""
    path = Path(path)
    try:
        with _open(path) as image:
            if image.width * image.height > LARGEST_IMAGE:
                megapixels = image.width * image.height / 1e6
                problem = f"has {megapixels:.0f} megapixels; expected at most {LARGEST_IMAGE / 1e6:.0f}"
                raise InputError(path, problem)
            # Pillow would clip 16-bit grey to its lowest 8 bits.
            yield None if image.mode.startswith(("I", "F")) else image
    except InputError:
        raise
    except UnidentifiedImageError:
        yield None
    except FileNotFoundError as error:
        raise InputError(path, missing(path, "an image")) from error
    except PermissionError as error:
        raise InputError(path, "cannot be read: permission denied") from error
    except Exception as error:  # decoders of damaged files raise many kinds
        raise InputError(path, f"is damaged or cut off ({error}); expected a complete image") from error


def _open(path: Path) -> Image.Image:
    with _OPENING:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _opaque(image: Image.Image) -> Image.Image:
    """Plain colours; transparent images lie on white, so that hidden colours do not show."""
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image if image.mode == "RGB" else image.convert("RGB")


def _read_with_opencv(path: str | Path) -> NDArray[np.uint8]:
    data = np.fromfile(path, np.uint8)
    if len(data) == 0:
        raise InputError(path, "is empty; expected an image")
    if data[: len(LFS_POINTER)].tobytes() == LFS_POINTER:
        raise InputError(path, "is a pointer of Git LFS; expected the image itself: run git lfs pull")
    try:
        with _silent_opencv():
            image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        is_heic = data[4:8].tobytes() == b"ftyp" and data[8:12].tobytes() in _HEIC
        found = "is a HEIC image, which cannot be decoded here" if is_heic else "cannot be decoded as an image"
        raise InputError(path, f"{found}; expected for example JPEG, PNG or TIFF")
    return np.asarray(image, np.uint8)


@contextmanager
def _silent_opencv() -> Iterator[None]:
    """Keep OpenCV's own lines about damaged files off the standard error stream."""
    earlier = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(earlier)
