"""A worker: one process, one thread of arithmetic, that takes photos from reading to the written result.

One thread reads photos ahead, the caller's thread fits, another one writes and draws. All queues between them are
bounded, so that memory does not grow with the number of photos.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import cv2
import torch

from smplifyx.detect.folder import PhotoDetector
from smplifyx.errors import UsageError
from smplifyx.fitting.fitter import MESHES_AT_ONCE
from smplifyx.pipeline.fits import BatchFitter, StopRequested, WaitingPeople, batch_size_of
from smplifyx.pipeline.reading import Person, Photo, PhotoReader
from smplifyx.pipeline.units import Job, Outcome, Unit
from smplifyx.pipeline.writing import OpenRenderer, PhotoWriter
from smplifyx.result import FitResult

#: Photos that are read ahead, and batches that wait to be written.
_PHOTOS_AHEAD, _BATCHES_BEHIND = 8, 2
#: Bytes of decoded photos that wait to be drawn on; beyond that they are read again.
_PICTURE_BYTES = 256 << 20
#: Seconds between looks at the queues and at a request to stop.
_PATIENCE = 0.2

_FittedPerson = tuple[Photo, Person, FitResult | str]


class Worker:
    """Worker on the units of one job, with body models, networks and the renderer in memory.

    Args:
        job: the job.
        open_one: opens the renderer of the pictures; None for one in this process.

    Raises:
        UsageError: the job asks for a GPU, and there is none.
    """

    def __init__(self, job: Job, open_one: OpenRenderer | None = None) -> None:
        self.job = job
        use_threads(job.run.threads)
        device = choose_device(job.run.device)
        self._stopping = threading.Event()
        self._reader = PhotoReader(job, device, PhotoDetector())
        self._fits = BatchFitter(job.config, job.run, device, self._stopping.is_set)
        self._writer = PhotoWriter(job, self._fits, open_one)
        self._waiting = WaitingPeople(batch_size_of(job.run, device))

    def _remarks(self) -> list[str]:
        """Remarks on the whole job, for the user: settings without effect, a slower renderer."""
        unused = self._fits.unused_settings
        notes = [f"without effect on {self.job.config.body.model}: {', '.join(unused)}"] if unused else []
        return notes + ([self._writer.remark] if self._writer.remark else [])

    def _with_remarks(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        for outcome in outcomes:
            remarks = tuple(self._remarks())
            yield replace(outcome, remarks=remarks) if remarks else outcome

    def run(self, units: Iterable[Unit]) -> Iterator[Outcome]:
        """Yield one outcome for each unit, in the order in which they are finished.

        Reading, fitting and writing overlap, with bounded queues; people are fitted in batches across photos. May be
        called again, for example once for each task of some hundred units.

        Raises:
            UsageError: a body model, prior or network of the job is missing or damaged.
            OutputError: the disk is full.
        """
        flow = _Flow(self._reader, self._writer, self._stopping)
        waiting = self._waiting
        flow.start(units)
        try:
            while not self._stopping.is_set():
                yield from self._with_remarks(flow.finished())
                if (batch := waiting.take(is_last=flow.all_read)) is not None:
                    try:
                        fits = self._fits.fit(batch[0], [person for person, _ in batch[1]])
                    except StopRequested:
                        break
                    flow.write([(photo, person, fit) for (person, photo), fit in zip(batch[1], fits, strict=True)])
                elif flow.all_read:
                    break
                elif (photo := flow.next_photo()) is not None:
                    waiting.add(photo)
            flow.finish()
            yield from self._with_remarks(flow.finished())
            if self._stopping.is_set():
                yield from self._writer.abandon()
        finally:
            flow.close()

    def close(self) -> None:
        """End for good: the archive that was written is closed."""
        self._writer.close()

    def stop(self) -> None:
        """End :meth:`run` soon; may be called from another thread or a signal handler."""
        self._stopping.set()


class _Flow:
    """The threads around the fits, and the queues between them.

    Args:
        reader, writer: the work of the threads.
        stopping: set to end soon.
    """

    def __init__(self, reader: PhotoReader, writer: PhotoWriter, stopping: threading.Event) -> None:
        self._reader, self._writer, self._stopping = reader, writer, stopping
        #: All photos were read and handed out.
        self.all_read = False
        self._read: queue.Queue[Photo | BaseException | None] = queue.Queue(_PHOTOS_AHEAD)
        self._fitted: queue.Queue[Photo | list[_FittedPerson] | None] = queue.Queue(_PHOTOS_AHEAD + _BATCHES_BEHIND)
        self._done: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._closing = threading.Event()
        self._picture_bytes, self._counting = 0, threading.Lock()
        self._threads: list[threading.Thread] = []

    def start(self, units: Iterable[Unit]) -> None:
        """Start reading and writing."""
        for name, work in (("read", lambda: self._read_all(units)), ("write", self._write_all)):
            thread = threading.Thread(target=work, name=f"smplifyx-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def next_photo(self) -> Photo | None:
        """The next photo that was read, if one comes within some patience; raises the error of the reading."""
        try:
            photo = self._read.get(timeout=_PATIENCE)
        except queue.Empty:
            return None
        if photo is None:
            self.all_read = True
            return None
        if isinstance(photo, BaseException):
            raise photo
        self._put(self._fitted, photo)
        return photo

    def write(self, people: list[_FittedPerson]) -> None:
        """Have fitted people written; waits while enough is pending."""
        self._put(self._fitted, people)

    def finished(self) -> Iterator[Outcome]:
        """The records that are complete by now; raises the error of the writing."""
        while not self._done.empty():
            yield self._done.get()
        if self._error is not None:
            raise self._error

    def finish(self) -> None:
        """Wait until everything that was fitted is written."""
        self._put(self._fitted, None)
        writing = self._threads[1]
        while writing.is_alive():
            writing.join(_PATIENCE)

    def close(self) -> None:
        """End the threads, also in the middle."""
        self._closing.set()
        self._threads[1].join()

    def _put(self, target: queue.Queue, item: object) -> None:
        """Put something into a bounded queue unless the other end is gone."""
        while not self._closing.is_set():
            try:
                target.put(item, timeout=_PATIENCE)
            except queue.Full:
                if target is self._fitted and not self._threads[1].is_alive():
                    return
            else:
                return

    @property
    def _is_ending(self) -> bool:
        return self._stopping.is_set() or self._closing.is_set()

    def _read_all(self, units: Iterable[Unit]) -> None:
        try:
            for unit in units:
                if self._is_ending:
                    return
                self._put(self._read, self._within_budget(self._reader.read(unit)))
        except BaseException as error:
            self._put(self._read, error)
        else:
            self._put(self._read, None)

    def _within_budget(self, photo: Photo) -> Photo:
        """Drop the decoded photo where too many wait already."""
        if photo.picture is not None:
            with self._counting:
                if self._picture_bytes + photo.picture.nbytes > _PICTURE_BYTES:
                    photo.picture = None
                else:
                    self._picture_bytes += photo.picture.nbytes
        return photo

    def _write_all(self) -> None:
        try:
            while not self._closing.is_set():
                try:
                    item = self._fitted.get(timeout=_PATIENCE)
                except queue.Empty:
                    continue
                if item is None:
                    return
                if isinstance(item, Photo):
                    self._record(item, self._writer.begin(item))
                    continue
                for start in range(0, len(item), MESHES_AT_ONCE):
                    self._write_people(item[start : start + MESHES_AT_ONCE])
                self._writer.let_go()
        except BaseException as error:
            self._error = error

    def _write_people(self, people: Sequence[_FittedPerson]) -> None:
        """Write some people, also after a request to stop: the fits took longer."""
        meshes = self._writer.meshes([fit for *_, fit in people])
        for (photo, person, fit), mesh in zip(people, meshes, strict=True):
            if self._closing.is_set():
                return
            self._record(photo, self._writer.write(photo, person, fit, mesh))

    def _record(self, photo: Photo, outcome: Outcome | None) -> None:
        """Hand out the record of a complete photo and let go of its pixels."""
        if outcome is None:
            return
        if photo.picture is not None:
            with self._counting:
                self._picture_bytes -= photo.picture.nbytes
            photo.picture = None
        self._done.put(outcome)


def use_threads(n_threads: int) -> None:
    """Let the arithmetic of this process use some threads.

    Arrays are small: a second thread gains little on an idle machine and loses severalfold on a busy one.
    """
    torch.set_num_threads(n_threads)
    cv2.setNumThreads(n_threads)


def choose_device(name: str) -> torch.device:
    """The device of a run: ``cpu``, ``cuda``, or ``auto`` for a GPU if there is one; raises UsageError for none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch finds no GPU; use --device cpu, or auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
