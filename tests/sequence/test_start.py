"""The start of a track: the place that all views agree on, bodies between others, and the path through candidates."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from smplifyx.fitting.fitter import Fitter
from smplifyx.sequence import start
from smplifyx.sequence.consensus import consensus_residuals
from smplifyx.sequence.evidence import Evidence, agreement, observed_with_cameras
from smplifyx.sequence.start import best_place, interpolated, lowest_path
from tests.sequence.moving_people import MovingPerson, moving_person, with_keypoints
from tests.sequence.test_world import random_poses


def evidence_of(fitter: Fitter, person: MovingPerson) -> Evidence:
    observed, cameras = observed_with_cameras(person.track, fitter.config.camera, fitter.config.people)
    targets = fitter.initial_hypotheses([one for _, _, one in observed]).targets
    return Evidence.of(person.track, observed, targets, cameras)


def cheapest_path(
    frame: NDArray[np.int64], loss: NDArray[np.float64], joints: NDArray[np.float64], places: NDArray[np.float64]
) -> list[int]:
    """The path of lowest cost, by trying all; no frame is passed over."""
    groups = [np.flatnonzero(frame == number) for number in np.unique(frame)]
    costs = []
    for path in itertools.product(*groups):
        own = sum(loss[one] - loss[group].min() for one, group in zip(path, groups, strict=True))
        motion = sum(
            start._motion(joints[b] - joints[a], places[b] - places[a], int(frame[b] - frame[a]), 30.0)
            for a, b in itertools.pairwise(path)
        )
        costs.append((float(own + motion), path))
    return [int(one) for one in min(costs)[1]]


def test_path_is_the_cheapest_of_all() -> None:
    rng = np.random.default_rng(0)
    frame = np.repeat([0, 1, 2, 4], 3)
    joints, places = 0.02 * rng.normal(size=(12, 5, 3)), 0.1 * rng.normal(size=(12, 3))
    loss = 300.0 * rng.random(12)
    expected = cheapest_path(frame, loss, joints, places)
    np.testing.assert_array_equal(lowest_path(frame, loss, joints, places, 30.0), expected)


def test_path_passes_over_a_frame_that_agrees_with_no_neighbour() -> None:
    rng = np.random.default_rng(1)
    joints = 0.3 * rng.normal(size=(1, 21, 3)) + 0.01 * rng.normal(size=(8, 21, 3))
    joints[4] = 0.3 * rng.normal(size=(21, 3))
    path = lowest_path(np.arange(8), np.full(8, 1e4), joints, np.zeros((8, 3)), 30.0)
    assert path.tolist() == [0, 1, 2, 3, 5, 6, 7]


def test_fast_motion_is_not_passed_over() -> None:
    joints = np.zeros((12, 21, 3))
    joints[6:, 19:, 0] = 0.25  # a punch of 7.5 m/s
    joints[7:, 19:, 0] = 0.5
    assert len(lowest_path(np.arange(12), np.full(12, 1e4), joints, np.zeros((12, 3)), 30.0)) == 12


def test_no_frame_is_passed_over_where_frames_are_far_apart_in_time() -> None:
    rng = np.random.default_rng(2)
    joints, places = 0.3 * rng.normal(size=(10, 21, 3)), 0.5 * rng.normal(size=(10, 3))
    assert len(lowest_path(np.arange(10), np.full(10, 1e4), joints, places, 1.5)) == 10


def test_a_fall_is_followed_and_somebody_else_is_not() -> None:
    joints, places = np.zeros((30, 21, 3)), np.zeros((30, 3))
    seconds = np.maximum(np.arange(30) - 8, 0) / 30.0
    places[:, 1] = np.minimum(0.5 * 9.81 * seconds**2, 2.0)  # from two metres onto the ground
    assert len(lowest_path(np.arange(30), np.full(30, 1e4), joints, places, 30.0)) == 30
    places[20] += (1.5, 0.0, 0.0)
    path = lowest_path(np.arange(30), np.full(30, 1e4), joints, places, 30.0)
    assert path.tolist() == [frame for frame in range(30) if frame != 20]


def test_place_is_found_from_one_view_and_from_several(plain_fitter: Fitter) -> None:
    for n_views in (1, 3):
        person = moving_person(2, n_views, noise_px=0.0)
        evidence = evidence_of(plain_fitter, person)
        # The pixels of joints stand in for keypoints.
        points = torch.as_tensor(person.joints[:, :25] - person.joints[:, :1])
        targets = evidence.data.targets.of_keypoints(list(range(25)))
        pixels = [
            person.track.views[row % n_views].camera.project(  # type: ignore[union-attr]
                person.track.views[row % n_views].to_camera(person.joints[row // n_views, :25])
            )
            for row in range(2 * n_views)
        ]
        targets = replace(
            targets, keypoints=torch.as_tensor(np.stack(pixels)), confidence=torch.ones(2 * n_views, 25)
        )
        place = best_place(points, targets, person.track.views, torch.zeros(2, 3).double())
        np.testing.assert_allclose(place.numpy(), person.joints[:, 0], atol=1e-4)


def test_bodies_between_two_others(plain_fitter: Fitter) -> None:
    poses = random_poses(plain_fitter, 2)
    every = interpolated(plain_fitter.solver, poses, np.array([1, 3]), 6)
    np.testing.assert_allclose(every.pelvis[2], poses.pelvis.mean(0))
    for frame, same in ((0, 0), (1, 0), (3, 1), (5, 1)):
        torch.testing.assert_close(every.x[frame], poses.x[same])
    ends = Rotation.from_matrix(poses.orientation.numpy())
    middle = Rotation.from_matrix(every.orientation[2].numpy())
    half = (ends[0].inv() * ends[1]).magnitude() / 2
    np.testing.assert_allclose([(ends[k].inv() * middle).magnitude() for k in range(2)], half, atol=1e-6)


def test_views_that_agree_keep_their_weight(plain_fitter: Fitter) -> None:
    evidence = evidence_of(plain_fitter, moving_person(3, 4))
    assert np.nanmax(consensus_residuals(evidence.data.targets, evidence.data.views)) < 10.0
    assert agreement(evidence, plain_fitter.config.sequence).min() == 1.0


def test_a_keypoint_that_the_other_views_contradict_loses_its_confidence(plain_fitter: Fitter) -> None:
    person = moving_person(2, 4)
    observed = person.track.observations[1][2]
    assert observed is not None
    wrist = observed.keypoints.copy()
    wrist[4, 0] += 100.0  # 25 cm
    evidence = evidence_of(plain_fitter, with_keypoints(person, 1, wrist, 2))
    confidence = evidence.with_consensus(np.ones((2, 4))).data.targets.confidence.unflatten(0, (2, 4))[..., :25]
    assert float(confidence[1, 2, 4]) < 0.1
    confidence[1, 2, 4] = 1.0
    assert float(confidence.min()) > 0.95


def test_a_hand_that_is_not_at_the_wrist_of_the_other_views_loses_its_confidence(plain_fitter: Fitter) -> None:
    person = moving_person(2, 4)
    for view in range(4):  # two views see the left hand: one at the wrist, one elsewhere
        observed = person.track.observations[1][view]
        assert observed is not None
        keypoints = observed.keypoints.copy()
        keypoints[25:67] = 0.0
        if view < 2:
            keypoints[25:46] = (*(keypoints[7, :2] + 150.0 * view), 0.9)
        person = with_keypoints(person, 1, keypoints, view)
    evidence = evidence_of(plain_fitter, person)
    before = evidence.data.targets.confidence.unflatten(0, (2, 4))[1, :, 25:46]
    after = evidence.with_consensus(np.ones((2, 4))).data.targets.confidence.unflatten(0, (2, 4))[1, :, 25:46]
    assert float(before[:2].min()) > 0.5 and float(before[2:].max()) == 0.0
    torch.testing.assert_close(after[0], before[0], rtol=0.02, atol=0)
    assert float(after[1].max()) < 0.1


def test_a_view_that_disagrees_in_one_frame_or_in_all_counts_nothing(plain_fitter: Fitter) -> None:
    person = moving_person(4, 5)
    for frame, view in [(2, 1), *((frame, 3) for frame in range(4))]:
        observed = person.track.observations[frame][view]
        assert observed is not None
        person = with_keypoints(person, frame, observed.keypoints + np.array([90.0, 30.0, 0.0], np.float32), view)
    weights = agreement(evidence_of(plain_fitter, person), plain_fitter.config.sequence)
    expected = np.ones((4, 5))
    expected[2, 1] = expected[:, 3] = 0.0
    np.testing.assert_array_equal(weights, expected)
