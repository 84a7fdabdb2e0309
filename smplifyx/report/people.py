"""Files of single people and photos in the report, written only where results are newer."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smplifyx.errors import InputError, reason
from smplifyx.files import write_bytes, write_text
from smplifyx.keypoints.draw import draw_keypoints
from smplifyx.keypoints.images import read_image
from smplifyx.output import OutputLayout, SummaryRow, person_color
from smplifyx.output.layout import person_name
from smplifyx.packs import Packs, member_of
from smplifyx.report.details import details, packed, packed_vertices
from smplifyx.report.pictures import (
    least_scale,
    person_box,
    save_photo,
    save_thumbnail,
    thumbnail,
    thumbnail_of,
)
from smplifyx.result import FitResult, load_result
from smplifyx.result_fields import read_entries
from smplifyx.skeleton import N_KEYPOINTS

if TYPE_CHECKING:
    from smplifyx.body.body import Body


def person_id(row: SummaryRow) -> str:
    """Name of a person's files in the report: letters and digits, whatever the photo is called."""
    return _digest(f"{row.stem}/{person_name(row.person, row.side)}")


def photo_id(stem: str) -> str:
    """Name of the file of a photo in the report."""
    return _digest(stem)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


class ReportLayout:
    """Paths of the report of an output folder, and the files that it is made from.

    Args:
        root: the output folder.
    """

    def __init__(self, root: Path) -> None:
        self.output = OutputLayout.found_in(root)
        self.folder = Path(root) / "report"
        self._packs = Packs.of_folder(Path(root))

    @property
    def page(self) -> Path:
        """The page to open."""
        return self.folder / "index.html"

    def thumbnail(self, row: SummaryRow) -> Path:
        """The small picture of a person."""
        return self._file("thumbnails", person_id(row), "webp")

    def person(self, row: SummaryRow) -> Path:
        """The details and the mesh of a person."""
        return self._file("people", person_id(row), "js")

    def photo(self, stem: str) -> Path:
        """The photo at the size of the report."""
        return self._file("photos", photo_id(stem), "jpg")

    def unpacked_overlay(self, row: SummaryRow) -> Path:
        """The copy of an overlay that is packed, since a page cannot show those; one for all people that it shows."""
        is_of_all = self.overlay(row) == self.output.group_overlay_path(row.stem)
        name = photo_id(row.stem) if is_of_all else person_id(row)
        return self._file("overlays", name, self.output.picture_format)

    def overlay(self, row: SummaryRow) -> Path | None:
        """The photo with the body of a person or of all people of the photo, by itself or packed, if it was drawn."""
        key = (row.stem, row.person, row.side or None)
        paths = (self.output.overlay_path(*key), self.output.group_overlay_path(row.stem))
        return next((path for path in paths if self._packs.has(path)), None)

    def result(self, row: SummaryRow) -> Path:
        """The result of a person, by itself or packed."""
        return self.output.result_path(row.stem, row.person, row.side or None)

    def side_view(self, row: SummaryRow) -> Path:
        """The body from the side, by itself or packed, if it was drawn."""
        return self.output.side_view_path(row.stem, row.person, row.side or None)

    def read(self, path: Path) -> bytes:
        """The bytes of a file, by itself or packed; raises OSError."""
        return self._packs.read(path)

    def is_current(self, path: Path, sources: Sequence[Path | None]) -> bool:
        """Whether a file of the report is there, and as new as all that it is made from."""
        try:
            written = path.stat().st_mtime_ns
            return all(one is None or self._changed(one) <= written for one in sources)
        except OSError:
            return False

    def _changed(self, path: Path) -> int:
        """Time of change of a file, by itself or packed, nanoseconds; raises OSError."""
        try:
            return path.stat().st_mtime_ns
        except FileNotFoundError:
            member = member_of(path.relative_to(self.output.root))
            sample = None if member is None else self._packs.sample(member[0])
            if sample is None:
                raise
            return sample.time * 10**9

    def _file(self, kind: str, name: str, suffix: str) -> Path:
        # folders of some thousand files are slow on many file systems
        return self.folder / kind / name[:2] / f"{name}.{suffix}"


