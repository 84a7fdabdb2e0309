"""Files of people: what is written and drawn, what is made later, failures. Fits are stand-ins."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from smplifyx.config import Config, OutputConfig, RunOptions
from smplifyx.errors import OutputError
from smplifyx.files import write_bytes
from smplifyx.keypoints import Observation
from smplifyx.output import OutputLayout, person_color
from smplifyx.pipeline import Job, Outcome, Unit
from smplifyx.pipeline.fits import BatchFitter
from smplifyx.pipeline.reading import Person, Photo
from smplifyx.pipeline.writing import PhotoWriter
from smplifyx.result import FitResult, load_result
from smplifyx.result_fields import is_intact

NO_FILES = OutputConfig(mesh_format="none", render=False)
ONLY_OVERLAYS = OutputConfig(mesh_format="none", side_view=False)


class RecordingRenderer:
    def __init__(self) -> None:
        self.meshes = []

    def render(self, meshes, camera):
        self.meshes.append(list(meshes))
        width, height = camera.image_size
        return np.zeros((height, width, 4), np.uint8)


class FakeFits(BatchFitter):
    """Its bodies are three points, which tell the gender."""

    def __init__(self) -> None:
        pass

    def vertices(self, result: FitResult) -> tuple[np.ndarray, np.ndarray]:
        return np.eye(3) + (10.0 if result.gender == "male" else 0.0), np.array([[0, 1, 2]])


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


class Writing:
    """A writer with a renderer that records what it draws."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.renderer = folder, RecordingRenderer()
        self.layout = OutputLayout(folder / "out")
        self.image = folder / "pair.png"
        cv2.imwrite(str(self.image), np.full((30, 40, 3), 90, np.uint8))

    def writer(self, settings: OutputConfig, **run: object) -> PhotoWriter:
        job = Job(Config(output=settings), RunOptions(output=self.layout.root, **run), settings_digest="settings")
        return PhotoWriter(job, FakeFits(), lambda: (self.renderer, "a remark"))

    def photo(self, n_people: int, stored: Sequence[int] = (), draws: bool = False, stem: str = "pair") -> Photo:
        people = []
        for number in range(n_people):
            one = Observation(
                image_path=self.image, stem=stem, person_index=number,
                keypoints=np.zeros((135, 3), np.float32), image_size=(40, 30),
            )  # fmt: skip
            person = Person(one, f"digest {number}", is_new=number not in stored)
            if number in stored:
                person.result = result_of()
            people.append(person)
        return Photo(Outcome(Unit(stem, self.image, None)), people, "photo digest", draws_overlay=draws)

    def write(self, settings: OutputConfig, photo: Photo, *fits: FitResult | str) -> Outcome:
        writer = self.writer(settings)
        outcome = writer.begin(photo)
        for person, fit in zip(photo.new_people, fits, strict=True):
            assert outcome is None
            outcome = writer.write(photo, person, fit)
        assert outcome is not None
        return outcome

    def group_meshes(self) -> list[list]:
        return [meshes for meshes in self.renderer.meshes if len(meshes) > 1]


@pytest.fixture
def writing(tmp_path: Path) -> Writing:
    return Writing(tmp_path)


def states(outcome: Outcome) -> list[tuple[int, str]]:
    return [(row.person, row.status) for row in outcome.rows]


def test_a_photo_is_complete_with_its_last_person(writing: Writing) -> None:
    photo, writer = writing.photo(2), writing.writer(NO_FILES)
    assert writer.begin(photo) is None
    assert writer.write(photo, photo.people[1], result_of()) is None
    outcome = writer.write(photo, photo.people[0], result_of())
    assert outcome is not None and states(outcome) == [(1, "ok"), (0, "ok")] and outcome.is_complete
    stored = load_result(writing.layout.result_path("pair", 1))
    digests = stored.settings_digest, stored.input_digest, stored.photo_digest
    assert digests == ("settings", "digest 1", "photo digest")


