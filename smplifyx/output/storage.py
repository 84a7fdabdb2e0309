"""Storage of the files of people: by themselves in folders, or in archives (:mod:`smplifyx.packs`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

from smplifyx.files import write_bytes
from smplifyx.locks import locked_folder
from smplifyx.output.layout import OutputLayout, PersonKey, person_name
from smplifyx.packs import PHOTO, Packs, PackWriter, key_of, member_of, path_of


class Storage(Protocol):
    """Interface of storages of the files of people.

    Files have the paths of :class:`OutputLayout` wherever they are stored. ``packs`` are the packed files of the
    photo, which are kept up to date. Methods raise OSError.
    """

    @property
    def is_packed(self) -> bool:
        """All files of a person are written at once."""
        ...

    def holding(self, stem: str) -> AbstractContextManager[None]:
        """Hold the files of a photo while they are checked and written: other runs wait, if they can see them."""
        ...

    def write(self, files: Mapping[Path, bytes], packs: Packs, *, replaces: bool) -> None:
        """Write files of one person, the result last, or the picture of a photo.

        With ``replaces``, other packed files of the person are not kept.
        """
        ...

    def put_aside(self, key: PersonKey, packs: Packs) -> None:
        """Move all files of a person below ``outdated``."""
        ...

    def put_other_overlays_aside(self, people: Sequence[PersonKey], packs: Packs) -> None:
        """Move pictures aside that do not show all people of a photo and no others."""
        ...

    def close(self) -> None:
        """End writing for now."""
        ...


def storage_of(layout: OutputLayout, pack: bool) -> Storage:
    """The storage of a run."""
    return PackStorage(layout) if pack else FolderStorage(layout)


class FolderStorage:
    """Files by themselves, each all or nothing."""

    is_packed = False

    def __init__(self, layout: OutputLayout) -> None:
        self._layout = layout

    def holding(self, stem: str) -> AbstractContextManager[None]:
        """As :meth:`Storage.holding`."""
        return locked_folder(self._layout.results_of(stem))

    def write(self, files: Mapping[Path, bytes], packs: Packs, *, replaces: bool) -> None:
        """As :meth:`Storage.write`."""
        for path in sorted(files, key=lambda one: one.suffix == ".npz"):
            write_bytes(path, files[path])

    def put_aside(self, key: PersonKey, packs: Packs) -> None:
        """As :meth:`Storage.put_aside`."""
        self._layout.put_aside(key)

    def put_other_overlays_aside(self, people: Sequence[PersonKey], packs: Packs) -> None:
        """As :meth:`Storage.put_other_overlays_aside`."""
        self._layout.put_other_overlays_aside(people)

    def close(self) -> None:
        """As :meth:`Storage.close`."""


class PackStorage:
    """Files in archives of this process; where a person has files by themselves, these go."""

    is_packed = True

    def __init__(self, layout: OutputLayout) -> None:
        self._layout, self._writer = layout, PackWriter(layout.root)

    def holding(self, stem: str) -> AbstractContextManager[None]:
        """As :meth:`Storage.holding`; the archives of other runs are not looked into."""
        return nullcontext()

    def write(self, files: Mapping[Path, bytes], packs: Packs, *, replaces: bool) -> None:
        """As :meth:`Storage.write`."""
        samples: dict[str, dict[str, bytes]] = {}
        for path, data in files.items():
            key, ending = self._member(path)
            samples.setdefault(key, {})[ending] = data
        for key, members in samples.items():
            alone = self._layout.sample_files(key)
            kept = {} if replaces else packs.members(key)
            kept |= {} if replaces else {self._member(path)[1]: path.read_bytes() for path in alone}
            packs.add(self._writer.write(key, kept | members))
            for path in alone:
                path.unlink(missing_ok=True)

    def put_aside(self, key: PersonKey, packs: Packs) -> None:
        """As :meth:`Storage.put_aside`."""
        self._layout.put_aside(key)
        self._put_sample_aside(key_of(key[0], person_name(*key[1:])), packs)

    def put_other_overlays_aside(self, people: Sequence[PersonKey], packs: Packs) -> None:
        """As :meth:`Storage.put_other_overlays_aside`."""
        self._layout.put_other_overlays_aside(people)
        if not people:
            return
        right = self._layout.photo_overlay_path(people)
        group = self._layout.group_overlay_path(people[0][0])
        if group != right and packs.place(group) is not None:
            self._put_sample_aside(key_of(people[0][0], PHOTO), packs)
        for path in (self._layout.overlay_path(*key) for key in people):
            if path != right and packs.place(path) is not None:
                key, ending = self._member(path)
                members = packs.members(key)
                self._write_aside(path, members.pop(ending))
                packs.add(self._writer.write(key, members))

    def close(self) -> None:
        """As :meth:`Storage.close`."""
        self._writer.close()

    def _put_sample_aside(self, key: str, packs: Packs) -> None:
        members = packs.members(key)
        for ending, data in members.items():
            if (path := path_of(key, ending)) is not None:  # others are not ours
                self._write_aside(self._layout.root / path, data)
        if members:
            packs.add(self._writer.remove(key))

    def _write_aside(self, path: Path, data: bytes) -> None:
        write_bytes(self._layout.outdated_path / path.relative_to(self._layout.root), data)

    def _member(self, path: Path) -> tuple[str, str]:
        member = member_of(path.relative_to(self._layout.root))
        assert member is not None, path
        return member
