"""Files of fitted people: results, meshes, pictures; and those that lack beside stored results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smplifyx.errors import InputError, OutputError, reason
from smplifyx.files import output_to
from smplifyx.keypoints import read_image
from smplifyx.output import (
    BodyMesh,
    BodyRenderer,
    OutputLayout,
    SummaryRow,
    close_up,
    mesh_bytes,
    open_renderer,
    overlay,
    person_color,
    picture_bytes,
    side_view,
)
from smplifyx.output.layout import PART_MODELS, person_name
from smplifyx.output.results import pickle_of, smplifyx_parameters
from smplifyx.output.storage import storage_of
from smplifyx.output.summary import OUTDATED
from smplifyx.packs import Packs
from smplifyx.pipeline.fits import BatchFitter
from smplifyx.pipeline.reading import Person, Photo
from smplifyx.pipeline.units import Failure, Job, Outcome
from smplifyx.result import FitResult, load_result

#: Vertices [V, 3] without the camera translation, metres, and triangles [F, 3].
Mesh = tuple[np.ndarray, np.ndarray]
#: Opens a renderer, and says why where it is not the best one.
OpenRenderer = Callable[[], tuple[BodyRenderer, str | None]]


class PhotoWriter:
    """Writer of the people of photos; the record of a photo is complete when its last person is done.

    A person's result is written after the mesh and pictures of that person; the picture of all people of a photo
    follows when all are known.

    Args:
        job: the job.
        fits: poses the bodies.
        open_one: opens the renderer of the pictures; None for one in this process.
    """

    def __init__(self, job: Job, fits: BatchFitter, open_one: OpenRenderer | None = None) -> None:
        self._job, self._fits, self._settings = job, fits, job.config.output
        self._layout = OutputLayout.of(job.run.output, self._settings)
        self._storage = storage_of(self._layout, self._settings.pack)
        self._renderer: BodyRenderer | None = None
        self._open_one = open_one
        #: Remark on the renderer, once it is open.
        self.remark = ""
        self._open: dict[int, _OpenPhoto] = {}

    def begin(self, photo: Photo) -> Outcome | None:
        """Take up a photo: make files that lack beside stored results; returns the record of one that is complete.

        Raises:
            OutputError: the disk is full.
        """
        held = _OpenPhoto(photo, len(photo.new_people), Packs(self._layout.root, photo.outcome.unit.packed))
        if photo.new_people:
            self._layout.remove_leftovers(photo.outcome.unit.stem)
        if photo.outdated:
            self._guarded(held, f"{photo.outcome.unit.stem}, files of others", self._put_aside, held)
        if not photo.outcome.failures:
            self._storage.put_other_overlays_aside([one.key for one in photo.people], held.packs)
        for person in photo.people:
            if person.missing:
                self._guarded(held, person.observation.name, self._complete, held, person)
        if held.n_waiting:
            self._open[id(photo)] = held
            return None
        return self._finish(held)

    def write(self, photo: Photo, person: Person, fit: FitResult | str, mesh: Mesh | None = None) -> Outcome | None:
        """Write a person who was fitted; returns the record of the photo if all of its people are done.

        Args:
            photo: the photo, which :meth:`begin` took up.
            person: the person.
            fit: the result, or the reason why there is none.
            mesh: the body, from :meth:`meshes`; None: it is posed if need be.

        Raises:
            OutputError: the disk is full.
        """
        held = self._open[id(photo)]
        held.n_waiting -= 1
        row = self._write(held, person, fit, mesh)
        if row is not None:
            held.rows.append(row)
        if held.n_waiting:
            return None
        del self._open[id(photo)]
        return self._finish(held)

    def meshes(self, fits: Sequence[FitResult | str]) -> list[Mesh | None]:
        """Pose the bodies of some fits with one body model together, for :meth:`write`; None where none is needed."""
        results = [fit for fit in fits if not isinstance(fit, str) and fit.status == "ok"]
        meshes: list[Mesh] = []
        if self._layout.mesh_format != "none" or self._settings.render:
            with suppress(Exception):  # then each is posed alone, and its error is its own failure
                meshes = self._fits.meshes(results)
        posed = iter(meshes)
        return [None if isinstance(fit, str) or fit.status != "ok" else next(posed, None) for fit in fits]

    def abandon(self) -> list[Outcome]:
        """Records of the photos some of whose people are written and others will not be."""
        unfinished = [held.record(is_complete=False) for held in self._open.values() if held.rows]
        self._open.clear()
        return unfinished

    def let_go(self) -> None:
        """Free the photos at their full size; one is read again if more of its people follow in a later batch."""
        for held in self._open.values():
            held.let_go()

    def close(self) -> None:
        """End writing for now."""
        self._storage.close()

    def _check_result(self, person: Person, photo: Photo) -> None:
        """Raise InputError if another run has meanwhile written results of another photo of this name.

        The files of a photo stay together, so that one readable result tells whose they are.
        """
        if self._job.run.overwrite:
            return
        for key in self._layout.people_of(person.key[0]):
            try:
                stored = load_result(self._layout.result_path(*key))
            except InputError:  # damaged
                continue
            photo.check_owns(stored, self._layout.root)
            return

    def _put_aside(self, held: _OpenPhoto) -> None:
        """Put the files of people aside who are not in the photo any more."""
        for stem, number, side in held.photo.outdated:
            self._storage.put_aside((stem, number, side), held.packs)
            held.outdated.append(SummaryRow(stem, number, status=OUTDATED, side=side or ""))

    def _write(self, held: _OpenPhoto, person: Person, fit: FitResult | str, mesh: Mesh | None) -> SummaryRow | None:
        row = self._written(held, person, fit, mesh)
        if row is not None and row.status != "ok" and person.name in held.photo.outcome.changed:
            self._guarded(held, person.observation.name, self._storage.put_aside, person.key, held.packs)
        return row

    def _written(
        self, held: _OpenPhoto, person: Person, fit: FitResult | str, mesh: Mesh | None
    ) -> SummaryRow | None:
        """Write a person; returns the row, or None where the files there are of another photo."""
        one = person.observation
        if isinstance(fit, str):
            held.failures.append(Failure(one.name, f"fit failed: {fit}"))
            failed = SummaryRow(one.stem, one.person_index, status="failed", side=one.side or "", flags=("error",))
            return failed
        fit = replace(
            fit,
            settings_digest=self._job.settings_digest,
            input_digest=person.digest,
            photo_digest=held.photo.digest,
        )
        row = SummaryRow.of_result(fit, one.stem, one.person_index)
        if self._job.run.verbose:
            losses = " ".join(f"{loss:.0f}" for loss in fit.stage_losses)
            held.details.append(f"{one.name}: stages {losses}, {int(fit.n_evaluations)} evaluations")
        if fit.status != "ok":
            flags = f" ({', '.join(fit.flags)})" if fit.flags else ""
            held.failures.append(Failure(one.name, f"fit failed{flags}"))
            return row
        with self._storage.holding(one.stem):
            try:
                self._check_result(person, held.photo)
            except InputError as error:
                held.failures.append(Failure(one.name, str(error)))
                return None
            if not self._guarded(held, one.name, self._write_files, held, person, fit, mesh):
                return replace(row, status="failed", flags=(*row.flags, "not_written"))
        return row

    def _write_files(self, held: _OpenPhoto, person: Person, fit: FitResult, mesh: Mesh | None) -> None:
        wanted = ["mesh"] * (self._layout.mesh_format != "none") + ["pickle"] * self._settings.save_pickle
        if self._settings.render:
            wanted += ["side_view"] * self._settings.side_view + ["close_up"] * (fit.model_type in PART_MODELS)
        vertices, faces = np.zeros((0, 3)), np.zeros((0, 3), np.int64)
        if held.photo.draws_overlay or {*wanted} - {"pickle"}:
            vertices, faces = mesh or self._fits.vertices(fit)
        person.result = fit
        try:
            files = self._made_files(held, person, wanted, vertices, faces)
            files[self._layout.result_path(*person.key)] = fit.to_bytes()
            self._write_or_keep(held, files, replaces=True)
        except BaseException:
            person.result = None
            raise
        if held.photo.draws_overlay:
            held.meshes[person.name] = _mesh(person, fit, vertices, faces)

    def _complete(self, held: _OpenPhoto, person: Person) -> None:
        """Make the files that lack beside a stored result."""
        assert person.result is not None
        files = self._made_files(held, person, sorted(person.missing), *self._fits.vertices(person.result))
        self._write_or_keep(held, files, replaces=False)
        held.remade.append(person.name)

    def _write_or_keep(self, held: _OpenPhoto, files: dict[Path, bytes], replaces: bool) -> None:
        """Write files of a person; in an archive, those of the only person of a photo wait for its picture."""
        if self._storage.is_packed and held.photo.draws_overlay and len(held.photo.people) == 1:
            held.waiting, held.replaces = files, replaces
        else:
            self._storage.write(files, held.packs, replaces=replaces)

    def _made_files(
        self, held: _OpenPhoto, person: Person, kinds: list[str], vertices: np.ndarray, faces: np.ndarray
    ) -> dict[Path, bytes]:
        """Make some files of a person.

        Args:
            held: the photo.
            person: the person, with the result.
            kinds: as those of :meth:`OutputLayout.missing`.
            vertices: [V, 3] in the camera frame without the camera translation, metres.
            faces: [F, 3] vertex numbers.
        """
        fit, key, size = person.result, person.key, self._settings.max_render_size
        assert fit is not None
        files: dict[Path, bytes] = {}
        if "mesh" in kinds:
            path = self._layout.mesh_path(*key)
            files[path] = mesh_bytes(vertices, faces, path, fit.camera, fit.camera_translation)
        mesh = _mesh(person, fit, vertices, faces)
        if "close_up" in kinds:
            photo, camera = close_up(held.pixels(), fit.camera, mesh.vertices, size)
            picture = overlay(photo, [mesh], camera, self.renderer, size)
            path = self._layout.close_up_path(*key)
            files[path] = picture_bytes(picture, path)
        if "side_view" in kinds:
            picture = side_view(mesh, fit.joints[0], fit.camera, self.renderer, size)
            path = self._layout.side_view_path(*key)
            files[path] = picture_bytes(picture, path)
        if "pickle" in kinds:
            files[self._layout.pickle_path(*key)] = pickle_of(smplifyx_parameters(fit))
        return files

    def _finish(self, held: _OpenPhoto) -> Outcome:
        photo = held.photo
        fitted = [one for one in photo.people if one.result is not None]
        if photo.draws_overlay and fitted:
            name = f"{photo.outcome.unit.stem}, picture of all people" if len(photo.people) > 1 else fitted[0].key[0]
            if self._guarded(held, name, self._draw_overlay, held, fitted) and not held.rows and not held.remade:
                held.remade.extend(one.name for one in fitted)
        if held.waiting and not self._guarded(held, photo.outcome.unit.stem, self._write_waiting, held):
            held.rows = [replace(row, status="failed", flags=(*row.flags, "not_written")) for row in held.rows]
        return held.record()

    def _write_waiting(self, held: _OpenPhoto) -> None:
        self._storage.write(held.waiting, held.packs, replaces=held.replaces)

    def _draw_overlay(self, held: _OpenPhoto, people: list[Person]) -> None:
        """Draw the photo with all its people; those of earlier runs come from their results."""
        meshes = []
        for one in people:
            assert one.result is not None
            mesh = held.meshes.get(one.name) or _mesh(one, one.result, *self._fits.vertices(one.result))
            meshes.append(mesh)
        first = people[0].result
        assert first is not None  # all people of a photo have the same camera
        pixels = held.photo.picture if held.photo.picture is not None else held.pixels()
        picture = overlay(pixels, meshes, first.camera, self.renderer, self._settings.max_render_size)
        path = self._layout.photo_overlay_path([one.key for one in held.photo.people])
        files = {path: picture_bytes(picture, path)}
        if held.waiting:
            held.waiting |= files
        else:
            self._storage.write(files, held.packs, replaces=False)

    def _guarded(self, held: _OpenPhoto, name: str, work: Callable[..., None], *arguments: object) -> bool:
        """Do some work for one person or picture; a problem with it is a failure of that one alone."""
        try:
            with output_to(self._layout.root):
                work(*arguments)
        except OutputError:
            raise
        except OSError as error:
            held.failures.append(Failure(name, f"{error.filename or ''} {reason(error)}".strip()))
            return False
        except InputError as error:
            held.failures.append(Failure(name, str(error)))
            return False
        except Exception as error:  # drivers and encoders raise many kinds
            held.failures.append(Failure(name, f"{type(error).__name__}: {reason(error)}"))
            return False
        return True

    @property
    def renderer(self) -> BodyRenderer:
        """The best renderer of this machine; opened at the first picture."""
        if self._renderer is None:
            self._renderer, remark = (self._open_one or open_renderer)()
            self.remark = remark or ""
        return self._renderer


class _OpenPhoto:
    """A photo whose people are being written.

    Attributes:
        photo: the photo.
        n_waiting: people who are still to be written.
        packs: the files of the photo that earlier runs have packed.
        waiting: files of its only person that go into an archive together with the picture of the photo.
        replaces: they take the place of all of the person's earlier files.
        rows, outdated, failures, remade, details: for the record.
        meshes: posed bodies by the names of people, for the picture of all.
    """

    def __init__(self, photo: Photo, n_waiting: int, packs: Packs) -> None:
        self.photo, self.n_waiting, self.packs = photo, n_waiting, packs
        self.waiting: dict[Path, bytes] = {}
        self.replaces = False
        self.rows: list[SummaryRow] = []
        self.outdated: list[SummaryRow] = []
        self.failures: list[Failure] = []
        self.remade: list[str] = []
        self.details: list[str] = []
        self.meshes: dict[str, BodyMesh] = {}
        self._pixels: NDArray[np.uint8] | None = None

    def pixels(self) -> NDArray[np.uint8]:
        """The photo at its full size, read once more."""
        if self._pixels is None:
            picture = read_image(self.photo.outcome.unit.image)
            self._pixels = self.photo.outcome.unit.undistorted(picture, (picture.shape[1], picture.shape[0]))
        return self._pixels

    def let_go(self) -> None:
        """Free the photo at its full size."""
        self._pixels = None

    def record(self, is_complete: bool = True) -> Outcome:
        """The record of the photo."""
        outcome = self.photo.outcome
        return replace(
            outcome,
            rows=(*self.rows, *self.outdated),
            outdated=tuple(person_name(row.person, row.side) for row in self.outdated),
            remade=tuple(self.remade),
            details=tuple(self.details),
            decisions=tuple(one.decision for one in self.photo.new_people if one.decision is not None),
            failures=(*outcome.failures, *self.failures),
            is_complete=is_complete,
        )


def _mesh(person: Person, fit: FitResult, vertices: np.ndarray, faces: np.ndarray) -> BodyMesh:
    return BodyMesh(vertices + fit.camera_translation, faces, person_color(person.observation.person_index))
