from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from smplifyx.calibration.other_formats import read_camera_parameters, read_qualisys
from smplifyx.evaluation.triangulation import (
    TriangulationOptions,
    associate_people,
    project,
    refine_extrinsics,
    triangulate,
)
from smplifyx.keypoints.reading import read_keypoint_file
from smplifyx.tracking import View
from tests.evaluation.view_folders import ring_of_cameras

REAL = Path(__file__).parents[2].parent / "shared" / "real"
needs_samples = pytest.mark.skipif(not REAL.is_dir(), reason="the shared sample data are not beside the repository")


def seen(cameras: list[View], points: np.ndarray, noise_px: float = 0.0) -> np.ndarray:
    pixels = np.stack([project(camera, points) for camera in cameras])
    pixels = pixels + noise_px * np.random.default_rng(1).normal(size=pixels.shape)
    return np.concatenate([pixels, np.full((*pixels.shape[:2], 1), 0.9)], axis=2)


@pytest.fixture
def person() -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.6, 0.6, size=(25, 3))


def test_triangulation_finds_the_points(person):
    cameras = ring_of_cameras()
    found = triangulate(cameras, seen(cameras, person))
    assert found.valid.all()
    np.testing.assert_allclose(found.points, person, atol=1e-4)


def test_triangulation_takes_a_wrong_view_out(person):
    cameras = ring_of_cameras()
    keypoints = seen(cameras, person)
    keypoints[2, 5, :2] += [200.0, -150.0]
    keypoints[:2, 6, 2] = 0.1
    found = triangulate(cameras, keypoints)
    np.testing.assert_allclose(found.points[5], person[5], atol=1e-3)
    assert np.isnan(found.errors_px[2, 5]) and not found.valid[6]


def test_bystander_is_not_chosen(person):
    cameras = ring_of_cameras()
    keypoints = seen(cameras, person, noise_px=3.0)
    bystander = seen(cameras, person + np.array([0.9, -0.5, 0.0]))
    candidates = [[keypoints[0]], [bystander[1], keypoints[1]], [keypoints[2]], [bystander[3]]]
    assert associate_people(cameras, candidates) == [0, 1, 0, None]


def test_refinement_undoes_a_nudged_tripod(person):
    cameras = ring_of_cameras()
    keypoints = seen(cameras, person, noise_px=1.0)
    nudged = refine_extrinsics(cameras, keypoints)  # nothing to correct: stays within the keypoints' noise
    assert np.nanmedian(triangulate(nudged, keypoints).errors_px) < 2.0
    turn = cv2.Rodrigues(np.array([0.01, 0.0, 0.0]))[0]
    camera = cameras[1]
    cameras[1] = replace(camera, rotation=turn @ camera.rotation, translation=turn @ camera.translation)
    before = triangulate(cameras, keypoints).errors_px[1]
    after = triangulate(refine_extrinsics(cameras, keypoints), keypoints).errors_px[1]
    assert np.nanmedian(after) < 2.0 and np.nanmedian(before) > 8.0


@needs_samples
def test_balancing_trial_agrees_between_views():
    folder = REAL / "pose2sim_single"
    cameras = read_qualisys(folder / "Calib.qca.txt")
    frames = []
    for frame in ("0000", "0040", "0080"):
        files = [folder / "keypoints" / f"cam0{k}_{frame}_keypoints.json" for k in (1, 2, 3, 4)]
        people = [
            [person.keypoints[:25].astype(float) for person in read_keypoint_file(path).people] for path in files
        ]
        choice = associate_people(cameras, people)
        assert choice == [0, 0, 0, 0]
        frames.append(np.stack([view[0] for view in people]))
    refined = refine_extrinsics(cameras, np.concatenate(frames, axis=1))
    for keypoints in frames:
        found = triangulate(refined, keypoints)
        assert found.valid.sum() >= 18
        assert np.nanmedian(found.errors_px) < 9.0
        shank = np.linalg.norm(found.points[10] - found.points[11])
        assert 0.34 < shank < 0.44


@needs_samples
def test_seated_man_agrees_between_views():
    folder = REAL / "mvsmplfitting_17kp"
    cameras = read_camera_parameters(folder / "camera_parameters.txt")
    files = sorted((folder / "keypoints").glob("*.json"))
    keypoints = np.stack([read_keypoint_file(path).people[0].keypoints[:25].astype(float) for path in files])
    found = triangulate(cameras, keypoints, TriangulationOptions(max_error_px=60.0))
    assert found.valid.sum() >= 17
    assert np.nanmedian(found.errors_px) < 10.0
