"""Results written in the background: order, failures, interrupts."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from smplifyx.cli.result_writer import BatchWriter, PersonWriter, RunStatistics, background
from smplifyx.config import load_config
from smplifyx.keypoints import Observation, read_image
from smplifyx.output import OutputLayout, SummaryRow, load_result, read_summary


def test_jobs_are_done_in_order_by_one_other_thread_and_the_last_act_is_last():
    done = []
    with background(lambda: done.append(("last", threading.get_ident()))) as worker:
        for number in range(20):
            worker.submit(lambda number=number: done.append((number, threading.get_ident())))
    assert [what for what, _ in done] == [*range(20), "last"]
    (thread,) = {thread for _, thread in done}
    assert thread != threading.get_ident()


def test_the_caller_waits_when_two_jobs_are_pending():
    gate, submitted = threading.Event(), []
    with background(lambda: None) as worker:

        def submit_all() -> None:
            for number in range(3):
                worker.submit(gate.wait)
                submitted.append(number)

        caller = threading.Thread(target=submit_all)
        caller.start()
        caller.join(0.3)
        assert submitted == [0, 1]
        gate.set()
        caller.join(10)
    assert submitted == [0, 1, 2]


def _fail() -> None:
    raise ZeroDivisionError("in the worker")


def test_what_a_job_raises_surfaces():
    with pytest.raises(ZeroDivisionError, match="in the worker"), background(lambda: None) as worker:
        worker.submit(_fail)


def test_an_interrupt_drops_what_waits_and_lets_the_running_job_end():
    running, gate, done = threading.Event(), threading.Event(), []

    def job() -> None:
        running.set()
        gate.wait(10)
        done.append(worker.stopping)

    with pytest.raises(KeyboardInterrupt), background(lambda: done.append("last")) as worker:
        worker.submit(job)
        worker.submit(lambda: done.append("dropped"))
        running.wait(10)
        threading.Timer(0.1, gate.set).start()
        raise KeyboardInterrupt
    assert done == [True, "last"]


def test_another_error_of_the_block_leaves_the_jobs_to_be_done():
    done = []
    with pytest.raises(ZeroDivisionError), background(lambda: None) as worker:
        worker.submit(lambda: done.append(1))
        _fail()
    assert done == [1]


@pytest.fixture
def without_summary(monkeypatch):
    """The batches' rows of the table, instead of the table."""
    tables: list[list[SummaryRow]] = []
    monkeypatch.setattr("smplifyx.cli.result_writer.update_summary", lambda path, rows: tables.append(list(rows)))
    return tables


class _Writer:
    """Writes nothing; fails for person 1, and notes how many tables there were when it wrote."""

    layout = SimpleNamespace(summary_path=None)

    def __init__(self, tables: list[list[SummaryRow]], fails_with: Exception) -> None:
        self.written: list[tuple[int, int]] = []
        self._tables, self._fails_with = tables, fails_with

    def write(self, observation, result, vertices, faces) -> None:
        if observation.person_index == 1:
            raise self._fails_with
        self.written.append((observation.person_index, len(self._tables)))


def _batch(*people: int) -> tuple[list[Observation], list[SimpleNamespace], SimpleNamespace]:
    keypoints = np.zeros((135, 3), np.float32)
    photo = Path("photo.png")
    observations = [Observation(keypoints, (40, 30), None, photo, person_index=person) for person in people]
    result = SimpleNamespace(
        status="ok", gender="neutral", loss=1.0, reprojection_error_px=1.0, n_keypoints=9, seconds=1.0, flags=(),
        gender_source="given", gender_probability=1.0, gender_reason="", expected_error_mm=50.0, penetration_mm=0.0,
        colliding_pairs=0, side="",
    )  # fmt: skip
    return observations, [result] * len(people), SimpleNamespace(vertices=lambda result: None, faces=None)


def _batch_writer(writer: _Writer, worker: object) -> BatchWriter:
    overlays = SimpleNamespace(finished=lambda people: [])
    return BatchWriter(writer, overlays, RunStatistics(), SimpleNamespace(update=lambda: None), worker)


