"""Packed files, read under the names of the plain ones."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from smplifyx.packs.contents import PACKS, TAR, Contents, Sample, pack_files
from smplifyx.packs.names import member_of, stem_of


class Packs:
    """The packed files of an output folder, or of some of its photos.

    Args:
        root: the output folder.
        samples: all packed samples; of those of one key, the last one counts.
    """

    def __init__(self, root: Path, samples: Iterable[Sample] = ()) -> None:
        self._root = Path(root)
        self._photos: dict[str, dict[str, Sample]] = {}
        for one in samples:
            self.add(one)

    def add(self, sample: Sample) -> None:
        """Let a sample take the place of an earlier one."""
        photo = self._photos.setdefault(sample.stem, {})
        if sample.key not in photo or photo[sample.key].time <= sample.time:
            photo[sample.key] = sample

    @classmethod
    def of_folder(cls, root: Path, stems: Collection[str] | None = None) -> Packs:
        """The packed files of a folder, of all photos or of some; damaged ends of archives are left out."""
        found = (one for path in pack_files(root) for one in Contents.of(path).samples)
        return cls(root, (one for one in found if stems is None or one.stem in stems))

    def of_photo(self, stem: str) -> tuple[Sample, ...]:
        """The samples of a photo, without those that were removed."""
        return tuple(one for one in self._photos.get(stem, {}).values() if one.members)

    def samples(self) -> Iterator[Sample]:
        """All samples that count."""
        for stem in self._photos:
            yield from self.of_photo(stem)

    def names(self, stem: str) -> list[str]:
        """Names of the people of a photo who have a result."""
        return [one.name for one in self.of_photo(stem) if any(ending == "npz" for ending, *_ in one.members)]

    def sample(self, key: str) -> Sample | None:
        """The sample of a key that counts."""
        found = self._photos.get(stem_of(key), {}).get(key)
        return found if found is not None and found.members else None

    def place(self, path: Path) -> tuple[Path, int, int] | None:
        """Archive, offset and size of the packed file with this name in the output folder."""
        if not self._photos or not path.is_relative_to(self._root):
            return None
        member = member_of(path.relative_to(self._root))
        sample = None if member is None else self.sample(member[0])
        if sample is None or member is None:
            return None
        sizes = (one for one in sample.members if one[0] == member[1])
        return next(((self._root / PACKS / sample.pack, offset, size) for _, offset, size in sizes), None)

    def has(self, path: Path) -> bool:
        """Whether a file is there, by itself or packed, and is not empty."""
        try:
            if path.stat().st_size > 0:
                return True
        except OSError:
            pass
        place = self.place(path)
        return place is not None and place[2] > 0

    def read(self, path: Path) -> bytes:
        """The bytes of a file, by itself or packed; raises OSError."""
        try:
            return path.read_bytes()
        except FileNotFoundError:
            place = self.place(path)
            if place is None:
                raise
        return read_place(*place)

    def members(self, key: str) -> dict[str, bytes]:
        """The packed files of a sample by their endings; raises OSError."""
        sample = self.sample(key)
        if sample is None:
            return {}
        path = self._root / PACKS / sample.pack
        return {ending: read_place(path, offset, size) for ending, offset, size in sample.members}


def read_place(pack: Path, offset: int, size: int) -> bytes:
    """Bytes of an archive; raises OSError where it is shorter."""
    with pack.open("rb") as stream:
        stream.seek(offset)
        data = stream.read(size)
    if len(data) < size:
        raise OSError(f"{pack}: ends early")
    return data


def read_bytes(path: str | Path) -> bytes:
    """Read a file of an output folder, by itself or packed, under the same name; also ``NAME.tar/STEM/000.npz``.

    Raises:
        OSError: there is no such file.
    """
    path = Path(path)
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        for parent in path.parents:
            if parent.suffix == TAR and parent.is_file():
                return _member(parent, path.relative_to(parent).as_posix(), error)
            if (parent / PACKS).is_dir():
                return _cached(parent, _stamp(parent)).read(path)
        raise


def exists(path: str | Path) -> bool:
    """Whether there is a file, by itself or packed."""
    path = Path(path)
    root = next((one for one in path.parents if (one / PACKS).is_dir()), None)
    return path.is_file() or (root is not None and _cached(root, _stamp(root)).has(path))


def _member(pack: Path, name: str, error: OSError) -> bytes:
    for sample in Contents.of(pack).samples:
        for ending, offset, size in sample.members:
            if f"{sample.key}.{ending}" == name:
                return read_place(pack, offset, size)
    raise error


@functools.lru_cache(maxsize=2)
def _cached(root: Path, stamp: tuple[object, ...]) -> Packs:
    """The packed files of a folder; ``stamp`` tells whether they have changed."""
    return Packs.of_folder(root)


def _stamp(root: Path) -> tuple[object, ...]:
    found = (path.stat() for path in pack_files(root))
    return tuple((one.st_ino, one.st_size, one.st_mtime_ns) for one in found)
