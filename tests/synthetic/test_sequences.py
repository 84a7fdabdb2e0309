import cv2
import numpy as np
import pytest
import torch
from scipy.stats import kstest

from smplifyx.body.model import BodyOutput
from smplifyx.body.regressor import KeypointRegressor
from smplifyx.errors import InputError
from smplifyx.skeleton import BODY_KEYPOINTS, N_KEYPOINTS, keypoint_index
from smplifyx.synthetic.detector import detect_people
from smplifyx.synthetic.disturbances import DURATIONS, disturb, plan_faults
from smplifyx.synthetic.motion import FPS, clip_motion, clip_motions, mild_motion, stand_on_floor
from smplifyx.synthetic.noise import DetectorNoise
from smplifyx.synthetic.people import keypoints_of
from smplifyx.synthetic.poses import held_out_clips, mild_poses
from smplifyx.synthetic.random_frames import CorrelatedRandom
from smplifyx.synthetic.sequences import SequenceOptions, synthetic_sequence, track_of

N_FRAMES = 20


@pytest.fixture(scope="module")
def motion():
    return mild_motion(mild_poses(), N_FRAMES, np.random.default_rng(0))


@pytest.fixture(scope="module")
def sequence(random_body, motion):
    return synthetic_sequence(random_body, motion, 3, SequenceOptions(n_views=3))


def test_correlated_numbers_keep_their_distributions():
    source = CorrelatedRandom(np.random.default_rng(0), correlation=0.8, share=0.6)
    # Every fiftieth frame is as good as independent.
    assert kstest(source.random((20_000,))[::50], "uniform").pvalue > 0.01
    assert kstest(source.standard_normal((20_000,))[::50], "norm").pvalue > 0.01
    assert kstest(source.standard_t(3, (20_000,))[::50], "t", args=(3,)).pvalue > 0.01
    assert set(source.integers(3, size=(1000,))) == {0, 1, 2}


def test_numbers_are_correlated_in_time_as_asked():
    source = CorrelatedRandom(np.random.default_rng(1), correlation=0.8, share=0.6)
    numbers = source.standard_normal((4000, 20))
    for lag in (1, 2, 5):
        measured = np.mean([np.corrcoef(column[lag:], column[:-lag])[0, 1] for column in numbers.T])
        assert measured == pytest.approx(0.6 * 0.8**lag, abs=0.02)
    assert np.abs(np.corrcoef(numbers.T) - np.eye(20)).max() < 0.15


def test_detected_keypoints_err_alike_in_consecutive_frames():
    points = np.tile(np.random.default_rng(0).uniform(100.0, 900.0, (1, N_KEYPOINTS, 2)), (800, 1, 1))
    noise = DetectorNoise(occlusion=False, swap_rate=0.0)
    source = CorrelatedRandom(np.random.default_rng(2), correlation=0.8, share=0.75)
    errors = (detect_people(points, noise, source).points - points)[:, BODY_KEYPOINTS]
    independent = (detect_people(points, noise, np.random.default_rng(2)).points - points)[:, BODY_KEYPOINTS]
    assert errors.std() == pytest.approx(independent.std(), rel=0.1)
    # Heavy tails make the correlation of the errors a little less than that of the normal numbers behind them.
    assert 0.5 < (errors[1:] * errors[:-1]).mean() / errors.var() < 0.62
    assert abs((independent[1:] * independent[:-1]).mean()) < 0.05 * independent.var()


def test_a_sequence_depends_on_seed_and_number_only(random_body, motion, sequence):
    again = synthetic_sequence(random_body, motion, 3, SequenceOptions(n_views=3))
    np.testing.assert_array_equal(again.keypoints_2d, sequence.keypoints_2d)
    other = synthetic_sequence(random_body, motion, 4, SequenceOptions(n_views=3))
    assert not np.allclose(other.rest_vertices, sequence.rest_vertices)


def test_cameras_project_as_opencv_does(random_body, sequence):
    vertices = torch.as_tensor(sequence.vertices, dtype=torch.float64)
    posed = BodyOutput(torch.as_tensor(sequence.joints), vertices, torch.eye(3).expand(N_FRAMES, 55, 3, 3).double())
    points = keypoints_of(KeypointRegressor(random_body, dtype=torch.float64), posed)[:, BODY_KEYPOINTS]
    for view, seen in zip(sequence.views, sequence.exact_keypoints_2d, strict=True):
        (fx, fy), (cx, cy) = view.camera.focal_length, view.camera.center
        intrinsics = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        turn = cv2.Rodrigues(view.rotation)[0]
        pixels, _ = cv2.projectPoints(points.reshape(-1, 3), turn, view.translation, intrinsics, None)
        np.testing.assert_allclose(seen[:, BODY_KEYPOINTS].reshape(-1, 2), pixels[:, 0], atol=1e-3)


