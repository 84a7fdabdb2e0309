"""An output folder from files to archives and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from smplifyx.errors import UsageError
from smplifyx.files import write_bytes
from smplifyx.output.layout import OutputLayout, person_key
from smplifyx.packs import OLD, PHOTO, Packs, PackWriter, is_in_use, key_of, member_of, pack_files, remove_pack


def pack(root: Path) -> Iterator[str]:
    """Move files of people into archives; archives that are there are written anew, without replaced samples.

    Yields:
        The key of each sample that was written.

    Raises:
        UsageError: an archive is being written.
        OSError: the disk is full, or a file cannot be read; everything is left as it was.
    """
    earlier = _unused_packs(root)
    packs, layout = Packs.of_folder(root), OutputLayout(root)
    writer = PackWriter(root)
    read: list[tuple[Path, tuple[int, ...]]] = []
    try:
        for key in _keys(layout, packs):
            members = packs.members(key)
            for path in layout.sample_files(key):
                member = member_of(path.relative_to(root))
                if member is not None:
                    read.append((path, _state(path)))
                    members[member[1]] = path.read_bytes()
            writer.write(key, members)
            yield key
    except BaseException:
        writer.discard()
        raise
    writer.close()
    for path, state in read:
        with suppress(FileNotFoundError):
            if _state(path) == state:  # one that was written meanwhile counts, and stays
                path.unlink()
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
    written: list[Path] = []
    try:
        for sample in packs.samples():
            for path in (root / one for one in sample.paths()):
                if not path.exists():  # one by itself counts
                    write_bytes(path, packs.read(path))
                    written.append(path)
            yield sample.key
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        _remove_empty_folders(root)
        raise
    for path in earlier:
        remove_pack(path)


def _unused_packs(root: Path) -> list[Path]:
    found = pack_files(root)
    busy = next((path for path in found if is_in_use(path)), None)
    if busy is not None:
        raise UsageError(
            f"{busy} may be in use: expected that nothing writes into the folder; try again when all runs have ended "
            f"(archives of other machines, or on a disk without locks: {OLD / 60:.0f} minutes later)"
        )
    return found


def _state(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


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
                with suppress(OSError):  # a file has come
                    folder.rmdir()
