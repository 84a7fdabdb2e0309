"""Paths of the output files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MeshFormat = Literal["obj", "ply", "glb", "none"]

_RESULT_NAME = re.compile(r"(\d+)(?:_(left|right))?")


@dataclass(frozen=True)
class OutputLayout:
    """Paths below one output folder; ``stem`` is the image's name without suffix, ``person`` counts from 0.

    ``side`` is ``left`` or ``right`` where one hand of the person was fitted.

    Attributes:
        root: the output folder.
        mesh_format: suffix of the mesh files, without the dot.
    """

    root: Path
    mesh_format: MeshFormat = "obj"

    @property
    def config_path(self) -> Path:
        """The configuration of the run."""
        return Path(self.root) / "config.yaml"

    @property
    def summary_path(self) -> Path:
        """The table with one row a person."""
        return Path(self.root) / "summary.csv"

    def result_path(self, stem: str, person: int, side: str | None = None) -> Path:
        """The parameters of one person."""
        return Path(self.root) / "results" / stem / f"{_name(person, side)}.npz"

    def pickle_path(self, stem: str, person: int, side: str | None = None) -> Path:
        """The parameters in the SMPLify-X layout."""
        return self.result_path(stem, person, side).with_suffix(".pkl")

    def mesh_path(self, stem: str, person: int, side: str | None = None) -> Path:
        """The mesh of one person."""
        return Path(self.root) / "meshes" / stem / f"{_name(person, side)}.{self.mesh_format}"

    def overlay_path(self, stem: str, person: int, side: str | None = None) -> Path:
        """The photo with the body of one person."""
        return self._person_images(stem, person, side) / "overlay.png"

    def close_up_path(self, stem: str, person: int, side: str | None = None) -> Path:
        """The overlay of a hand or a head, enlarged."""
        return self._person_images(stem, person, side) / "close_up.png"

    def side_view_path(self, stem: str, person: int, side: str | None = None) -> Path:
        """The body of one person seen from the side."""
        return self._person_images(stem, person, side) / "side_view.png"

    def group_overlay_path(self, stem: str) -> Path:
        """The photo with the bodies of all its people."""
        return Path(self.root) / "images" / stem / "overlay.png"

    def results(self) -> Iterator[tuple[str, int, str, Path]]:
        """Stem, person, side (or an empty text) and path of all result files, sorted."""
        for path in sorted((Path(self.root) / "results").glob("*/*.npz")):
            match = _RESULT_NAME.fullmatch(path.stem)
            if match:
                yield path.parent.name, int(match[1]), match[2] or "", path

    def is_done(
        self,
        stem: str,
        person: int,
        side: str | None = None,
        *,
        mesh: bool = False,
        overlay: bool = False,
        pickle: bool = False,
    ) -> bool:
        """Check that the result exists, and those of mesh, overlay and pickle that are requested."""
        wanted = [self.result_path(stem, person, side)]
        if mesh:
            wanted.append(self.mesh_path(stem, person, side))
        if overlay:
            wanted.append(self.overlay_path(stem, person, side))
        if pickle:
            wanted.append(self.pickle_path(stem, person, side))
        return all(path.is_file() for path in wanted)

    def _person_images(self, stem: str, person: int, side: str | None = None) -> Path:
        return Path(self.root) / "images" / stem / _name(person, side)


def _name(person: int, side: str | None) -> str:
    return f"{person:03d}" + (f"_{side}" if side else "")