@dataclass
class PeopleWriter:
    """Writer of the files of people; threads may share it.

    Attributes:
        layout: of the report.
        models: the only folder to take body models from; None for the usual places.
        keep: whether files of an earlier report are kept where they are newer than the results.
        problems: by kind, the number of people and photos that lack something.
    """

    layout: ReportLayout
    models: Path | None = None
    keep: bool = True
    problems: dict[str, int] = field(default_factory=dict)
    _bodies: dict[tuple[str, str, str, str], tuple[Body, str] | None] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def write_photo(self, rows: Sequence[SummaryRow], detailed: set[str]) -> None:
        """Write the files of the people of one photo.

        Args:
            rows: the people who have results.
            detailed: of all people who get details, :func:`person_id`.
        """
        photo = _Photo(self.layout.photo(rows[0].stem))
        for row in rows:
            is_detailed = person_id(row) in detailed
            files = small, script = self.layout.thumbnail(row), self.layout.person(row)
            sources = [self.layout.result(row), self.layout.overlay(row)]
            lacks = [path for path in files if not (self.keep and self.layout.is_current(path, sources))]
            try:
                if small in lacks:
                    self._write_thumbnail(row, photo)
                if script in lacks and is_detailed:
                    self._write_details(row, photo)
            except InputError:
                self._count("Results that could not be read")

    def _load(self, row: SummaryRow) -> FitResult:
        """The result of a person; raises InputError."""
        path = self.layout.result(row)
        result = load_result(path, self._data(path))
        for name in ("keypoints_2d", "focal_length", "principal_point", "image_size"):
            if not np.isfinite(getattr(result, name)).all():
                raise InputError(path, "expected finite numbers", name)
        return result

    def _data(self, path: Path) -> bytes:
        """The bytes of a result; raises InputError."""
        try:
            return self.layout.read(path)
        except OSError as error:
            raise InputError(path, f"cannot be read: {reason(error)}") from error

    def _write_thumbnail(self, row: SummaryRow, photo: _Photo) -> None:
        overlay = self.layout.overlay(row)
        if overlay is None:
            result = self._load(row)
            pixels = photo.pixels(result)
            if pixels is None:
                return
            drawn = draw_keypoints(pixels, _scaled(result.keypoints_2d, pixels.shape[1] / int(result.image_size[0])))
            width, height = (int(side) for side in result.image_size)
            box = person_box(result.keypoints_2d, (width, height))
            picture = thumbnail(drawn, box * (drawn.shape[1] / width))
        else:
            path = self.layout.result(row)
            # all of a result takes ten times as long
            entries = read_entries(path, self._data(path), ("keypoints_2d", "image_size"))
            shapes = {name: values.shape for name, values in entries.items()}
            if shapes != {"keypoints_2d": (N_KEYPOINTS, 3), "image_size": (2,)}:
                raise InputError(path, "is incomplete")
            width, height = (int(side) for side in entries["image_size"])
            box = person_box(entries["keypoints_2d"], (width, height))
            try:
                picture = thumbnail_of(self.layout.read(overlay), box, width)
            except (OSError, ValueError, SyntaxError):  # the errors of Pillow
                self._count("Pictures that could not be read")
                return
        save_thumbnail(picture, self.layout.thumbnail(row))

    def _write_details(self, row: SummaryRow, photo: _Photo) -> None:
        result = self._load(row)
        values = details(result) | {"id": person_id(row), "photo": None, "mesh": self._mesh(result)}
        values["colour"] = person_color(row.person)
        if photo.is_written or (pixels := photo.pixels(result)) is not None:
            if not photo.is_written and pixels is not None:
                save_photo(pixels, photo.path)
                photo.is_written = True
            values["photo"] = relative_url(photo.path, self.layout.folder)
        else:
            self._count("Photos that are not there any more")
        overlay = self.layout.overlay(row)
        if overlay is not None and not overlay.is_file() and overlay not in photo.copied:
            write_bytes(self.layout.unpacked_overlay(row), self.layout.read(overlay))
            photo.copied.add(overlay)
        write_script(self.layout.person(row), "person", values)

    def _mesh(self, result: FitResult) -> dict[str, Any] | None:
        """The mesh in the camera frame, metres; None where the body model is not there."""
        found = self._body(result)
        if found is None:
            self._count("Bodies without a mesh, since their body model was not found (--models)")
            return None
        import torch

        body, faces = found
        with torch.no_grad():
            vertices = body(**result.parameters).vertices[0].numpy()
        return packed_vertices(vertices) | {"faces": faces} if np.isfinite(vertices).all() else None

    def _body(self, result: FitResult) -> tuple[Body, str] | None:
        """The body model, and the name of the file of its triangles."""
        key = (result.model_type, result.model_name, result.gender, result.side)
        with self._lock:
            if key not in self._bodies:
                try:
                    body = result.body(self.models)
                except InputError:
                    self._bodies[key] = None
                else:
                    self._bodies[key] = body, self._write_faces(np.asarray(body.data.faces))
            return self._bodies[key]

    def _write_faces(self, faces: NDArray[np.integer]) -> str:
        """Write the triangles, which models of all genders share; returns the name of the file."""
        data = packed(faces.T)
        name = _digest(data)
        write_script(
            self.layout.folder / "meshes" / f"{name}.js", "faces", {"name": name, "count": len(faces), "data": data}
        )
        return name

    def _count(self, problem: str) -> None:
        with self._lock:
            self.problems[problem] = self.problems.get(problem, 0) + 1


@dataclass
class _Photo:
    """A photo, decoded once for all of its people."""

    path: Path
    is_written: bool = False
    copied: set[Path] = field(default_factory=set)
    _pixels: NDArray[np.uint8] | None = None
    _is_lost: bool = False

    def pixels(self, result: FitResult) -> NDArray[np.uint8] | None:
        """BGR [H, W, 3], perhaps reduced; None where the photo is not there any more."""
        if self._pixels is None and not self._is_lost:
            try:
                width, height = (int(side) for side in result.image_size)
                self._pixels = read_image(result.image_path, least_scale((width, height)))
                # another photo of the same name
                self._is_lost = abs(self._pixels.shape[1] / self._pixels.shape[0] - width / height) > 0.02
            except (InputError, ValueError):
                self._is_lost = True
        return None if self._is_lost else self._pixels


def _scaled(keypoints: np.ndarray, scale: float) -> np.ndarray:
    return keypoints * np.array([scale, scale, 1.0], np.float32)


def relative_url(path: Path, folder: Path) -> str:
    """A file as an address relative to a folder; every unusual character is escaped."""
    from urllib.parse import quote

    relative = os.path.relpath(path, folder)
    return "/".join(quote(os.fsencode(part), safe="") for part in Path(relative).parts)


def write_script(path: Path, kind: str, values: Any) -> None:
    """Write values as a script that hands them to the page: a page from a file may not read other files."""
    # ASCII alone: no quotation mark, line end or tag of a file name can end the text
    text = json.dumps(values, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    write_text(path, f"smplifyx.{kind}({text});\n")
