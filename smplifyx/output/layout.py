"""Paths of the output files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from smplifyx.config import OutputConfig
from smplifyx.files import remove_leftovers
from smplifyx.packs import Packs, key_of, member_of, stem_of

MeshFormat = Literal["obj", "ply", "glb", "none"]
PictureFormat = Literal["jpg", "png"]
#: Stem, number of the person, and side of a hand that is fitted alone.
PersonKey = tuple[str, int, str | None]

_RESULT_NAME = re.compile(r"(\d+)(?:_(left|right))?")
#: Models of a hand and of a head; their pictures include a close-up.
PART_MODELS = ("mano", "flame")
#: Folder of the files about tracks of sequences.
TRACKS = "tracks"


def person_name(person: int, side: str | None = None) -> str:
    """Name of the files of a person, without their ending."""
    return f"{person:03d}" + (f"_{side}" if side else "")


def person_key(stem: str, name: str) -> PersonKey | None:
    """The person whose files have this name without ending; None for other files."""
    match = _RESULT_NAME.fullmatch(name)
    return None if match is None else (stem, int(match[1]), match[2])


@dataclass(frozen=True)
class OutputLayout:
    """Paths below one output folder; ``stem`` is the image's name without suffix, ``person`` counts from 0.

    ``side`` is ``left`` or ``right`` where one hand of the person was fitted.

    Attributes:
        root: the output folder.
        mesh_format: suffix of the mesh files, without the dot.
        picture_format: suffix of the pictures, without the dot.
    """

    root: Path
    mesh_format: MeshFormat = "obj"
    picture_format: PictureFormat = "jpg"

    @classmethod
    def of(cls, root: Path, settings: OutputConfig) -> OutputLayout:
        """Return the layout for some settings; a mesh format ``auto`` counts as none."""
        mesh_format = "none" if settings.mesh_format == "auto" else settings.mesh_format
        return cls(root, mesh_format, settings.picture_format)

    @classmethod
    def found_in(cls, root: Path) -> OutputLayout:
        """Return the layout of a folder that a run has written, by its first picture."""
        first = next((Path(root) / "images").rglob("overlay.*"), None)
        endings = (ending for one in Packs.of_folder(root).samples() for ending, *_ in one.members)
        packed = next((ending for ending in endings if "overlay" in ending), "")
        is_png = first.suffix == ".png" if first is not None else packed.endswith(".png")
        return cls(root, picture_format="png" if is_png else "jpg")

    @property
    def config_path(self) -> Path:
        """The configuration of the run."""
        return Path(self.root) / "config.yaml"

    @property
    def summary_path(self) -> Path:
        """The table with one row a person."""
        return Path(self.root) / "summary.csv"

    @property
    def runs_path(self) -> Path:
        """The folder of manifests and logs."""
        return Path(self.root) / "runs"

    @property
    def outdated_path(self) -> Path:
        """The folder of files that no longer belong to their photo."""
        return Path(self.root) / "outdated"

    @property
    def keypoints_path(self) -> Path:
        """The folder of detected keypoints."""
        return Path(self.root) / "keypoints"

    def results_of(self, stem: str) -> Path:
        """The folder of the parameters of all people of a photo."""
        return Path(self.root) / "results" / stem

    def result_path(self, stem: str, person: int, side: str | None = None) -> Path:
        """The parameters of one person."""
        return self.results_of(stem) / f"{person_name(person, side)}.npz"

    def pickle_path(self, stem: str, person: int, side: str | None = None) -> Path:
        """The parameters in the SMPLify-X layout."""
        return self.result_path(stem, person, side).with_suffix(".pkl")

    def mesh_path(self, stem: str, person: int, side: str | None = None) -> Path:
        """The mesh of one person."""
        return Path(self.root) / "meshes" / stem / f"{person_name(person, side)}.{self.mesh_format}"

    def overlay_path(self, stem: str, person: int, side: str | None = None) -> Path:
        """The photo with the body of its only person."""
        return self._person_images(stem, person, side) / f"overlay.{self.picture_format}"

    def close_up_path(self, stem: str, person: int, side: str | None = None) -> Path:
        """The overlay of a hand or a head, enlarged."""
        return self._person_images(stem, person, side) / f"close_up.{self.picture_format}"

    def side_view_path(self, stem: str, person: int, side: str | None = None) -> Path:
        """The body of one person seen from the side."""
        return self._person_images(stem, person, side) / f"side_view.{self.picture_format}"

    def group_overlay_path(self, stem: str) -> Path:
        """The photo with the bodies of all its people, where there are several."""
        return Path(self.root) / "images" / stem / f"overlay.{self.picture_format}"

    def photo_overlay_path(self, people: Sequence[PersonKey]) -> Path:
        """The one picture of a photo with the bodies of these people, who are all of its people."""
        return self.overlay_path(*people[0]) if len(people) == 1 else self.group_overlay_path(people[0][0])

    def results(self) -> Iterator[tuple[str, int, str, Path]]:
        """Stem, person, side (or an empty text) and path of all result files, packed ones included, sorted."""
        paths = set((Path(self.root) / "results").glob("*/*.npz"))
        for sample in Packs.of_folder(self.root).samples():
            paths |= {Path(self.root) / path for path in sample.paths() if path.suffix == ".npz"}
        for path in sorted(paths):
            if (key := person_key(path.parent.name, path.stem)) is not None:
                yield key[0], key[1], key[2] or "", path

    def people_of(self, stem: str, packs: Packs | None = None) -> list[PersonKey]:
        """The people of a photo who have a result, in a file or packed."""
        names = {path.stem for path in _files(self.results_of(stem)) if path.suffix == ".npz"}
        names |= set(packs.names(stem)) if packs is not None else set()
        keys = [person_key(stem, name) for name in sorted(names)]
        return [key for key in keys if key is not None]

    def sample_files(self, key: str) -> list[Path]:
        """The files by themselves that belong to a sample of an archive, the result first."""
        stem, name = stem_of(key), key.rpartition("/")[2]
        images = Path(self.root) / "images" / stem
        folders = [self.results_of(stem), Path(self.root) / "meshes" / stem, images, images / name]
        files = [path for folder in folders for path in _files(folder)]
        return [path for path in files if (member_of(path.relative_to(self.root)) or ("",))[0] == key]

    def put_aside(self, key: PersonKey) -> None:
        """Move all files of a person below :attr:`outdated_path`, where nothing reads them; the result goes first."""
        for path in self.sample_files(key_of(key[0], person_name(*key[1:]))):
            self._move_aside(path)

    def put_other_overlays_aside(self, people: Sequence[PersonKey]) -> None:
        """Move pictures aside that do not show all people of a photo and no others."""
        others = [self.group_overlay_path(key[0]) for key in people[:1]]
        others += [self.overlay_path(*key) for key in people]
        for path in others:
            if path != self.photo_overlay_path(people):
                self._move_aside(path)

    def _move_aside(self, path: Path) -> None:
        target = self.outdated_path / path.relative_to(self.root)
        if path.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)

    def missing(self, key: PersonKey, model: str, settings: OutputConfig, packs: Packs | None = None) -> list[str]:
        """The wanted files beside a person's result that are absent or empty, by kind.

        The kinds are ``mesh``, ``side_view``, ``close_up`` and ``pickle``.

        Args:
            key: the person.
            model: type of the body model.
            settings: the files that are wanted.
            packs: files that are packed.
        """
        has = Packs(self.root).has if packs is None else packs.has
        wanted: dict[str, Path] = {}
        if self.mesh_format != "none":
            wanted["mesh"] = self.mesh_path(*key)
        if settings.render and settings.side_view:
            wanted["side_view"] = self.side_view_path(*key)
        if settings.render and model in PART_MODELS:
            wanted["close_up"] = self.close_up_path(*key)
        if settings.save_pickle:
            wanted["pickle"] = self.pickle_path(*key)
        return [kind for kind, path in wanted.items() if not has(path)]

    def remove_leftovers(self, stem: str) -> None:
        """Remove temporary files of runs that were killed while they wrote files of a photo."""
        for kind in ("results", "meshes", "images"):
            folder = Path(self.root) / kind / stem
            remove_leftovers(folder)
            if kind == "images" and folder.is_dir():
                for inner in folder.iterdir():
                    remove_leftovers(inner)

    def _person_images(self, stem: str, person: int, side: str | None = None) -> Path:
        return Path(self.root) / "images" / stem / person_name(person, side)


def _files(folder: Path) -> list[Path]:
    """The files in a folder, sorted; none if there is no such folder."""
    return sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
