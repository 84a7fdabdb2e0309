"""The picture of all people of a photo, over several runs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from smplifyx.cli.result_writer import GroupOverlays, PersonWriter
from smplifyx.config import load_config
from smplifyx.fitting.result import FitResult
from smplifyx.keypoints import Observation
from smplifyx.output import OutputLayout, person_color, save_result


class RecordingRenderer:
    def __init__(self) -> None:
        self.meshes = []

    def render(self, meshes, camera):
        self.meshes.append(list(meshes))
        width, height = camera.image_size
        return np.zeros((height, width, 4), np.uint8)


class FakeFitter:
    """Its bodies are three points, told apart by the gender they were asked of."""

    faces = np.array([[0, 1, 2]])

    def __init__(self, gender: str) -> None:
        self.gender = gender

    def vertices(self, result: FitResult) -> np.ndarray:
        assert result.gender == self.gender
        return np.eye(3) + (10.0 if self.gender == "male" else 0.0)


def _result(gender: str) -> FitResult:
    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.float32)

    return FitResult(
        model_type="smplx", model_name="open body", gender=gender, betas=zeros(10), expression=zeros(10),
        global_orient=zeros(3), body_pose=zeros(63), jaw_pose=zeros(3), leye_pose=zeros(3), reye_pose=zeros(3),
        left_hand_pose=zeros(45), right_hand_pose=zeros(45), left_hand_pca=zeros(12), right_hand_pca=zeros(12),
        body_pose_embedding=None, camera_translation=np.array([0, 0, 3], np.float32), camera_rotation=np.eye(3),
        focal_length=np.array([50.0, 50.0]), principal_point=np.array([20.0, 15.0]), image_size=np.array([40, 30]),
        joints=zeros(55, 3), keypoints_2d=zeros(135, 3), projected_keypoints_2d=zeros(135, 2), loss=1.0,
        stage_losses=zeros(5), n_evaluations=1, converged=True, flags=(), seconds=1.0, reprojection_error_px=1.0,
        n_keypoints=100, status="ok",
    )  # fmt: skip


@pytest.fixture
def photo(tmp_path) -> Path:
    path = tmp_path / "pair.png"
    cv2.imwrite(str(path), np.full((30, 40, 3), 90, np.uint8))
    return path


@pytest.fixture
def writer(tmp_path) -> PersonWriter:
    return PersonWriter(OutputLayout(tmp_path / "out"), load_config().output, RecordingRenderer())


def _person(photo: Path, number: int, stem: str = "pair") -> Observation:
    return Observation(np.zeros((135, 3)), (40, 30), image_path=photo, person_index=number, stem=stem)


def _fitted(writer: PersonWriter, one: Observation, gender: str = "neutral") -> None:
    path = writer.layout.result_path(one.stem, one.person_index)
    save_result(_result(gender), one.image_path, one.keypoint_path, "0", path)


def test_drawn_once_the_last_person_is_fitted(writer, photo):
    people = [_person(photo, 0), _person(photo, 1), _person(photo, 0, "alone")]
    overlays = GroupOverlays(people, people, writer, FakeFitter)
    assert overlays.draw_missing() == []
    _fitted(writer, people[0])
    assert overlays.finished(people[:1]) == [] and not writer.has_group("pair")
    _fitted(writer, people[1], "male")
    _fitted(writer, people[2])
    assert overlays.finished(people[1:]) == []
    assert writer.has_group("pair") and not writer.has_group("alone")
    (meshes,) = writer.renderer.meshes
    assert [mesh.color for mesh in meshes] == [person_color(0), person_color(1)]
    np.testing.assert_allclose(meshes[0].vertices, np.eye(3) + np.array([0, 0, 3]))
    np.testing.assert_allclose(meshes[1].vertices, np.eye(3) + np.array([10, 10, 13]))


def test_people_of_an_earlier_run_are_drawn_too(writer, photo):
    people = [_person(photo, 0), _person(photo, 1)]
    _fitted(writer, people[1])
    overlays = GroupOverlays(people, people[:1], writer, FakeFitter)
    assert overlays.draw_missing() == [] and not writer.has_group("pair")
    _fitted(writer, people[0])
    overlays.finished(people[:1])
    assert len(writer.renderer.meshes[0]) == 2


def test_what_a_stopped_run_left_undrawn_is_drawn_first_and_only_then(writer, photo):
    people = [_person(photo, 0), _person(photo, 1)]
    for one in people:
        _fitted(writer, one)
    for _ in range(2):
        GroupOverlays(people, [], writer, FakeFitter).draw_missing()
    assert writer.has_group("pair") and len(writer.renderer.meshes) == 1


def test_a_person_that_failed_leaves_no_group(writer, photo):
    people = [_person(photo, 0), _person(photo, 1)]
    _fitted(writer, people[0])
    assert GroupOverlays(people, people, writer, FakeFitter).finished(people) == []
    assert not writer.has_group("pair")


def test_a_photo_that_went_away_is_named(writer, photo):
    people = [_person(photo, 0), _person(photo, 1)]
    for one in people:
        _fitted(writer, one)
    photo.unlink()
    (problem,) = GroupOverlays(people, people, writer, FakeFitter).finished(people)
    assert problem.startswith("pair, overlay of all people: ") and str(photo) in problem


def test_nothing_is_drawn_where_no_pictures_are_wanted(tmp_path, photo):
    writer = PersonWriter(OutputLayout(tmp_path / "out"), load_config().output, None)
    people = [_person(photo, 0), _person(photo, 1)]
    for one in people:
        _fitted(writer, one)
    assert GroupOverlays(people, people, writer, FakeFitter).finished(people) == []
    assert not writer.has_group("pair")
