"""Names of samples and their members, and the names of the files that they are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import PurePath
from urllib.parse import unquote

#: Name of the sample with the picture of all people of a photo.
PHOTO = "photo"
#: Folders of the files of a person by the last part of the name.
_FOLDERS = {"npz": "results", "pkl": "results", "obj": "meshes", "ply": "meshes", "glb": "meshes"}
_PERSON = re.compile(r"\d+(_(left|right))?")
_PICTURE = re.compile(r"(overlay|side_view|close_up)\.(jpg|png)")
#: A key has no dot, since WebDataset takes the text after it for the ending, and no name that it skips.
_UNSAFE = re.compile("[%./\\\\\x00-\x1f\x7f\ud800-\udfff]|^_(?=_)")
#: The longest name of a file, bytes.
_LONGEST = 255


def key_of(stem: str, name: str) -> str:
    """Key of a sample."""
    return f"{_encoded(stem)}/{name}"


def can_be_files(key: str, endings: Iterable[str]) -> bool:
    """Whether the names in a sample can be names of files; others come of damage."""
    try:
        names = [os.fsencode(part) for part in (stem_of(key), key.rpartition("/")[2], *endings)]
    except UnicodeEncodeError:
        return False
    return all(b"\0" not in name and len(name) <= _LONGEST for name in names)


def member_of(path: PurePath) -> tuple[str, str] | None:
    """Key and ending of a file, given by its path below the output folder; None for a file that is not packed."""
    parts = path.parts
    if ".." in parts:
        return None
    if len(parts) == 3 and parts[0] in _FOLDERS.values():
        name, _, ending = parts[2].partition(".")
        is_packed = _PERSON.fullmatch(name) and _FOLDERS.get(ending) == parts[0]
        return (key_of(parts[1], name), ending) if is_packed else None
    if not parts or parts[0] != "images" or not _PICTURE.fullmatch(parts[-1]):
        return None
    if len(parts) == 4 and _PERSON.fullmatch(parts[2]):
        return key_of(parts[1], parts[2]), parts[3]
    return (key_of(parts[1], PHOTO), parts[2]) if len(parts) == 3 else None


def path_of(key: str, ending: str) -> PurePath | None:
    """The inverse of :func:`member_of`; None for other files."""
    encoded, _, name = key.partition("/")
    stem = stem_of(key)
    if not encoded or _encoded(stem) != encoded or stem in (".", ".."):
        return None
    if ending in _FOLDERS and _PERSON.fullmatch(name):
        return PurePath(_FOLDERS[ending], stem, f"{name}.{ending}")
    if not _PICTURE.fullmatch(ending):
        return None
    if name == PHOTO:
        return PurePath("images", stem, ending)
    return PurePath("images", stem, name, ending) if _PERSON.fullmatch(name) else None


def _encoded(stem: str) -> str:
    return _UNSAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in os.fsencode(match[0])), stem)


def stem_of(key: str) -> str:
    """Name of the photo of a sample."""
    return unquote(key.partition("/")[0], errors="surrogateescape")