def test_bodies_of_a_batch_are_posed_together(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = [result_of(), "out of memory", result_of(status="failed"), result_of("male")]
    mesh = np.eye(3), np.array([[0, 1, 2]])
    monkeypatch.setattr(FakeFits, "meshes", lambda self, results: [mesh] * len(results))
    writer = writing.writer(ONLY_OVERLAYS)
    assert writer.meshes(fits) == [mesh, None, None, mesh]
    assert writing.writer(NO_FILES).meshes(fits) == [None] * 4
    photo = writing.photo(1, draws=True)
    writer.begin(photo)
    writer.write(photo, photo.people[0], result_of("male"), mesh)
    ((drawn,),) = writing.renderer.meshes
    np.testing.assert_allclose(drawn.vertices, mesh[0] + [0, 0, 3])

    def broken(self: FakeFits, results: Sequence[FitResult]) -> None:
        raise RuntimeError("of one person")

    monkeypatch.setattr(FakeFits, "meshes", broken)
    assert writer.meshes(fits) == [None] * 4  # each is posed alone


def test_a_photo_without_new_people_is_complete_at_once(writing: Writing) -> None:
    assert writing.writer(NO_FILES).begin(writing.photo(2, stored=[0, 1])) is not None
    assert writing.writer(NO_FILES).begin(writing.photo(0)) is not None


def test_files_that_cannot_be_written_fail_one_person(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path, data: bytes) -> None:
        if path.stem == "001":
            raise OSError(errno.EIO, "Input/output error", str(path))
        write_bytes(path, data)

    monkeypatch.setattr("smplifyx.output.storage.write_bytes", broken)
    outcome = writing.write(NO_FILES, writing.photo(3), result_of(), result_of(), result_of())
    assert states(outcome) == [(0, "ok"), (1, "failed"), (2, "ok")]
    assert outcome.rows[1].flags == ("not_written",)
    (failure,) = outcome.failures
    assert failure.name == "pair, person 1" and "001.npz Input/output error" in failure.reason


@pytest.mark.parametrize("number", [0, 1])
def test_a_result_that_another_run_wrote_meanwhile_stays(writing: Writing, number: int) -> None:
    photo, other = writing.photo(2, draws=True), writing.image.with_suffix(".jpg")
    other.touch()
    path = writing.layout.result_path("pair", number)
    path.parent.mkdir(parents=True)
    replace(result_of("male"), image_path=str(other), photo_digest="another").save(path)
    outcome = writing.write(NO_FILES, photo, result_of(), result_of())
    assert states(outcome) == []  # no rows, which would count in place of the other run's
    assert [f"another photo of this name, {other}" in one.reason for one in outcome.failures] == [True, True]
    assert load_result(path).gender == "male" and len(list(path.parent.iterdir())) == 1
    assert not writing.layout.group_overlay_path("pair").exists()
    other.unlink()  # now the name is free
    assert states(writing.write(NO_FILES, writing.photo(2), result_of(), result_of())) == [(0, "ok"), (1, "ok")]
    assert load_result(path).gender == "neutral"
    path.write_bytes(b"damaged")
    assert states(writing.write(NO_FILES, writing.photo(2), result_of(), result_of())) == [(0, "ok"), (1, "ok")]


def test_a_full_disk_ends_the_run_and_names_the_file(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **entries: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=r"cannot write .*000\.npz: No space left on device"):
        writing.write(NO_FILES, writing.photo(1), result_of())
    assert not list(writing.folder.rglob(".*"))


def test_a_failed_fit_gets_a_row_and_no_files(writing: Writing) -> None:
    failed = result_of(status="failed", flags=("not_finite",))
    outcome = writing.write(NO_FILES, writing.photo(2), failed, "RuntimeError: singular matrix")
    assert states(outcome) == [(0, "failed"), (1, "failed")]
    assert [str(one) for one in outcome.failures] == [
        "pair, person 0: fit failed (not_finite)",
        "pair, person 1: fit failed: RuntimeError: singular matrix",
    ]
    assert not list(writing.layout.root.rglob("*.npz"))


def test_photos_some_of_whose_people_are_written_have_a_record_when_a_run_stops(writing: Writing) -> None:
    writer, photo, untouched = writing.writer(NO_FILES), writing.photo(2), writing.photo(1, stem="other")
    writer.begin(photo)
    writer.begin(untouched)
    writer.write(photo, photo.people[0], result_of())
    (outcome,) = writer.abandon()
    assert states(outcome) == [(0, "ok")] and not outcome.is_complete
    assert is_intact(writing.layout.result_path("pair", 0))


def test_what_lacks_beside_a_result_is_made_without_a_fit(writing: Writing) -> None:
    photo = writing.photo(1, stored=[0])
    photo.people[0].missing = frozenset(["mesh", "side_view", "pickle"])
    outcome = writing.writer(OutputConfig(mesh_format="obj")).begin(photo)
    assert outcome is not None and outcome.remade == ("000",) and not outcome.rows
    for path in (writing.layout.mesh_path("pair", 0), writing.layout.side_view_path("pair", 0)):
        assert path.stat().st_size > 0
    assert writing.layout.pickle_path("pair", 0).is_file()
    assert not writing.layout.result_path("pair", 0).exists()


# Pictures of all people of a photo


def test_a_group_is_drawn_once_its_last_person_is_written(writing: Writing) -> None:
    photo, writer = writing.photo(2, draws=True), writing.writer(ONLY_OVERLAYS)
    writer.begin(photo)
    writer.write(photo, photo.people[0], result_of())
    assert not writing.layout.group_overlay_path("pair").exists()
    writer.write(photo, photo.people[1], result_of("male"))
    assert writing.layout.group_overlay_path("pair").is_file()
    assert not writing.layout.overlay_path("pair", 0).exists()
    (meshes,) = writing.group_meshes()
    assert [mesh.color for mesh in meshes] == [person_color(0), person_color(1)]
    np.testing.assert_allclose(meshes[0].vertices, np.eye(3) + np.array([0, 0, 3]))
    np.testing.assert_allclose(meshes[1].vertices, np.eye(3) + np.array([10, 10, 13]))
    assert writer.remark == "a remark"


def test_people_of_an_earlier_run_are_drawn_too(writing: Writing) -> None:
    writing.write(ONLY_OVERLAYS, writing.photo(2, stored=[1], draws=True), result_of())
    assert len(writing.group_meshes()) == 1


def test_a_picture_that_an_interrupted_run_left_undrawn_is_drawn(writing: Writing) -> None:
    outcome = writing.writer(ONLY_OVERLAYS).begin(writing.photo(2, stored=[0, 1], draws=True))
    assert outcome is not None and outcome.remade == ("000", "001")
    assert len(writing.group_meshes()) == 1


def test_a_person_whose_fit_failed_is_not_drawn(writing: Writing) -> None:
    writing.write(ONLY_OVERLAYS, writing.photo(2, draws=True), result_of(), result_of(status="failed"))
    assert [len(meshes) for meshes in writing.renderer.meshes] == [1]
    assert writing.layout.group_overlay_path("pair").is_file()


def test_a_picture_is_drawn_on_the_pixels_that_were_read(writing: Writing) -> None:
    photo = writing.photo(1, draws=True)
    photo.picture = np.full((30, 40, 3), 200, np.uint8)
    writing.image.unlink()
    writing.write(replace(ONLY_OVERLAYS, picture_format="png"), photo, result_of())
    drawn = cv2.imread(str(writing.layout.root / "images" / "pair" / "000" / "overlay.png"))
    assert (drawn == 200).all()


def test_a_photo_that_was_removed_is_named(writing: Writing) -> None:
    writing.image.unlink()
    outcome = writing.writer(ONLY_OVERLAYS).begin(writing.photo(2, stored=[0, 1], draws=True))
    assert outcome is not None
    (failure,) = outcome.failures
    assert failure.name == "pair, picture of all people" and str(writing.image) in failure.reason


def test_an_error_of_a_driver_fails_one_picture(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("lost the context")

    monkeypatch.setattr(writing.renderer, "render", broken)
    outcome = writing.write(ONLY_OVERLAYS, writing.photo(1, draws=True), result_of())
    assert states(outcome) == [(0, "ok")]
    assert [one.reason for one in outcome.failures] == ["RuntimeError: lost the context"]


def test_a_photo_at_full_size_is_not_kept_between_batches(writing: Writing) -> None:
    settings = OutputConfig(mesh_format="none", render=False)
    writer, photo = writing.writer(settings), writing.photo(2)
    assert writer.begin(photo) is None
    (held,) = writer._open.values()
    held.pixels()
    writer.let_go()
    assert held._pixels is None and held.pixels().shape == (30, 40, 3)


def test_a_result_of_another_input_goes_although_the_new_fit_fails(writing: Writing) -> None:
    photo = writing.photo(1)
    path = writing.layout.result_path("pair", 0)
    result_of().save(path)
    writing.write(OutputConfig(mesh_format="none", render=False), photo, "no")
    assert path.is_file()  # fitted again by choice
    photo.outcome = replace(photo.outcome, changed=("000",))
    writing.write(OutputConfig(mesh_format="none", render=False), photo, "no")
    assert not path.is_file() and (writing.layout.outdated_path / "results" / "pair" / "000.npz").is_file()
