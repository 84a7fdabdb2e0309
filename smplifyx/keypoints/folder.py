"""Match photos with keypoint files by their names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from smplifyx.errors import FIT_CLIPS, FIT_VIDEO, InputError, UsageError
from smplifyx.keypoints.formats import read_document
from smplifyx.keypoints.observation import KEYPOINT_SUFFIX

#: Endings, in lower case, of the files that count as photos.
IMAGE_ENDINGS = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".gif"),
        *(".jp2", ".avif", ".mpo", ".tga"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".pam", ".ras", ".sr", ".hdr", ".pic", ".heic", ".heif"),
    )
)
#: Endings of the files that count as keypoint files.
KEYPOINT_ENDINGS = frozenset((".json", ".txt"))
VIDEO_ENDINGS = frozenset((".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv"))
#: Texts that detectors put before and after the name of the photo.
_PREFIXES, _SUFFIXES = ("results_",), (KEYPOINT_SUFFIX, ".predictions", "_predictions")
#: Name of a picture with a drawing that OpenPose writes beside the photo.
_DRAWING = "_rendered"
#: Spare keypoint files that are opened to see whether they are about the photos of the folder.
_SPARE_FILES = 20


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
        unknown_images: files beside the photos that have keypoints, but not the ending of a photo.
    """

    pairs: tuple[Pair, ...]
    images_without_keypoints: tuple[Path, ...] = ()
    keypoints_without_image: tuple[Path, ...] = ()
    ambiguous: tuple[tuple[Path, Path], ...] = ()
    unknown_images: tuple[Path, ...] = ()


def pair_folder(images: str | Path, keypoints: str | Path) -> Pairing:
    """Pair photos and keypoint files: ``NAME.jpg`` with ``NAME_keypoints.json``, else with ``NAME.json``.

    The names of other detectors serve too: ``NAME.jpg.predictions.json``, ``results_NAME.json``, ``NAME.txt``. Names
    pair whatever their letter case and their Unicode form, where no file has the very name. A file about many photos
    serves all of them. Of two photos with the same stem the first in natural order is used.

    Args:
        images: a folder of photos, or one photo.
        keypoints: a folder of keypoint files, or one such file. One photo and one file form a pair by any name.

    Raises:
        UsageError: one of the two does not exist, or there is no photo or no keypoint file.
    """
    images, keypoints = Path(images), Path(keypoints)
    photos = image_files(images)
    files = keypoint_files(keypoints)
    if not files:
        found = _content(keypoints)
        raise UsageError(
            f"no keypoint file in {keypoints}; expected files such as NAME_keypoints.json, found {found}"
        )
    if images.is_file() and keypoints.is_file():
        return Pairing((Pair(images.stem, images, keypoints),))

    image_of, doubled_images = _by_stem((path.stem, path) for path in photos)
    # Names with the suffix come first, so that they are preferred.
    named = [(photo_stem(path), path) for path in files]
    named.sort(key=lambda pair: not pair[1].stem.endswith(KEYPOINT_SUFFIX))
    keypoints_of, doubled_keypoints = _by_stem(named)
    used = _matched(image_of, keypoints_of)
    claimed = set(used.values())
    unclaimed = [path for stem, path in keypoints_of.items() if stem not in claimed]
    pairs = [Pair(stem, image_of[stem], keypoints_of[other]) for stem, other in used.items()]
    lonely = [path for stem, path in image_of.items() if stem not in used]
    shared = _shared_files(lonely, unclaimed)
    pairs += [Pair(image.stem, image, file) for image, file in shared.items()]
    spare = [path for path in unclaimed if path not in shared.values() and not images.is_file()]
    unknown, spare = _unknown_images(images, spare)
    return Pairing(
        pairs=tuple(sorted(pairs, key=lambda pair: natural_key(pair.image))),
        images_without_keypoints=tuple(path for path in lonely if path not in shared),
        keypoints_without_image=tuple(sorted(spare, key=natural_key)),
        ambiguous=tuple(doubled_images + doubled_keypoints),
        unknown_images=tuple(unknown),
    )


def image_files(images: str | Path) -> list[Path]:
    """The photos of a folder in natural order, or one photo; drawings ``NAME_rendered.png`` of photos are left out.

    Raises:
        UsageError: the folder does not exist, or there is no photo.
    """
    images = Path(images)
    if images.suffix.lower() in VIDEO_ENDINGS and images.is_file():
        example = f"ffmpeg -i {images.name} -start_number 0 frames/{images.stem}_%012d.png"
        raise UsageError(
            f"{images} is a video; expected photos: {FIT_VIDEO}, or write its frames, named as OpenPose does: "
            f"{example}"
        )
    files = _files(images, "photos", IMAGE_ENDINGS)
    stems = {path.stem for path in files}
    files = [path for path in files if not _is_drawing(path, stems) or images.is_file()]
    if not files:
        raise UsageError(f"no image in {images}; {_elsewhere(images)}")
    return files


def keypoint_files(keypoints: str | Path) -> list[Path]:
    """The keypoint files of a folder in natural order, or one file; raises UsageError where it does not exist."""
    files = _files(Path(keypoints), "keypoints", KEYPOINT_ENDINGS)
    # Text beside JSON is something else, such as captions.
    json_files = [path for path in files if path.suffix.lower() != ".txt"]
    return json_files or files


