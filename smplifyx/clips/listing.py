"""The clips of a run: which photo is which frame of which camera."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from smplifyx.errors import UsageError
from smplifyx.keypoints.folder import IMAGE_ENDINGS, image_files, keypoint_path, natural_key, pair_folder
from smplifyx.tracking import View

#: Stands for the name of a camera in ``--images`` and ``--keypoints``.
VIEW = "{view}"
_EXPECTED = f"expected names that begin with the camera's, a sub-folder of its name, or {VIEW} in its place"
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Shot:
    """A photo of a clip.

    Attributes:
        stem: names the output folders; unique in a run.
        image: the photo.
        keypoints: its keypoint file; where people are detected, the file that will be written; None without one.
    """

    stem: str
    image: Path
    keypoints: Path | None


@dataclass(frozen=True)
class Clip:
    """F frames of V cameras.

    Attributes:
        name: names its files; empty where a run has one clip only.
        shots: F rows of V photos; None where a camera has none of this frame.
        views: the V cameras; one without a camera where nothing is calibrated.
    """

    name: str
    shots: tuple[tuple[Shot | None, ...], ...]
    views: tuple[View, ...] = (View(),)

    def all_shots(self) -> list[Shot]:
        """All photos, frame by frame."""
        return [shot for row in self.shots for shot in row if shot is not None]


def list_clips(
    images: Path, keypoints: Path | None, views: Sequence[View], detected: Path, is_sequence: bool
) -> list[Clip]:
    """List the clips of a folder by the names of its files.

    Args:
        images: the folder of photos, or of sub-folders with clips; with cameras, see :func:`_shots_of_views`.
        keypoints: the same for keypoint files; None where people are detected.
        views: calibrated cameras; none for photos of one camera.
        detected: where keypoints that are detected go.
        is_sequence: whether photos follow each other in time; otherwise each frame of the cameras is a clip.

    Raises:
        UsageError: a folder is missing, no photo belongs to a camera, frames of cameras cannot be matched, or two
            photos share a name.
    """
    folders = _clip_folders(images, views)
    if folders is None:
        return _checked(_split([_clip("", images, keypoints, views, detected)], is_sequence))
    clips = []
    for folder in folders:
        inner = None if keypoints is None else keypoints / folder.name
        if inner is not None and not inner.exists():
            inner = keypoints
        clips.append(_clip(folder.name, folder, inner, views, detected / folder.name))
    return _checked(_split(clips, is_sequence))


def is_of_view(stem: str, view: str) -> bool:
    """Whether the name of a file begins with that of a camera, or is it."""
    return _rest(stem, view) is not None


def _checked(clips: list[Clip]) -> list[Clip]:
    """The clips, if no two photos and no two clips share a name, which would name the same files of the output."""
    stems: dict[str, Path] = {}
    names: dict[str, Path] = {}
    for clip in clips:
        shots = clip.all_shots()
        for shot in shots:
            _check_unused(stems, shot.stem, shot.image)
        _check_unused(names, clip.name, shots[0].image)
    return clips


def _check_unused(used: dict[str, Path], name: str, image: Path) -> None:
    key = name.casefold()  # some file systems do not tell small letters from capitals
    if used.get(key) == image:
        raise UsageError(f"{image} belongs to two cameras; {_EXPECTED}")
    if key in used:
        raise UsageError(f"{used[key]} and {image} are both {name!r} in the output; expected names that differ")
    used[key] = image


def _clip_folders(images: Path, views: Sequence[View]) -> list[Path] | None:
    """The sub-folders that are clips; None where the folder itself is one."""
    if VIEW in str(images) or not images.is_dir():
        return None
    if any(one.suffix.lower() in IMAGE_ENDINGS for one in images.iterdir() if one.is_file()):
        return None
    folders = [one for one in images.iterdir() if one.is_dir() and not one.name.startswith(".")]
    if views and any(_plain(folder.name) == _plain(view.name) for folder in folders for view in views):
        return None
    return sorted(folders, key=natural_key) or None


def _split(clips: list[Clip], is_sequence: bool) -> list[Clip]:
    """Each frame as a clip of its own, unless they follow each other."""
    if is_sequence:
        return clips
    single = []
    for clip in clips:
        for row in clip.shots:
            first = next(shot for shot in row if shot is not None)
            name = _without_view(first.stem, clip.views) or first.stem
            single.append(replace(clip, name=f"{clip.name}_{name}" if clip.name else name, shots=(row,)))
    return [replace(single[0], name="")] if len(single) == 1 else single


def _clip(name: str, images: Path, keypoints: Path | None, views: Sequence[View], detected: Path) -> Clip:
    if not views:
        shots = _shots(images, keypoints, detected)
        return Clip(name, tuple((replace(shot, stem=_unique(shot.stem, name)),) for shot in shots))
    of_views = _shots_of_views(images, keypoints, views, detected)
    views = [view for view, some in zip(views, of_views, strict=True) if some]
    of_views = [some for some in of_views if some]
    if not views:
        raise UsageError(f"no photo in {images} belongs to a camera; {_EXPECTED}")
    keys = _frame_keys([[shot.stem for shot in some] for some in of_views], views)
    by_key = [dict(zip(numbers, some, strict=True)) for numbers, some in zip(keys, of_views, strict=True)]
    rows = []
    for key in sorted(set().union(*keys)):
        row: list[Shot | None] = []
        for view, some in zip(views, by_key, strict=True):
            shot = some.get(key)
            stem = "" if shot is None else _unique(_unique(shot.stem, view.name), name)
            row.append(None if shot is None else replace(shot, stem=stem))
        rows.append(tuple(row))
    return Clip(name, tuple(rows), tuple(views))


def _shots_of_views(images: Path, keypoints: Path | None, views: Sequence[View], detected: Path) -> list[list[Shot]]:
    """The photos of each camera; none for a camera without photos.

    They are those of the path with its name in the place of ``{view}``, which may be a folder or a pattern with
    ``*``; without ``{view}`` those in a sub-folder of its name, or those whose names begin with its name.
    """
    if VIEW in str(images):
        paths = [Path(str(images).replace(VIEW, view.name)) for view in views]
        others = [None if keypoints is None else Path(str(keypoints).replace(VIEW, view.name)) for view in views]
        return [
            _shots_of_pattern(path, other, detected / view.name)
            for path, other, view in zip(paths, others, views, strict=True)
        ]
    if not images.is_dir():
        raise UsageError(f"{images} does not exist; expected a folder of photos, or a path with {VIEW}")
    inner = [_folder_of(images, view) for view in views]
    if any(one is not None for one in inner):
        found = []
        for view, folder in zip(views, inner, strict=True):
            other = None if keypoints is None else (_folder_of(keypoints, view) or keypoints)
            found.append([] if folder is None else _shots(folder, other, detected / folder.name))
        return found
    everything = _shots(images, keypoints, detected)
    return [[shot for shot in everything if is_of_view(shot.stem, view.name)] for view in views]


def _shots_of_pattern(images: Path, keypoints: Path | None, detected: Path) -> list[Shot]:
    """The photos of a path that may be a pattern."""
    if "*" not in images.name:
        return _shots(images, keypoints, detected) if images.exists() else []
    if not images.parent.is_dir():
        return []
    wanted = {path.absolute() for path in images.parent.glob(images.name)}
    folder = None if keypoints is None else keypoints.parent if "*" in keypoints.name else keypoints
    return [shot for shot in _shots(images.parent, folder, detected) if shot.image in wanted]


def _shots(images: Path, keypoints: Path | None, detected: Path) -> list[Shot]:
    """The photos of a folder in natural order, those without a keypoint file included."""
    if keypoints is None:
        return [
            Shot(path.stem, path.absolute(), keypoint_path(path, detected).absolute()) for path in image_files(images)
        ]
    pairing = pair_folder(images, keypoints)
    found = [Shot(pair.stem, pair.image.absolute(), pair.keypoints.absolute()) for pair in pairing.pairs]
    found += [Shot(path.stem, path.absolute(), None) for path in pairing.images_without_keypoints]
    if not pairing.pairs:
        raise UsageError(f"no photo in {images} has a keypoint file in {keypoints}; expected NAME_keypoints.json")
    return sorted(found, key=lambda shot: natural_key(shot.image))


def _folder_of(folder: Path, view: View) -> Path | None:
    if not folder.is_dir():
        return None
    named = [one for one in folder.iterdir() if one.is_dir() and _plain(one.name) == _plain(view.name)]
    return named[0] if named else None


def _plain(name: str) -> str:
    """Letters and digits of a name: ``cam_01`` and ``cam01`` are one camera."""
    return "".join(one for one in name.casefold() if one.isalnum())


def _rest(stem: str, view: str) -> str | None:
    """The rest of a stem after the name of its camera; None for another name."""
    wanted = _plain(view)
    for end in range(1, len(stem) + 1):
        if _plain(stem[:end]) == wanted:
            rest = stem[end:]
            return None if wanted[-1:].isdigit() and rest[:1].isdigit() else rest.lstrip("_-. ")
    return None


def _without_view(stem: str, views: Sequence[View]) -> str:
    names = [_frame_name(stem, view.name) for view in views if view.name]
    return next((name.strip("_-. ") for name in names if name), stem)


def _frame_name(stem: str, view: str) -> str | None:
    """The stem without the name of a camera at its beginning or end; None where it has none."""
    rest = _rest(stem, view)
    if rest is not None:
        return rest
    for start in range(1, len(stem)):
        if _plain(stem[start:]) == _plain(view) and not (stem[start].isdigit() and stem[start - 1].isdigit()):
            return stem[:start]
    return None


def _unique(stem: str, prefix: str) -> str:
    """The stem with a prefix, unless it begins with it."""
    return stem if not prefix or _rest(stem, prefix) is not None else f"{prefix}_{stem}"


def _frame_keys(stems: Sequence[Sequence[str]], views: Sequence[View]) -> list[list[int]]:
    """Numbers by which the frames of several cameras belong together.

    They are the last numbers in the names; the order where some names have none, or where cameras number their photos
    each for itself, so that they share no number and have equally many photos.
    """
    keys = [_frame_numbers(some, view.name) for some, view in zip(stems, views, strict=True)]
    counts = Counter(key for some in keys for key in set(some))
    is_unique = all(len(set(some)) == len(some) and -1 not in some for some in keys)
    lengths = {len(some) for some in keys}
    if is_unique and (max(counts.values(), default=0) > 1 or len(lengths) > 1):
        return keys
    if len(lengths) > 1:
        found = ", ".join(f"{view.name} {len(some)}" for view, some in zip(views, stems, strict=True))
        raise UsageError(
            f"frames of cameras cannot be matched: {_without_number_of_its_own(stems, keys)!r} has no number of its "
            f"own; expected a number for each frame, or as many photos of each camera, found {found}"
        )
    return [list(range(len(some))) for some in stems]


def _without_number_of_its_own(stems: Sequence[Sequence[str]], keys: Sequence[Sequence[int]]) -> str:
    """The first photo whose number lacks, or is that of another photo of its camera."""
    return next(
        stem
        for some, numbers in zip(stems, keys, strict=True)
        for stem, number in zip(some, numbers, strict=True)
        if number == -1 or numbers.count(number) > 1
    )


def _frame_numbers(stems: Sequence[str], view: str) -> list[int]:
    """The last numbers in the names, without that of the camera if all have it; -1 for a name without."""
    names = [_frame_name(stem, view) for stem in stems]
    numbers = [
        _NUMBER.findall(stem if None in names or name is None else name)
        for stem, name in zip(stems, names, strict=True)
    ]
    return [int(one[-1]) if one else -1 for one in numbers]