def test_cameras_stand_around_the_person_and_see_all_of_it(sequence):
    places = np.stack([-view.rotation.T @ view.translation for view in sequence.views])
    directions = places - places.mean(axis=0)
    azimuth = np.degrees(np.unwrap(np.arctan2(directions[:, 0], directions[:, 2])))
    np.testing.assert_allclose(np.diff(azimuth), 120.0, atol=1e-6)
    for view in sequence.views:
        pixels = view.camera.project(view.to_camera(sequence.vertices.reshape(-1, 3)))
        assert pixels.min() > 0 and (pixels < view.camera.size).all()


def test_the_shape_is_constant(random_body, motion):
    sequence = synthetic_sequence(random_body, motion, 0, SequenceOptions(expression_sd=0.0))
    bones = np.linalg.norm(np.diff(random_body.joint_regressor[[1, 4, 7]] @ sequence.rest_vertices, axis=0), axis=1)
    moving = np.linalg.norm(np.diff(sequence.joints[:, [1, 4, 7]], axis=1), axis=2)
    np.testing.assert_allclose(moving, np.tile(bones, (N_FRAMES, 1)), atol=1e-9)


def test_feet_stand_and_a_thrown_body_flies():
    heights = np.array([0.0] * 8 + [0.05, 0.1, 0.1, 0.05] + [0.0] * 8)
    foot = np.zeros((len(heights), 1, 3))
    foot[:, 0, 1] = -0.9 - heights  # legs stretch, then are drawn up
    foot[:, 0, 0] = 0.01 * np.arange(len(heights))
    places = stand_on_floor(foot)
    world = foot[:, 0] + places
    assert world[:, 1].min() > -0.03
    assert 0.05 < world[:, 1].max() < 0.3
    standing = world[:, 1] < 0.001
    assert standing[:4].all() and standing[-1]
    np.testing.assert_allclose(world[:4, 0], world[0, 0], atol=1e-3)


def test_motions_fill_small_gaps_and_keep_away_from_long_ones(tmp_path):
    frames = np.array([0, 1, 2, 5, 6, 7, 40, 41, 42, 43])
    poses = np.zeros((10, 63))
    poses[:, 0] = 0.01 * frames
    np.savez(tmp_path / "a.npz", body_pose=poses, frame=frames, clip_index=np.zeros(10, int), clip_names=["16_01"])
    (clip,) = held_out_clips(tmp_path / "a.npz")
    assert clip.subject == "16"
    np.testing.assert_allclose(clip_motion(clip, 0, 8).body_pose[:, 0], 0.01 * np.arange(8), atol=1e-9)
    names = {motion.name for motion in clip_motions([clip], 20, 4, np.random.default_rng(0))}
    assert names == {f"16_01 from {start}" for start in (0, 1, 2, 40)}
    with pytest.raises(ValueError, match="9 frames"):
        clip_motions([clip], 1, 9, np.random.default_rng(0))
    with pytest.raises(InputError, match="subjects 99"):
        held_out_clips(tmp_path / "a.npz", ("99",))


def test_faults_have_their_lengths_and_leave_clean_frames_between():
    for seed in range(20):
        plan = plan_faults(64, np.random.default_rng(seed))
        assert set(plan) == {"", *DURATIONS}
        for kind, (low, high) in DURATIONS.items():
            assert low <= plan.count(kind) <= high
        assert plan[:3] == plan[-3:] == [""] * 3


def test_faults_do_what_they_are_called():
    rng = np.random.default_rng(0)
    keypoints = np.concatenate([rng.uniform(100, 500, (12, 135, 2)), np.full((12, 135, 1), 0.8)], axis=2)
    plan = ["", "swapped", "", "limb", "limb", "", "person", "", "gap", "", "", ""]
    found = disturb(keypoints, plan, rng)
    clean = [number for number, fault in enumerate(plan) if not fault]
    np.testing.assert_array_equal(found[clean], keypoints[clean])
    moved = (found[1] != keypoints[1]).any(axis=1)
    left, right = keypoint_index("left_wrist"), keypoint_index("right_wrist")
    knees = keypoint_index("left_knee"), keypoint_index("right_knee")
    first, second = (left, right) if moved[left] else knees
    np.testing.assert_array_equal(found[1, first], keypoints[1, second])
    gone = found[3:5, :, 2] == 0
    np.testing.assert_array_equal(gone[0], gone[1])
    assert 2 <= gone[0].sum() < 60 and (found[6] != keypoints[6]).any() and not found[8].any()


def test_tracks_carry_cameras_and_gaps(sequence):
    track = track_of(sequence, [2, 0])
    assert [view.name for view in track.views] == ["cam2", "cam0"] and track.fps == FPS
    fault = sequence.faults[2].index("gap") if "gap" in sequence.faults[2] else None
    if fault is not None:
        assert track.observations[fault][0] is None
    seen = next(row[1] for row in track.observations if row[1] is not None)
    assert seen.camera == sequence.views[0].camera
    single = track_of(sequence, [1], with_camera=False)
    assert single.views[0].camera is None and single.observations[0][0].camera is None