def keypoint_path(image: Path, folder: Path) -> Path:
    """The keypoint file of a photo."""
    return folder / f"{image.stem}_keypoints.json"


def natural_key(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Sort key that reads digits as numbers; the plain name settles ties such as ``1`` and ``01``."""
    parts = re.split(r"([0-9]+)", path.name)
    return [(int(part), "") if k % 2 else (0, part) for k, part in enumerate(parts)], path.name


def _is_drawing(path: Path, stems: set[str]) -> bool:
    return path.stem.endswith(_DRAWING) and path.stem.removesuffix(_DRAWING) in stems


def _elsewhere(folder: Path) -> str:
    """A hint at photos elsewhere: in subfolders, or in a video."""
    inner = sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
    inner = [one for one in inner if any(path.suffix.lower() in IMAGE_ENDINGS for path in one.iterdir())]
    if inner:
        names = ", ".join(one.name for one in inner[:5]) + (", ..." if len(inner) > 5 else "")
        return f"its subfolders hold photos ({names}): run once for each, such as {inner[0]}, or {FIT_CLIPS}"
    videos = [one for one in folder.iterdir() if one.suffix.lower() in VIDEO_ENDINGS]
    if videos:
        return f"{videos[0].name} is a video: {FIT_VIDEO}, or write its frames as photos, for example with ffmpeg"
    return "expected files such as NAME.jpg or NAME.png"


def _content(folder: Path) -> str:
    """The content of a folder in a few words."""
    names = sorted(path.name for path in folder.iterdir())
    return "nothing" if not names else names[0] + (f" and {len(names) - 1:,} more" if len(names) > 1 else "")


def _files(path: Path, content: str, endings: frozenset[str]) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UsageError(f"{path} does not exist; expected a folder of {content}, or a file")
    # Names with a leading dot are other systems' side files, not photos. Links to nothing stay, to be named.
    found = (
        one
        for one in path.iterdir()
        if one.suffix.lower() in endings and not one.name.startswith(".") and (one.is_file() or _is_dangling(one))
    )
    return sorted(found, key=natural_key)


def _is_dangling(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def photo_stem(path: Path) -> str:
    """Name of the photo, without its ending, that a keypoint file is about by its own name."""
    stem = path.stem
    for suffix in _SUFFIXES:
        if stem.endswith(suffix):
            stem = stem.removesuffix(suffix)
            break
    if Path(stem).suffix.lower() in IMAGE_ENDINGS:
        stem = Path(stem).stem
    return stem


def _matched(image_of: dict[str, Path], keypoints_of: dict[str, Path]) -> dict[str, str]:
    """Stem of the photo -> stem of the keypoint file: the same name first, then the same but for form and case."""
    used = {stem: stem for stem in image_of if stem in keypoints_of}
    for plain in (_composed, _folded, _without_prefix):
        taken = set(used.values())
        lonely = _grouped((stem for stem in image_of if stem not in used), plain)
        spare = _grouped((stem for stem in keypoints_of if stem not in taken), plain)
        for name, stems in lonely.items():
            if len(stems) == len(spare.get(name, ())) == 1:
                used[stems[0]] = spare[name][0]
    return used


def _grouped(stems: Iterable[str], plain: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for stem in stems:
        groups.setdefault(plain(stem), []).append(stem)
    return groups


def _composed(stem: str) -> str:
    return unicodedata.normalize("NFC", stem)


def _folded(stem: str) -> str:
    return _composed(stem).casefold()


def _without_prefix(stem: str) -> str:
    folded = _folded(stem)
    return next((folded.removeprefix(prefix) for prefix in _PREFIXES if folded.startswith(prefix)), folded)


def _shared_files(photos: Sequence[Path], files: Sequence[Path]) -> dict[Path, Path]:
    """Photos without a file of their own, with the file about many photos that names some of them."""
    found: dict[Path, Path] = {}
    if not photos or len(files) > _SPARE_FILES:
        return found
    for file in files:
        try:
            document = read_document(file)
        except InputError:
            continue
        if any(document.key_of(photo) is not None for photo in photos):
            # Photos that it does not name have no people.
            found |= {photo: file for photo in photos if photo not in found}
    return found


def _unknown_images(images: Path, spare: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Files beside the photos that have the names of spare keypoint files, and the keypoint files that remain."""
    spare = list(spare)
    if not spare or not images.is_dir():
        return [], spare
    others = {
        path.stem: path
        for path in sorted(images.iterdir())
        if path.suffix.lower() not in IMAGE_ENDINGS | KEYPOINT_ENDINGS and path.suffix and not path.is_dir()
    }
    unknown = [others[photo_stem(path)] for path in spare if photo_stem(path) in others]
    return unknown, [path for path in spare if photo_stem(path) not in others]


def _by_stem(named: Iterable[tuple[str, Path]]) -> tuple[dict[str, Path], list[tuple[Path, Path]]]:
    by_stem: dict[str, Path] = {}
    doubled = []
    for stem, path in named:
        if stem in by_stem:
            doubled.append((path, by_stem[stem]))
        else:
            by_stem[stem] = path
    return by_stem, doubled
