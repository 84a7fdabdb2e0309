import json
from dataclasses import replace

import numpy as np
import pytest

from smplifyx.evaluation.ehf_layout import TRUTH_FILE, load_true_joints, load_true_rotations, read_benchmark
from smplifyx.evaluation.open_benchmark import (
    OpenBenchmark,
    _tags,
    benchmark_people,
    is_made,
    noise_folder,
    write_benchmark,
)
from smplifyx.keypoints.reading import read_keypoint_file
from smplifyx.output import SoftwareRenderer
from smplifyx.skeleton import BODY_KEYPOINT_NAMES
from smplifyx.synthetic import adults as open_people
from smplifyx.synthetic.people import RestBody, SyntheticOptions, synthetic_people

OPTIONS = OpenBenchmark(n_people=3, seed=4, shapes="components", noise_levels=(0.0, 2.0))


class GreyRenderer:
    """Draws nothing; what pictures look like is the renderer's own test."""

    def render(self, meshes, camera):
        width, height = camera.image_size
        return np.zeros((height, width, 4), np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, open_body):
    folder = tmp_path_factory.mktemp("benchmark")
    write_benchmark(OPTIONS, open_body, folder, GreyRenderer())
    return folder


def test_folder_holds_the_people(folder, open_body):
    people = benchmark_people(OPTIONS, open_body)
    frames = read_benchmark(folder)
    joints, rotations = load_true_joints(folder / TRUTH_FILE), load_true_rotations(folder / TRUTH_FILE)
    assert [frame.name for frame in frames] == ["01", "02", "03"]
    for frame, person in zip(frames, people, strict=True):
        np.testing.assert_allclose(frame.true_vertices(open_body.n_vertices), person.vertices, atol=1e-5)
        np.testing.assert_allclose(joints[frame.name], person.joints, atol=1e-5)
        np.testing.assert_allclose(rotations[frame.name], person.rotations, atol=1e-6)
        assert frame.camera.intrinsics.focal_length == (person.focal_length,) * 2
        assert ("truncated" in frame.tags) == person.truncated
        observation = frame.observation()
        assert observation.image_size == person.image_size
        seen = observation.keypoints[:, 2] > 0
        np.testing.assert_allclose(observation.keypoints[seen], person.keypoints_2d[seen], atol=1e-3)


def test_noise_grows_with_the_level(folder, open_body):
    people = benchmark_people(OPTIONS, open_body)

    def error(level):
        distances = []
        for number, person in enumerate(people, 1):
            file = folder / noise_folder(level) / f"{number:02d}_2Djnt.json"
            found = read_keypoint_file(file).people[0].keypoints[:25]
            seen = found[:, 2] > 0
            size = np.ptp(person.exact_keypoints_2d[:25], axis=0).max()
            distances += list(np.linalg.norm(found[seen, :2] - person.exact_keypoints_2d[:25][seen], axis=1) / size)
        return float(np.median(distances))

    assert error(0.0) < 1e-5
    assert 0.008 < error(2.0) < 0.04


def test_made_once_for_the_same_options(folder):
    assert is_made(OPTIONS, folder)
    assert not is_made(OpenBenchmark(n_people=3, seed=5, shapes="components", noise_levels=(0.0, 2.0)), folder)
    assert not is_made(OPTIONS, folder / "elsewhere")
    described = json.loads((folder / "benchmark.json").read_text())
    assert described["seed"] == 4
    assert described["noise"]["swap_rate"] == 0.02


def test_swapped_sides_are_marked(open_body):
    person = benchmark_people(OPTIONS, open_body)[0]
    names = [f"{side}_{part}" for side in ("left", "right") for part in ("hip", "knee", "ankle")]
    legs = [BODY_KEYPOINT_NAMES.index(name) for name in names]
    swapped_sides = person.keypoints_2d.copy()
    swapped_sides[legs] = swapped_sides[legs[3:] + legs[:3]]
    assert "sides swapped" not in _tags(person)
    assert "sides swapped" in _tags(replace(person, keypoints_2d=swapped_sides))