def test_a_failing_writer_names_the_person_and_the_others_go_on(without_summary, capsys):
    writer = _Writer(without_summary, OSError(28, "No space left on device"))
    with background(lambda: None) as worker:
        batches = _batch_writer(writer, worker)
        worker.submit(batches.write, *_batch(0, 1, 2))
        worker.submit(batches.write, *_batch(3))
    assert writer.written == [(0, 0), (2, 0), (3, 1)]
    assert batches.statistics.n_fitted == 3
    assert batches.statistics.problems == ["photo, person 1: [Errno 28] No space left on device"]
    assert "failed: photo, person 1" in capsys.readouterr().err
    assert [[(row.person, row.status) for row in rows] for rows in without_summary] == [
        [(0, "ok"), (1, "failed"), (2, "ok")],
        [(3, "ok")],
    ]
    assert without_summary[0][1].flags == ("not_written",)


def test_an_unforeseen_error_of_the_writer_is_not_swallowed(without_summary):
    with pytest.raises(ZeroDivisionError), background(lambda: None) as worker:
        batches = _batch_writer(_Writer(without_summary, ZeroDivisionError()), worker)
        worker.submit(batches.write, *_batch(0, 1, 2))


def test_a_batch_that_is_stopped_has_rows_for_what_is_written_alone(without_summary):
    writer = _Writer(without_summary, OSError())
    batches = _batch_writer(writer, SimpleNamespace(stopping=False))
    bar = SimpleNamespace(update=lambda: setattr(batches.worker, "stopping", True))
    BatchWriter(writer, batches.overlays, batches.statistics, bar, batches.worker).write(*_batch(0, 2, 3))
    assert writer.written == [(0, 0)]
    assert [row.person for row in without_summary[0]] == [0]


def test_a_photo_is_read_once_for_people_in_turn(tmp_path):
    photos = [tmp_path / "a.png", tmp_path / "b.png"]
    for shade, photo in enumerate(photos):
        cv2.imwrite(str(photo), np.full((3, 4, 3), shade, np.uint8))
    writer = PersonWriter(OutputLayout(tmp_path), load_config().output, None)
    first = writer.read_photo(photos[0])
    assert writer.read_photo(photos[0]) is first
    assert writer.read_photo(photos[1]).max() == 1
    assert writer.read_photo(photos[0]).max() == 0


def test_demo_interrupted_while_it_writes_leaves_complete_files_and_goes_on(tmp_path):
    output = tmp_path / "out"
    program = Path(sys.executable).with_name("smplifyx")
    call = [str(program), "demo", "--output", str(output), "--run.threads", "1", "--run.batch_size", "2"]
    call += ["--device", "cpu", "--optimizer.max_iterations", "30"]
    with subprocess.Popen(
        [*call, "--overwrite"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        limit = time.monotonic() + 240
        while not list(output.glob("meshes/*/*.obj")) and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    layout = OutputLayout(output)
    finished = [(path.parent.name, int(path.stem)) for path in sorted(output.glob("results/*/*.npz"))]
    assert 0 < len(finished) < 5
    assert f"{len(finished)} of 5 people are finished" in errors
    assert [(row.stem, row.person) for row in read_summary(layout.summary_path)] == finished
    for stem, person in finished:
        assert layout.is_done(stem, person, mesh=True, overlay=True, pickle=False)
        assert np.isfinite(load_result(layout.result_path(stem, person)).joints).all()
    _files_are_whole(output)
    done = subprocess.run(call, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert f"{len(finished)} people have a result already" in done.stderr
    assert len(read_summary(layout.summary_path)) == 5
    assert len(list(output.glob("images/**/overlay.png"))) == 6
    _files_are_whole(output)


def _files_are_whole(output: Path) -> None:
    assert not list(output.rglob(".*")), "temporary files were left behind"
    for path in output.rglob("*.png"):
        read_image(path)
    sizes = set()
    for path in output.rglob("*.obj"):
        with contextlib.closing(path.open()) as lines:
            sizes.add(sum(1 for _ in lines))
    assert len(sizes) <= 1
