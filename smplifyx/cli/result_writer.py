"""Writes the results of a run in a background thread, so that the next batch is fitted meanwhile."""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType

import numpy as np

from smplifyx.cli import messages
from smplifyx.config import OutputConfig
from smplifyx.errors import InputError
from smplifyx.fitting.fitter import Fitter
from smplifyx.keypoints import Observation, read_image
from smplifyx.output import (
    BodyMesh,
    BodyRenderer,
    OutputLayout,
    SummaryRow,
    append_summary,
    close_up,
    compact_summary,
    open_renderer,
    overlay,
    person_color,
    save_mesh,
    save_picture,
    save_smplifyx_pickle,
    side_view,
)
from smplifyx.result import FitResult, load_result

#: Batches that wait or are written before the caller must wait; their results are in memory.
_MAX_PENDING = 2
#: Models of a hand and of a head; their pictures include a close-up.
_PARTS = ("mano", "flame")

#: The fitter for people of a gender, or for hands of a side.
FitterOf = Callable[[str], Fitter]
#: Opens a renderer, and says why where it is not the best one.
OpenRenderer = Callable[[], tuple[BodyRenderer, str | None]]


class ResultWriter:
    """Writes meshes, pictures, parameters and the table of a run, one batch after the other in one thread.

    A person's parameters are written last, so that their presence means that all of the person's files are complete.
    A photo of several people gets a picture of them all once the last of them is written; the bodies come from the
    result files, whichever run fitted them.

    Use it as a context manager: the block waits at its end until everything is written. When the block is
    interrupted, waiting batches are dropped, and the running one ends after the current person, with its rows.

    Args:
        layout: paths of the output files.
        settings: which files are written.
        fitter_of: poses the bodies of a group picture.
        everyone: all people of the run, those with existing results included.
        todo: the people that will be written.
        verbose: print the losses of each person's stages.
        open_one: opens the renderer of the pictures; None for one in this process.
    """

    def __init__(
        self,
        layout: OutputLayout,
        settings: OutputConfig,
        fitter_of: FitterOf,
        everyone: Sequence[Observation] = (),
        todo: Sequence[Observation] = (),
        verbose: bool = False,
        open_one: OpenRenderer | None = None,
    ) -> None:
        self.layout, self.settings = layout, settings
        #: Called in the writing thread after each person.
        self.on_person: Callable[[], object] = lambda: None
        #: People whose files are complete.
        self.n_written = 0
        #: One message for each person or picture that failed.
        self.problems: list[str] = []
        self._fitter_of, self._verbose = fitter_of, verbose
        self._groups = _groups(everyone) if settings.render else {}
        #: For each photo of several people, the number of them still to be written.
        self._n_missing = {stem: sum(one.stem == stem for one in todo) for stem in self._groups}
        self._renderer: BodyRenderer | None = None
        self._open_one = open_one
        # People of one photo are written one after the other; it is read for the first one only.
        self._read_photo = functools.lru_cache(maxsize=1)(read_image)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="smplifyx-writer")
        self._pending: deque[Future[object]] = deque()
        self._stopping = threading.Event()
        self._opens_renderer = bool(todo) and settings.render

    def __enter__(self) -> ResultWriter:
        if self._opens_renderer:
            self._submit(self._open_renderer)
        self._submit(self._draw_missing_groups)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._wait(0)
            elif issubclass(kind, KeyboardInterrupt):
                self._stop()
        except KeyboardInterrupt:
            self._stop()
            raise
        finally:
            self._thread.submit(self._compact_summary)
            self._thread.shutdown()

    def write(self, people: Sequence[Observation], results: Sequence[FitResult], fitter: Fitter) -> None:
        """Write a batch in the background; waits while two batches are pending.

        Args:
            people: the fitted people.
            results: their results, in the same order.
            fitter: the fitter of the batch; poses the bodies.

        Raises:
            Exception: what an earlier batch raised; files of one person that cannot be written do not raise, see
                :attr:`problems`.
        """
        self._submit(self._write_batch, people, results, fitter)

    def add_problem(self, problem: str) -> None:
        """Print a failure and keep it in :attr:`problems`."""
        self.problems.append(problem)
        messages.note(f"failed: {problem}")

    def _submit(self, job: Callable[..., object], *arguments: object) -> None:
        self._wait(_MAX_PENDING - 1)
        self._pending.append(self._thread.submit(job, *arguments))

    def _wait(self, n_pending: int) -> None:
        """Wait until at most ``n_pending`` jobs are pending; raises what a finished one raised."""
        while len(self._pending) > n_pending:
            self._pending.popleft().result()

    def _stop(self) -> None:
        """Drop waiting jobs and let the running one end after the current person."""
        self._stopping.set()
        for job in self._pending:
            job.cancel()

    def _compact_summary(self) -> None:
        try:
            compact_summary(self.layout.summary_path)
        except (InputError, OSError) as error:
            self.add_problem(f"{self.layout.summary_path} is not sorted: {error}")

    def _write_batch(self, people: Sequence[Observation], results: Sequence[FitResult], fitter: Fitter) -> None:
        rows = []
        for one, result, vertices in zip(people, results, fitter.vertices(results), strict=True):
            if self._stopping.is_set():
                break
            rows.append(self._write_person(one, result, vertices, fitter.faces))
            self._draw_completed_group(one)
            self.on_person()
        if rows:
            append_summary(self.layout.summary_path, rows)

    def _write_person(
        self, one: Observation, result: FitResult, vertices: np.ndarray, faces: np.ndarray
    ) -> SummaryRow:
        """Write a person's files; returns the row of the table."""
        row = SummaryRow.of_result(result, one.stem, one.person_index)
        if self._verbose:
            losses = " ".join(f"{loss:.0f}" for loss in result.stage_losses)
            messages.note(f"{one.name}: stages {losses}, {int(result.n_evaluations)} evaluations")
        if result.status != "ok":
            flags = f" ({', '.join(result.flags)})" if result.flags else ""
            self.add_problem(f"{one.name}: fit failed{flags}")
            return row
        try:
            self._write_files(one, result, vertices, faces)
        except (InputError, OSError) as error:
            self.add_problem(f"{one.name}: {error}")
            return replace(row, status="failed", flags=(*row.flags, "not_written"))
        self.n_written += 1
        return row

    def _write_files(self, one: Observation, result: FitResult, vertices: np.ndarray, faces: np.ndarray) -> None:
        """Write the wanted files of a person.

        Args:
            one: the person.
            result: the fit.
            vertices: [V, 3] in the camera frame without the camera translation, metres.
            faces: [F, 3] vertex numbers.
        """
        key = _key(one)
        if self.settings.mesh_format != "none":
            save_mesh(vertices, faces, self.layout.mesh_path(*key), result.camera, result.camera_translation)
        if self.settings.render:
            self._draw_person(one, result, vertices, faces)
        if self.settings.save_pickle:
            save_smplifyx_pickle(result, self.layout.pickle_path(*key))
        result.save(self.layout.result_path(*key))

    def _draw_person(self, one: Observation, result: FitResult, vertices: np.ndarray, faces: np.ndarray) -> None:
        key, size, renderer = _key(one), self.settings.max_render_size, self._open_renderer()
        photo, camera = self._read_photo(one.image_file), result.camera
        mesh = BodyMesh(vertices + result.camera_translation, faces, person_color(one.person_index))
        save_picture(overlay(photo, [mesh], camera, renderer, size), self.layout.overlay_path(*key))
        if result.model_type in _PARTS:
            photo, camera = close_up(photo, camera, mesh.vertices, size)
            save_picture(overlay(photo, [mesh], camera, renderer, size), self.layout.close_up_path(*key))
        if self.settings.side_view:
            picture = side_view(mesh, result.joints[0], camera, renderer, size)
            save_picture(picture, self.layout.side_view_path(*key))

    def _draw_missing_groups(self) -> None:
        """Draw the group pictures that an interrupted run left undrawn."""
        for stem, n_missing in self._n_missing.items():
            if self._stopping.is_set():
                return
            if not n_missing and not self.layout.group_overlay_path(stem).is_file():
                self._draw_group(stem)

    def _draw_completed_group(self, one: Observation) -> None:
        """Draw the photo of a person who was just written, if it was the last one of several."""
        if one.stem not in self._n_missing:
            return
        self._n_missing[one.stem] -= 1
        if not self._n_missing[one.stem]:
            self._draw_group(one.stem)

    def _draw_group(self, stem: str) -> None:
        """Draw a photo with all its people; needs the results of at least two."""
        people = self._groups[stem]
        try:
            fitted = [
                (one.person_index, load_result(path))
                for one in people
                if (path := self.layout.result_path(*_key(one))).is_file()
            ]
            if len(fitted) < 2:
                return
            meshes = [self._group_mesh(number, result) for number, result in fitted]
            # All people of a photo have the same camera.
            photo, camera = self._read_photo(people[0].image_file), fitted[0][1].camera
            picture = overlay(photo, meshes, camera, self._open_renderer(), self.settings.max_render_size)
            save_picture(picture, self.layout.group_overlay_path(stem))
        except (InputError, OSError) as error:
            self.add_problem(f"{stem}, overlay of all people: {error}")

    def _group_mesh(self, number: int, result: FitResult) -> BodyMesh:
        fitter = self._fitter_of(result.side or result.gender)
        return BodyMesh(fitter.vertices([result])[0] + result.camera_translation, fitter.faces, person_color(number))

    def _open_renderer(self) -> BodyRenderer:
        """The best renderer of this machine; opened at the first picture."""
        if self._renderer is None:
            self._renderer, remark = (self._open_one or open_renderer)()
            if remark:
                messages.note(remark)
        return self._renderer


def _groups(everyone: Sequence[Observation]) -> dict[str, list[Observation]]:
    """The people of each photo that shows more than one."""
    by_stem: dict[str, list[Observation]] = {}
    for one in everyone:
        by_stem.setdefault(one.stem, []).append(one)
    return {stem: people for stem, people in by_stem.items() if len(people) > 1}


def _key(one: Observation) -> tuple[str, int, str | None]:
    """Stem, person and side, which name the output files."""
    return one.stem, one.person_index, one.side