def test_photo_shows_the_person(tmp_path, open_body):
    import cv2

    write_benchmark(OpenBenchmark(1, 4, None, "components", ()), open_body, tmp_path, SoftwareRenderer())
    frame = read_benchmark(tmp_path)[0]
    photo = cv2.imread(str(frame.image))
    assert photo.shape[1::-1] == frame.observation().image_size
    points = frame.true_vertices(open_body.n_vertices)
    camera = frame.camera.intrinsics
    pixels = points[:, :2] / points[:, 2:] * camera.focal_length + camera.principal_point
    inside = ((pixels >= 2) & (pixels < np.array(photo.shape[1::-1]) - 2)).all(axis=1)
    column, row = np.rint(pixels[inside].T).astype(int)
    wall = np.float32(photo[:, :1]).repeat(photo.shape[1], 1)
    drawn = np.abs(np.float32(photo) - wall).max(axis=2) > 6.0
    assert drawn[row, column].mean() > 0.85
    assert drawn.mean() < 0.6


def test_a_given_body_keeps_its_own_shape_and_joints(open_body):
    """At rest, the person's bones and surface distances are those of the given body."""
    rng = np.random.default_rng(0)
    rest = np.float64(open_body.joint_regressor) @ open_body.v_template
    body = RestBody("female", np.float64(open_body.v_template) * 1.1, rest * 1.1, *rng.normal(0.0, 0.2, (2, 45)))
    person = next(synthetic_people(open_body, 1, SyntheticOptions(seed=1), bodies=[body]))
    assert person.gender == "female"
    shin = np.linalg.norm(person.joints[7] - person.joints[4])
    assert shin == pytest.approx(1.1 * np.linalg.norm(rest[7] - rest[4]), rel=1e-6)
    skull = [int(vertex) for vertex in open_body.extra_point_vertices[3:5]]
    width = np.linalg.norm(np.diff(person.vertices[skull], axis=0))
    assert width == pytest.approx(1.1 * np.linalg.norm(np.diff(open_body.v_template[skull], axis=0)), rel=0.05)


@pytest.fixture(scope="module")
def anny_people():
    pytest.importorskip("anny", reason="the package anny is not installed")
    return open_people.open_people(4, 3)


def test_anny_people_are_adults_beyond_the_components(anny_people, open_body):
    statures = [np.ptp(person.vertices[:, 1]) for person in anny_people]
    assert min(statures) > 1.4
    assert max(statures) < 2.15
    assert [person.gender for person in anny_people] == ["male", "female"] * 2
    for person in anny_people:
        basis = np.float64(open_body.shapedirs).reshape(-1, open_body.shapedirs.shape[2])
        offset = (person.vertices - open_body.v_template).reshape(-1)
        rest = offset - basis @ np.linalg.lstsq(basis, offset, rcond=None)[0]
        distance = np.linalg.norm(rest.reshape(-1, 3), axis=1).mean()
        assert 0.001 < distance < 0.02


def test_anny_people_do_not_depend_on_their_number(anny_people):
    again = open_people.open_people(2, 3)
    np.testing.assert_array_equal(again[1].vertices, anny_people[1].vertices)
    np.testing.assert_array_equal(again[1].left_hand_pose, anny_people[1].left_hand_pose)
    assert not np.allclose(anny_people[0].left_hand_pose, anny_people[2].left_hand_pose)


def test_anny_hands_bend_like_hands(anny_people, open_body):
    """Both hands curl the way of the mean pose: fingers bend towards the palm, mirrored between the sides."""
    for mean, poses in (
        (open_body.left_hand_mean, [person.left_hand_pose for person in anny_people]),
        (open_body.right_hand_mean, [person.right_hand_pose for person in anny_people]),
    ):
        assert np.dot(np.mean(poses, axis=0)[:36], mean[:36]) > 0
