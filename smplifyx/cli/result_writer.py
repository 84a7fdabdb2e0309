"""One thread that works off jobs in order while the caller goes on."""

from __future__ import annotations

import functools
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

import smplifyx
from smplifyx.camera import Camera
from smplifyx.cli import messages
from smplifyx.config import OutputConfig
from smplifyx.errors import InputError
from smplifyx.fitting.fitter import Fitter
from smplifyx.fitting.result import FitResult
from smplifyx.keypoints import Observation, read_image
from smplifyx.output import (
    BodyMesh,
    BodyRenderer,
    OutputLayout,
    Renderer,
    SummaryRow,
    close_up,
    load_result,
    open_renderer,
    overlay,
    person_color,
    save_mesh,
    save_picture,
    save_result,
    save_smplifyx_pickle,
    side_view,
    update_summary,
)

#: Jobs that wait or run before the caller must wait: their results are held in memory.
_MOST_PENDING = 2


class Background:
    """Works off jobs one after the other in one thread; made by :func:`background`."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="smplifyx-writer")
        self._pending: deque[Future[None]] = deque()
        self._stopping = threading.Event()

    @property
    def stopping(self) -> bool:
        """Whether the running job is to end as soon as what it has begun is complete."""
        return self._stopping.is_set()

    def submit(self, job: Callable[..., None], *arguments: object) -> None:
        """Append a job; waits while two are pending. Raises what an earlier job raised."""
        while len(self._pending) >= _MOST_PENDING:
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(job, *arguments))

    def wait(self) -> None:
        """Wait until every job is done; raises what one of them raised."""
        while self._pending:
            self._pending.popleft().result()

    def stop(self) -> None:
        """Drop the jobs that have not begun and tell the running one to end."""
        self._stopping.set()
        for job in self._pending:
            job.cancel()

    def close(self, last: Callable[[], None]) -> None:
        """Let the thread do what is pending and, as its last act, ``last``."""
        self._pool.submit(last)
        self._pool.shutdown()


@contextmanager
def background(last: Callable[[], None]) -> Iterator[Background]:
    """A worker for the block; all jobs are done when the block ends.

    If the user interrupts, jobs that have not begun are dropped; if the block fails otherwise, they are still done.

    Args:
        last: done by the thread at its end in any case.

    Raises:
        Exception: whatever the first failing job raised.
    """
    worker = Background()
    try:
        yield worker
        worker.wait()
    except KeyboardInterrupt:
        worker.stop()
        raise
    finally:
        worker.close(last)


class LazyRenderer:
    """Opens the best renderer of this machine at first use, since an OpenGL context belongs to one thread at a time.

    All calls must come from the same thread.
    """

    def __init__(self) -> None:
        self._opened: BodyRenderer | None = None

    def open(self) -> BodyRenderer:
        """The renderer, opened if need be; says so where it is not the best one."""
        if self._opened is None:
            self._opened, remark = open_renderer()
            if remark:
                messages.note(remark)
        return self._opened

    def render(self, meshes: Sequence[BodyMesh], camera: Camera) -> np.ndarray:
        """RGBA `[H, W, 4]` uint8, as :meth:`smplifyx.output.BodyRenderer.render`."""
        return self.open().render(meshes, camera)

    def release(self) -> None:
        """Give the OpenGL context up, so that another thread of this process can draw."""
        if isinstance(self._opened, Renderer):
            from OpenGL import EGL, platform

            if type(platform.PLATFORM).__name__ == "EGLPlatform":
                EGL.eglReleaseThread()
        self._opened = None


#: Models that are no whole bodies.
_PARTS = ("mano", "flame")


def _remembering_the_last(read: Callable[[Path], np.ndarray]) -> Callable[[Path], np.ndarray]:
    """The same function; people of one photo are written one after the other, and it is read for the first alone."""
    return functools.lru_cache(maxsize=1)(read)


@dataclass(frozen=True)
class PersonWriter:
    """Writes one person's files; the parameters come last, so that their presence means that all is written.

    Attributes:
        layout: where the files lie.
        wanted: which files are wanted.
        renderer: draws the pictures; None where none are wanted.
        read_photo: reads the photo that is drawn on.
    """

    layout: OutputLayout
    wanted: OutputConfig
    renderer: LazyRenderer | None
    read_photo: Callable[[Path], np.ndarray] = field(default_factory=lambda: _remembering_the_last(read_image))

    def write(self, observation: Observation, result: FitResult, vertices: np.ndarray, faces: np.ndarray) -> None:
        """Write the files of one person.

        Args:
            observation: what was fitted.
            result: the fit.
            vertices: `[V, 3]` in the camera frame without the camera translation, metres.
            faces: vertex numbers `[F, 3]`.

        Raises:
            InputError: the photo cannot be read any more.
        """
        who = (observation.stem, observation.person_index, observation.side)
        camera = _camera(result)
        if self.wanted.mesh_format != "none":
            save_mesh(vertices, faces, self.layout.mesh_path(*who), camera, result.camera_translation)
        if self.renderer is not None:
            self._draw(self.renderer, observation, result, vertices, faces, camera)
        if self.wanted.save_pickle:
            save_smplifyx_pickle(result, self.layout.pickle_path(*who))
        save_result(
            result,
            observation.image_path or "",
            observation.keypoint_path or "",
            smplifyx.__version__,
            self.layout.result_path(*who),
        )

    def open(self) -> None:
        """Open the renderer now, in this thread, rather than with the first picture."""
        if self.renderer is not None:
            self.renderer.open()

    def close(self) -> None:
        """Let other threads draw; to be called by the thread that wrote."""
        if self.renderer is not None:
            self.renderer.release()

    def is_done(self, observation: Observation) -> bool:
        """Whether all the wanted files of this person are there."""
        return self.layout.is_done(
            observation.stem,
            observation.person_index,
            observation.side,
            mesh=self.wanted.mesh_format != "none",
            overlay=self.wanted.render,
            pickle=self.wanted.save_pickle,
        )

    def has_group(self, stem: str) -> bool:
        """Whether the picture of all people of this photo is there."""
        return self.layout.group_overlay_path(stem).is_file()

    def write_group(self, observation: Observation, bodies: Sequence[tuple[int, FitResult, Fitter]]) -> None:
        """Write the photo with all its people; does nothing where no pictures are wanted.

        Args:
            observation: anyone of the photo.
            bodies: number of the person, fit, and the fitter that poses it; a photo has but one camera, the first's.

        Raises:
            InputError: the photo cannot be read any more.
        """
        if self.renderer is None:
            return
        meshes = [
            BodyMesh(fitter.vertices([result])[0] + result.camera_translation, fitter.faces, person_color(person))
            for person, result, fitter in bodies
        ]
        photo = self.read_photo(observation.image_file)
        picture = overlay(photo, meshes, _camera(bodies[0][1]), self.renderer, self.wanted.max_render_size)
        save_picture(picture, self.layout.group_overlay_path(observation.stem))

    def _draw(
        self,
        renderer: BodyRenderer,
        observation: Observation,
        result: FitResult,
        vertices: np.ndarray,
        faces: np.ndarray,
        camera: Camera,
    ) -> None:
        who, longest_side = (
            (observation.stem, observation.person_index, observation.side),
            self.wanted.max_render_size,
        )
        mesh = BodyMesh(vertices + result.camera_translation, faces, person_color(observation.person_index))
        photo = self.read_photo(observation.image_file)
        save_picture(overlay(photo, [mesh], camera, renderer, longest_side), self.layout.overlay_path(*who))
        if result.model_type in _PARTS:
            photo, camera = close_up(photo, camera, mesh.vertices, longest_side)
            save_picture(overlay(photo, [mesh], camera, renderer, longest_side), self.layout.close_up_path(*who))
        if self.wanted.side_view:
            picture = side_view(mesh, result.joints[0], camera, renderer, longest_side)
            save_picture(picture, self.layout.side_view_path(*who))


def _camera(result: FitResult) -> Camera:
    return Camera(result.focal_length, result.principal_point, image_size=result.image_size)


#: The fitter for people of a gender, or for hands of a side.
FitterOf = Callable[[str], Fitter]


class GroupOverlays:
    """Draws the overlay of all people of each photo that shows more than one.

    The bodies come from the result files, so that it does not matter which run fitted them.

    Args:
        everybody: all people of this run, those fitted earlier included.
        todo: those among them that this run fits.
        writer: writes the pictures; does nothing where no pictures are wanted.
        fitter_of: poses the bodies.
    """

    def __init__(
        self, everybody: Sequence[Observation], todo: Sequence[Observation], writer: PersonWriter, fitter_of: FitterOf
    ) -> None:
        self._people: dict[str, list[Observation]] = {}
        self._writer, self._fitter_of = writer, fitter_of
        for one in everybody if writer.renderer is not None else ():
            self._people.setdefault(one.stem, []).append(one)
        self._people = {stem: people for stem, people in self._people.items() if len(people) > 1}
        self._n_left = dict.fromkeys(self._people, 0)
        for one in todo:
            if one.stem in self._n_left:
                self._n_left[one.stem] += 1

    def draw_missing(self, stopping: Callable[[], bool] = lambda: False) -> list[str]:
        """Draw what a run that was stopped left undrawn, until ``stopping`` says so; returns the problems."""
        missing = (stem for stem, left in self._n_left.items() if not left and not self._writer.has_group(stem))
        return self._draw_all(itertools.takewhile(lambda _: not stopping(), missing))

    def finished(self, people: Iterable[Observation]) -> list[str]:
        """Draw the photos whose last person is among those just written; returns the problems."""
        complete = []
        for one in people:
            if one.stem in self._n_left:
                self._n_left[one.stem] -= 1
                if not self._n_left[one.stem]:
                    complete.append(one.stem)
        return self._draw_all(complete)

    def _draw_all(self, stems: Iterable[str]) -> list[str]:
        problems = []
        for stem in stems:
            try:
                self._draw(self._people[stem])
            except (InputError, OSError) as error:
                problems.append(f"{stem}, overlay of all people: {error}")
        return problems

    def _draw(self, people: Sequence[Observation]) -> None:
        paths = [(one, self._writer.layout.result_path(one.stem, one.person_index, one.side)) for one in people]
        results = [(one.person_index, load_result(path)) for one, path in paths if path.is_file()]
        bodies = [(person, result, self._fitter_of(result.side or result.gender)) for person, result in results]
        if len(bodies) > 1:
            self._writer.write_group(people[0], bodies)


@dataclass
class RunStatistics:
    """What has become of the inputs so far."""

    n_fitted: int = 0
    problems: list[str] = field(default_factory=list)

    def failed(self, problem: str) -> None:
        """Count a failure and name it."""
        self.problems.append(problem)
        messages.note(f"failed: {problem}")

    def all_failed(self, problems: Sequence[str]) -> None:
        """Count and name several."""
        for problem in problems:
            self.failed(problem)


@dataclass(frozen=True)
class BatchWriter:
    """What the writing thread does; nobody else touches the tally while it runs.

    Attributes:
        writer: writes a person's files.
        overlays: draws the pictures of all people of a photo.
        tally: counts who is finished and who failed.
        bar: a progress bar; a person counts when all of its files are written.
        worker: says whether to stop.
        verbose: whether to tell how each fit went, stage by stage.
    """

    writer: PersonWriter
    overlays: GroupOverlays
    statistics: RunStatistics
    bar: Any
    worker: Background
    verbose: bool = False

    def draw_missing(self) -> None:
        """Draw what an earlier run left undrawn."""
        self.statistics.all_failed(self.overlays.draw_missing(lambda: self.worker.stopping))

    def write(self, batch: Sequence[Observation], results: Sequence[FitResult], fitter: Fitter) -> None:
        """Write everybody's files, then their rows of the table; ends after the current person if told to stop.

        Args:
            batch: the people.
            results: their fits, in the same order.
            fitter: what fitted them; poses their bodies.

        Raises:
            InputError, OSError: the table cannot be read or written.
        """
        rows = []
        vertices = fitter.vertices(results)
        for observation, result, mesh in zip(batch, results, vertices, strict=True):
            if self.worker.stopping:
                break
            rows.append(self._write_person(observation, result, mesh, fitter.faces))
            self.statistics.all_failed(self.overlays.finished([observation]))
            self.bar.update()
        if rows:
            update_summary(self.writer.layout.summary_path, rows)

    def _write_person(
        self, observation: Observation, result: FitResult, vertices: np.ndarray, faces: np.ndarray
    ) -> SummaryRow:
        name = observation.name
        row = SummaryRow.of_result(result, observation.stem, observation.person_index)
        if self.verbose:
            losses = " ".join(f"{loss:.0f}" for loss in result.stage_losses)
            messages.note(f"{name}: stages {losses}, {int(result.n_evaluations)} evaluations")
        if result.status != "ok":
            self.statistics.failed(f"{name}: the fit did not come out ({', '.join(result.flags) or 'no number'})")
            return row
        try:
            self.writer.write(observation, result, vertices, faces)
        except (InputError, OSError) as error:
            self.statistics.failed(f"{name}: {error}")
            return replace(row, status="failed", flags=(*row.flags, "not_written"))
        self.statistics.n_fitted += 1
        return row
