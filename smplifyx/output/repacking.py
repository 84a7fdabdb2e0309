"""An output folder from files to archives and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from smplifyx.errors import UsageError
from smplifyx.files import write_bytes
from smplifyx.output.layout import OutputLayout, person_key
from smplifyx.packs import PHOTO, Packs, PackWriter, is_in_use, key_of, member_of, pack_files, remove_pack


def pack(root: Path) -> Iterator[str]:
    """Move files of people into archives; archives that are there are written anew, without what does not count.

    Yields:
        The key of each sample that was written.

    Raises:
        UsageError: a run is writing into the folder.
        OSError: the disk is full, or a file cannot be read; everything is left as it was.
    """
    earlier = _unused_packs(root)
    packs, layout = Packs.of_folder(root), OutputLayout(root)
    writer = PackWriter(root)
    written: list[Path] = []
    try:
        for key in _keys(layout, packs):
            members = packs.members(key)
            for path in layout.sample_files(key):
                member = member_of(path.relative_to(root))
                if member is not None:
                    members[member[1]] = path.read_bytes()
                    written.append(path)
            writer.write(key, members)
            yield key
    finally:
        writer.close()
    for path in written:
        path.unlink(missing_ok=True)
    _remove_empty_folders(root)
    for path in earlier:
        remove_pack(path)


def unpack(root: Path) -> Iterator[str]:
    """Write packed files as files by themselves, and remove the archives.

    Yields, raises:
        As :func:`pack`.
    """
    earlier = _unused_packs(root)
    packs = Packs.of_folder(root)
    for sample in packs.samples():
        for path in sample.paths():
            if not (root / path).exists():  # one by itself counts
                write_bytes(root / path, packs.read(root / path))
        yield sample.key
    for path in earlier:
        remove_pack(path)


def _unused_packs(root: Path) -> list[Path]:
    found = pack_files(root)
    busy = next((path for path in found if is_in_use(path)), None)
    if busy is not None:
        raise UsageError(f"{busy} is being written by a run; try again when it has ended")
    return found


def _keys(layout: OutputLayout, packs: Packs) -> list[str]:
    """Keys of all samples, packed or not, those of a photo next to each other."""
    keys = {sample.key for sample in packs.samples()}
    for kind in ("results", "meshes", "images"):
        folder = layout.root / kind
        for photo in folder.iterdir() if folder.is_dir() else ():
            for path in photo.iterdir() if photo.is_dir() else ():
                if person_key(photo.name, path.stem) is not None:
                    keys.add(key_of(photo.name, path.stem))
                elif member_of(path.relative_to(layout.root)) is not None:
                    keys.add(key_of(photo.name, PHOTO))
    return sorted(key for key in keys if packs.sample(key) or layout.sample_files(key))


def _remove_empty_folders(root: Path) -> None:
    for kind in ("results", "meshes", "images"):
        for folder in sorted((root / kind).rglob("*"), reverse=True) if (root / kind).is_dir() else ():
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
