"""Match photos with keypoint files by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from smplifyx.errors import UsageError
from smplifyx.keypoints.observation import KEYPOINT_SUFFIX

#: Endings, in lower case, of the files that count as photos.
IMAGE_ENDINGS = frozenset(
    (
        *(
            ".jpg",
            ".jpeg",
            ".jpe",
            ".jfif",
            ".png",
            ".bmp",
            ".dib",
            ".tif",
            ".tiff",
            ".webp",
            ".gif",
            ".jp2",
            ".avif",
        ),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".pam", ".ras", ".sr", ".hdr", ".pic", ".heic", ".heif"),
    )
)


@dataclass(frozen=True)
class Pair:
    """A photo and its keypoint file; `stem` is the photo's name without its ending."""

    stem: str
    image: Path
    keypoints: Path


@dataclass(frozen=True)
class Pairing:
    """Images and keypoint files of two folders.

    Attributes:
        pairs: photos with their keypoint files, in natural order (``a2`` before ``a10``).
        images_without_keypoints: photos without a keypoint file.
        keypoints_without_image: keypoint files without a photo.
        ambiguous: files that are not used because another of the same stem is: (unused, used).
    """

    pairs: tuple[Pair, ...]
    images_without_keypoints: tuple[Path, ...] = ()
    keypoints_without_image: tuple[Path, ...] = ()
    ambiguous: tuple[tuple[Path, Path], ...] = ()


def pair_folder(images: str | Path, keypoints: str | Path) -> Pairing:
    """Pair photos and keypoint files: ``NAME.jpg`` with ``NAME_keypoints.json``, else with ``NAME.json``.

    Endings may be in upper case. Of two photos with the same stem the first in natural order is used.

    Args:
        images: a folder of photos, or one photo.
        keypoints: a folder of keypoint files, or one such file. One photo and one file form a pair by any name.

    Raises:
        UsageError: one of the two does not exist, or there is no photo.
    """
    images, keypoints = Path(images), Path(keypoints)
    photos = image_files(images)
    keypoint_files = _files(keypoints, "keypoints", frozenset({".json"}))
    if images.is_file() and keypoints.is_file():
        return Pairing((Pair(images.stem, images, keypoints),))

    image_of, doubled_images = _by_stem((path.stem, path) for path in photos)
    # Names with the suffix come first, so that they are preferred.
    suffixed = [path for path in keypoint_files if path.stem.endswith(KEYPOINT_SUFFIX)]
    plain = [path for path in keypoint_files if not path.stem.endswith(KEYPOINT_SUFFIX)]
    keypoints_of, doubled_keypoints = _by_stem(
        [(path.stem.removesuffix(KEYPOINT_SUFFIX), path) for path in suffixed] + [(path.stem, path) for path in plain]
    )
    pairs = [Pair(stem, path, keypoints_of[stem]) for stem, path in image_of.items() if stem in keypoints_of]
    unclaimed = [path for stem, path in keypoints_of.items() if stem not in image_of and not images.is_file()]
    return Pairing(
        pairs=tuple(pairs),
        images_without_keypoints=tuple(path for stem, path in image_of.items() if stem not in keypoints_of),
        keypoints_without_image=tuple(sorted(unclaimed, key=natural_key)),
        ambiguous=tuple(doubled_images + doubled_keypoints),
    )


def image_files(images: str | Path) -> list[Path]:
    """The photos of a folder in natural order, or one photo.

    Raises:
        UsageError: the folder does not exist, or there is no photo.
    """
    files = _files(Path(images), "images", IMAGE_ENDINGS)
    if not files:
        raise UsageError(f"no image in {images}; expected files such as NAME.jpg or NAME.png")
    return files


def natural_key(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Sort key that reads digits as numbers; the plain name settles ties such as ``1`` and ``01``."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if k % 2 else (0, part) for k, part in enumerate(parts)], path.name


def _files(path: Path, option: str, endings: frozenset[str]) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UsageError(f"--{option} {path} does not exist; expected a folder or a file")
    # Names with a leading dot are other systems' side files, not photos.
    found = (p for p in path.iterdir() if p.suffix.lower() in endings and not p.name.startswith(".") and p.is_file())
    return sorted(found, key=natural_key)


def _by_stem(named: Iterable[tuple[str, Path]]) -> tuple[dict[str, Path], list[tuple[Path, Path]]]:
    by_stem: dict[str, Path] = {}
    doubled = []
    for stem, path in named:
        if stem in by_stem:
            doubled.append((path, by_stem[stem]))
        else:
            by_stem[stem] = path
    return by_stem, doubled
