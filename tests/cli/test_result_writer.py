"""Results written in the background: files, group pictures, failures, interrupts.

Nothing here depends on speed: fits are stand-ins, and interrupts come at a stated point.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from smplifyx.cli import result_writer
from smplifyx.cli.main import main
from smplifyx.cli.result_writer import ResultWriter
from smplifyx.config import OutputConfig
from smplifyx.keypoints import Observation, read_image
from smplifyx.output import OutputLayout, person_color, read_summary
from smplifyx.result import FitResult, load_result

NO_FILES = OutputConfig(mesh_format="none", render=False)
#: Longest wait for another thread; reached only if the test fails.
PATIENCE = 60


class RecordingRenderer:
    def __init__(self) -> None:
        self.meshes = []

    def render(self, meshes, camera):
        self.meshes.append(list(meshes))
        width, height = camera.image_size
        return np.zeros((height, width, 4), np.uint8)


class FakeFitter:
    """Its bodies are three points, which tell the gender that was asked for."""

    faces = np.array([[0, 1, 2]])

    def __init__(self, gender: str = "neutral") -> None:
        self.gender = gender

    def vertices(self, results: Sequence[FitResult]) -> np.ndarray:
        assert {result.gender for result in results} <= {self.gender}
        return np.stack([np.eye(3)] * len(results)) + (10.0 if self.gender == "male" else 0.0)


def result_of(gender: str = "neutral", status: str = "ok", flags: tuple[str, ...] = ()) -> FitResult:
    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.float32)

    return FitResult(
        model_type="smplx", model_name="open body", gender=gender, betas=zeros(10), expression=zeros(10),
        global_orient=zeros(3), body_pose=zeros(63), jaw_pose=zeros(3), leye_pose=zeros(3), reye_pose=zeros(3),
        left_hand_pose=zeros(45), right_hand_pose=zeros(45), left_hand_pca=zeros(12), right_hand_pca=zeros(12),
        body_pose_embedding=None, camera_translation=np.array([0, 0, 3], np.float32), camera_rotation=np.eye(3),
        focal_length=np.array([50.0, 50.0]), principal_point=np.array([20.0, 15.0]), image_size=np.array([40, 30]),
        joints=zeros(55, 3), keypoints_2d=zeros(135, 3), projected_keypoints_2d=zeros(135, 2), loss=1.0,
        stage_losses=zeros(5), n_evaluations=1, converged=True, flags=flags, seconds=1.0, reprojection_error_px=1.0,
        n_keypoints=100, status=status,
    )  # fmt: skip


@pytest.fixture
def photo(tmp_path) -> Path:
    path = tmp_path / "pair.png"
    cv2.imwrite(str(path), np.full((30, 40, 3), 90, np.uint8))
    return path


@pytest.fixture
def layout(tmp_path) -> OutputLayout:
    return OutputLayout(tmp_path / "out")


@pytest.fixture
def renderer(monkeypatch) -> RecordingRenderer:
    renderer = RecordingRenderer()
    monkeypatch.setattr(result_writer, "open_renderer", lambda: (renderer, ""))
    return renderer


def person(photo: Path, number: int, stem: str = "pair") -> Observation:
    return Observation(
        image_path=photo, keypoint_path=photo, stem=stem, person_index=number,
        keypoints=np.zeros((135, 3), np.float32), image_size=(40, 30),
    )  # fmt: skip


def rows_of(layout: OutputLayout) -> list[tuple[int, str]]:
    return [(row.person, row.status) for row in read_summary(layout.summary_path)]


def test_batches_are_written_in_order_by_one_other_thread(layout, photo, monkeypatch):
    written = []
    monkeypatch.setattr(
        ResultWriter,
        "_write_files",
        lambda self, one, *rest: written.append((one.person_index, threading.get_ident())),
    )
    with ResultWriter(layout, NO_FILES, FakeFitter) as writer:
        for number in range(6):
            writer.write([person(photo, number)], [result_of()], FakeFitter())
    assert [number for number, _ in written] == [*range(6)]
    (thread,) = {thread for _, thread in written}
    assert thread != threading.get_ident()
    assert writer.n_written == 6 and rows_of(layout) == [(number, "ok") for number in range(6)]


def test_the_caller_waits_while_two_batches_are_pending(layout, photo, monkeypatch):
    gate, submitted, third = threading.Event(), [], threading.Event()
    monkeypatch.setattr(ResultWriter, "_write_files", lambda *arguments: gate.wait(PATIENCE))
    original = ResultWriter._wait

    def wait(self, n_pending):
        if len(submitted) == 2 and not gate.is_set():
            third.set()  # the caller is about to wait for the first batch, which the gate holds
        original(self, n_pending)

    monkeypatch.setattr(ResultWriter, "_wait", wait)
    with ResultWriter(layout, NO_FILES, FakeFitter) as writer:
        writer._wait(0)

        def write_all() -> None:
            for number in range(3):
                writer.write([person(photo, number)], [result_of()], FakeFitter())
                submitted.append(number)

        caller = threading.Thread(target=write_all)
        caller.start()
        assert third.wait(PATIENCE)
        assert submitted == [0, 1]
        gate.set()
        caller.join(PATIENCE)
    assert submitted == [0, 1, 2]


def test_files_that_cannot_be_written_fail_one_person(layout, photo, monkeypatch, capsys):
    def write_files(self, one, *rest):
        if one.person_index == 1:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(ResultWriter, "_write_files", write_files)
    with ResultWriter(layout, NO_FILES, FakeFitter) as writer:
        people = [person(photo, number) for number in range(3)]
        writer.write(people, [result_of()] * 3, FakeFitter())
    assert writer.problems == ["pair, person 1: [Errno 28] No space left on device"]
    assert "failed: pair, person 1" in capsys.readouterr().err
    assert writer.n_written == 2 and rows_of(layout) == [(0, "ok"), (1, "failed"), (2, "ok")]
    assert read_summary(layout.summary_path)[1].flags == ("not_written",)


def test_a_table_that_cannot_be_sorted_is_named(layout, photo, monkeypatch, capsys):
    def full_disk(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(result_writer, "compact_summary", full_disk)
    with ResultWriter(layout, NO_FILES, FakeFitter) as writer:
        writer.write([person(photo, 0)], [result_of()], FakeFitter())
    assert len(writer.problems) == 1 and "summary.csv is not sorted" in writer.problems[0]
    assert "No space left" in capsys.readouterr().err


def test_a_failed_fit_gets_a_row_and_no_files(layout, photo):
    with ResultWriter(layout, NO_FILES, FakeFitter) as writer:
        writer.write([person(photo, 0)], [result_of(status="failed", flags=("not_finite",))], FakeFitter())
    assert writer.problems == ["pair, person 0: fit failed (not_finite)"]
    assert rows_of(layout) == [(0, "failed")] and not list(layout.root.rglob("*.npz"))


def test_an_unforeseen_error_surfaces(layout, photo, monkeypatch):
    def write_files(*arguments):
        raise ZeroDivisionError

    monkeypatch.setattr(ResultWriter, "_write_files", write_files)
    with pytest.raises(ZeroDivisionError), ResultWriter(layout, NO_FILES, FakeFitter) as writer:
        writer.write([person(photo, 0)], [result_of()], FakeFitter())


def test_an_interrupt_drops_waiting_batches_and_completes_the_current_person(layout, photo, monkeypatch):
    running, interrupted = threading.Event(), threading.Event()
    original = ResultWriter._stop

    def write_files(*arguments):
        running.set()
        assert interrupted.wait(PATIENCE)

    def stop(self):
        original(self)
        interrupted.set()

    monkeypatch.setattr(ResultWriter, "_write_files", write_files)
    monkeypatch.setattr(ResultWriter, "_stop", stop)
    with pytest.raises(KeyboardInterrupt), ResultWriter(layout, NO_FILES, FakeFitter) as writer:
        writer._wait(0)
        writer.write([person(photo, 0), person(photo, 1)], [result_of()] * 2, FakeFitter())
        writer.write([person(photo, 2)], [result_of()], FakeFitter())
        assert running.wait(PATIENCE)
        raise KeyboardInterrupt
    assert writer.n_written == 1 and rows_of(layout) == [(0, "ok")]


def test_another_error_of_the_block_leaves_the_batches_to_be_written(layout, photo):
    with pytest.raises(ZeroDivisionError), ResultWriter(layout, NO_FILES, FakeFitter) as writer:
        writer.write([person(photo, 0)], [result_of()], FakeFitter())
        raise ZeroDivisionError
    assert rows_of(layout) == [(0, "ok")]
    assert np.isfinite(load_result(layout.result_path("pair", 0)).joints).all()


def test_a_photo_is_read_once_for_its_people(layout, photo, renderer, monkeypatch):
    read = []
    monkeypatch.setattr(result_writer, "read_image", lambda path: read.append(path) or read_image(path))
    people = [person(photo, 0), person(photo, 1)]
    with ResultWriter(layout, OutputConfig(mesh_format="none"), FakeFitter, people, people) as writer:
        writer.write(people, [result_of()] * 2, FakeFitter())
    assert read == [photo]


# Pictures of all people of a photo


def drawing_writer(layout: OutputLayout, everyone: list[Observation], todo: list[Observation]) -> ResultWriter:
    settings = OutputConfig(mesh_format="none", side_view=False)
    return ResultWriter(layout, settings, FakeFitter, everyone, todo)


def save_earlier(layout: OutputLayout, one: Observation, gender: str = "neutral") -> None:
    path = layout.result_path(one.stem, one.person_index)
    result_of(gender).save(path)


def group_meshes(renderer: RecordingRenderer) -> list[list]:
    return [meshes for meshes in renderer.meshes if len(meshes) > 1]


def test_a_group_is_drawn_once_its_last_person_is_written(layout, photo, renderer):
    people = [person(photo, 0), person(photo, 1), person(photo, 0, "alone")]
    with drawing_writer(layout, people, people) as writer:
        writer.write(people[:1], [result_of()], FakeFitter())
        writer._wait(0)
        assert not layout.group_overlay_path("pair").exists()
        writer.write(people[1:2], [result_of("male")], FakeFitter("male"))
        writer.write(people[2:], [result_of()], FakeFitter())
    assert layout.group_overlay_path("pair").is_file() and not layout.group_overlay_path("alone").exists()
    (meshes,) = group_meshes(renderer)
    assert [mesh.color for mesh in meshes] == [person_color(0), person_color(1)]
    np.testing.assert_allclose(meshes[0].vertices, np.eye(3) + np.array([0, 0, 3]))
    np.testing.assert_allclose(meshes[1].vertices, np.eye(3) + np.array([10, 10, 13]))


def test_people_of_an_earlier_run_are_drawn_too(layout, photo, renderer):
    people = [person(photo, 0), person(photo, 1)]
    save_earlier(layout, people[1])
    with drawing_writer(layout, people, people[:1]) as writer:
        writer.write(people[:1], [result_of()], FakeFitter())
    assert len(group_meshes(renderer)) == 1 and layout.group_overlay_path("pair").is_file()


def test_a_group_that_an_interrupted_run_left_undrawn_is_drawn_once(layout, photo, renderer):
    people = [person(photo, 0), person(photo, 1)]
    for one in people:
        save_earlier(layout, one)
    for _ in range(2):
        with drawing_writer(layout, people, []):
            pass
    assert layout.group_overlay_path("pair").is_file() and len(renderer.meshes) == 1


def test_a_person_whose_fit_failed_leaves_no_group(layout, photo, renderer):
    people = [person(photo, 0), person(photo, 1)]
    with drawing_writer(layout, people, people) as writer:
        writer.write(people, [result_of(), result_of(status="failed")], FakeFitter())
    assert not layout.group_overlay_path("pair").exists() and writer.problems == ["pair, person 1: fit failed"]


def test_a_photo_that_was_removed_is_named(layout, photo, renderer):
    people = [person(photo, 0), person(photo, 1)]
    for one in people:
        save_earlier(layout, one)
    photo.unlink()
    with drawing_writer(layout, people, []) as writer:
        pass
    (problem,) = writer.problems
    assert problem.startswith("pair, overlay of all people: ") and str(photo) in problem


def test_nothing_is_drawn_without_pictures(layout, photo, renderer):
    people = [person(photo, 0), person(photo, 1)]
    for one in people:
        save_earlier(layout, one)
    with ResultWriter(layout, NO_FILES, FakeFitter, people, []):
        pass
    assert renderer.meshes == [] and not layout.group_overlay_path("pair").exists()


# The command, interrupted while it writes


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.slow
def test_demo_interrupted_while_it_writes_leaves_complete_files_and_continues(
    tmp_path, monkeypatch, capsys, number, status
):
    output, stopping = tmp_path / "out", threading.Event()
    call = ["demo", "--output", str(output), "--batch-size", "2", "--device", "cpu", "--no-render"]
    call += ["--optimizer.max_iterations", "2", "--starts.depth_flips", "0", "--collision.enabled", "false"]
    original_write, original_stop = ResultWriter._write_files, ResultWriter._stop

    def write_files(self, *arguments):
        if self.n_written == 1:  # the second person is being written
            os.kill(os.getpid(), number)
            assert stopping.wait(PATIENCE)
        original_write(self, *arguments)

    def stop(self):
        original_stop(self)
        stopping.set()

    monkeypatch.setattr(ResultWriter, "_write_files", write_files)
    monkeypatch.setattr(ResultWriter, "_stop", stop)
    assert main(call) == status
    errors = capsys.readouterr().err
    assert f"2 of 5 people are finished in {output}; the same command continues" in errors
    assert "Traceback" not in errors
    layout = OutputLayout(output)
    finished = [(path.parent.name, int(path.stem)) for path in sorted(output.glob("results/*/*.npz"))]
    assert len(finished) == 2
    assert [(row.stem, row.person) for row in read_summary(layout.summary_path)] == finished
    for stem, index in finished:
        assert layout.is_done(stem, index, mesh=True)
        assert np.isfinite(load_result(layout.result_path(stem, index)).joints).all()
    assert not list(output.rglob(".*")), "temporary files were left behind"

    monkeypatch.undo()
    assert main(call) == 0
    assert "2 people with existing results are skipped" in capsys.readouterr().err
    assert len(read_summary(layout.summary_path)) == 5
    line_counts = {len(path.read_text().splitlines()) for path in output.rglob("*.obj")}
    assert len(line_counts) == 1
