from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from smplifyx.body.model import BodyModel
from smplifyx.errors import InputError
from smplifyx.evaluation.scores import score
from smplifyx.keypoints.reading import read_keypoint_file
from smplifyx.priors import HELD_OUT_SUBJECTS
from smplifyx.skeleton import (
    BODY_KEYPOINT_NAMES,
    BODY_KEYPOINTS,
    CANONICAL_KEYPOINT_NAMES,
    FACE_KEYPOINTS,
    LEFT_HAND_KEYPOINTS,
)
from smplifyx.synthetic.detector import Sight, detect
from smplifyx.synthetic.documents import write_openpose_json
from smplifyx.synthetic.noise import DetectorNoise
from smplifyx.synthetic.people import SyntheticOptions, hidden_by_body, synthetic_people
from smplifyx.synthetic.poses import held_out_clips, held_out_poses, mild_poses

MOCAP = Path(__file__).parents[2].parent / "shared" / "mocap" / "cmu_body_pose.npz"
CLEAN = DetectorNoise(0.0, 0.0, 0.0, occlusion=False, hand_miss_rate=0.0, swap_rate=0.0, min_part_px=0.0)
IMAGE_SIZE = (1000, 800)


@pytest.fixture(scope="module")
def people(random_body):
    return list(synthetic_people(random_body, 20, SyntheticOptions(seed=3)))


def test_truth_reproduces_the_mesh(random_body, people):
    model = BodyModel.from_data(random_body, torch.float64)
    for person in people[:5]:
        row = [torch.as_tensor(getattr(person, name))[None] for name in ("betas", "expression", "rotations")]
        output = model(*row, torch.as_tensor(person.translation)[None])
        np.testing.assert_allclose(output.vertices[0], person.vertices, atol=1e-9)
        np.testing.assert_allclose(output.joints[0], person.joints, atol=1e-9)


def test_projection_agrees_with_opencv(people):
    for person in people[:5]:
        focal, (cx, cy) = person.focal_length, person.principal_point
        intrinsics = np.array([[focal, 0, cx], [0, focal, cy], [0, 0, 1]])
        pixels, _ = cv2.projectPoints(person.keypoints, np.zeros(3), np.zeros(3), intrinsics, None)
        np.testing.assert_allclose(person.exact_keypoints_2d, pixels[:, 0], atol=1e-6)


def test_people_fill_the_image_as_asked(people):
    options = SyntheticOptions()
    for person in people:
        extent = (np.ptp(person.exact_keypoints_2d, axis=0) / person.image_size).max()
        low, high = options.truncated_extent_range if person.truncated else options.extent_range
        nearest = person.vertices[:, 2].min()
        # A person who would come too near the lens stays smaller.
        assert low - 0.02 <= extent <= high + 0.02 or nearest < 0.6
        longer = max(person.image_size)
        assert 0.8 * longer <= person.focal_length <= 3.0 * longer
    assert 0 < sum(person.truncated for person in people) < len(people)


def test_a_person_depends_on_seed_and_number_only(random_body, people):
    again = list(synthetic_people(random_body, 3, SyntheticOptions(seed=3)))
    # Batches of other sizes may differ in the last bits.
    np.testing.assert_allclose(again[2].keypoints_2d, people[2].keypoints_2d, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(again[2].vertices, people[2].vertices, rtol=0, atol=1e-9)
    other = next(synthetic_people(random_body, 1, SyntheticOptions(seed=4)))
    assert not np.allclose(other.betas, people[0].betas)


def test_people_stand_upright_and_face_the_camera(random_body):
    options = SyntheticOptions(facing_share=1.0, facing_sd_deg=1.0, tilt_sd_deg=1.0)
    for person in synthetic_people(random_body, 10, options):
        up, face = person.rotations[0, :, 1], person.rotations[0, :, 2]
        assert up[1] < -0.8 and face[2] < -0.8


def test_higher_cameras_look_down(random_body):
    options = SyntheticOptions(tilt_sd_deg=0.0, pitch_sd_deg=0.0, roll_sd_deg=0.0, camera_height_range=(2.2, 2.2))
    for person in synthetic_people(random_body, 5, options):
        assert person.rotations[0, 2, 1] < 0.0  # the head is nearer than the feet


def test_scoring(random_body, people):
    person = people[0]
    perfect = score(person, person.vertices, person.joints)
    assert max(abs(value) for value in perfect.values()) == pytest.approx(0.0, abs=1e-4)
    scale = 1.1
    larger = score(person, person.vertices * scale, person.joints * scale)
    assert larger["pa_v2v_mm"] == pytest.approx(0.0, abs=1e-6)
    assert larger["v2v_pelvis_mm"] > 10.0
    assert larger["depth_percent"] == pytest.approx(10.0) and larger["size_percent"] == pytest.approx(10.0)
    with pytest.raises(ValueError, match=r"\[B, N, 3\]"):
        score(person, person.vertices[:-1], person.joints)


def test_openpose_files_read_back(people, tmp_path):
    path = tmp_path / "image_keypoints.json"
    write_openpose_json(people[:2], path)
    read = read_keypoint_file(path).people
    assert len(read) == 2
    for entry, person in zip(read, people, strict=False):
        np.testing.assert_allclose(entry.keypoints, person.keypoints_2d, atol=1e-3)


def sight(seed: int = 0, hidden: bool = False) -> Sight:
    pixels = np.random.default_rng(seed).uniform([300, 100], [600, 700], size=(135, 2))
    return Sight(pixels, np.full(135, hidden), IMAGE_SIZE)


def test_noise_has_the_asked_size():
    noise = replace(CLEAN, body_jitter=0.007, hand_jitter=0.0025, face_jitter=0.0015)
    rng = np.random.default_rng(0)
    box = np.ptp(sight().pixels[BODY_KEYPOINTS], axis=0).max()
    errors = np.stack([detect(sight(), noise, rng)[:, :2] - sight().pixels for _ in range(400)]) / box
    spread = errors.std(axis=(0, 2))
    assert spread[BODY_KEYPOINT_NAMES.index("left_knee")] == pytest.approx(0.007, rel=0.15)
    assert spread[LEFT_HAND_KEYPOINTS].mean() == pytest.approx(0.0025, rel=0.1)
    assert spread[FACE_KEYPOINTS].mean() == pytest.approx(0.0015, rel=0.1)


def test_a_clean_detector_is_exact():
    keypoints = detect(sight(), CLEAN, np.random.default_rng(0))
    np.testing.assert_array_equal(keypoints[:, :2], sight().pixels)
    assert (keypoints[:, 2] > 0.3).all()


def test_points_outside_the_image_are_missed():
    narrow = replace(sight(), image_size=(450, 800))
    keypoints = detect(narrow, CLEAN, np.random.default_rng(0))
    outside = narrow.pixels[:, 0] >= 450
    assert outside.any() and (keypoints[outside] == 0.0).all() and (keypoints[~outside, 2] > 0.0).all()


def test_hidden_points_are_missed_or_doubted():
    noise = replace(CLEAN, occlusion=True, body_miss_rate=0.35)
    rng = np.random.default_rng(0)
    confidence = np.stack([detect(sight(hidden=True), noise, rng)[:25, 2] for _ in range(300)])
    knee = confidence[:, BODY_KEYPOINT_NAMES.index("left_knee")]
    assert (knee == 0).mean() == pytest.approx(0.35, abs=0.07)
    assert knee[knee > 0].mean() < 0.6
    assert (confidence[:, BODY_KEYPOINT_NAMES.index("nose")] == 0).mean() > 0.9


def test_swaps_exchange_whole_limbs():
    noise = replace(CLEAN, swap_rate=1.0)
    left, right = (BODY_KEYPOINT_NAMES.index(f"{side}_elbow") for side in ("left", "right"))
    knees = [BODY_KEYPOINT_NAMES.index(f"{side}_knee") for side in ("left", "right")]
    arms = legs = 0
    for seed in range(20):
        found, exact = detect(sight(), noise, np.random.default_rng(seed))[:, :2], sight().pixels
        arms += np.array_equal(found[left], exact[right])
        legs += np.array_equal(found[knees], exact[knees[::-1]])
    assert arms + legs == 20 and arms and legs


def test_a_wall_hides_what_is_behind_it():
    x, y = np.meshgrid(np.linspace(-0.5, 0.5, 80), np.linspace(-0.5, 0.5, 80))
    wall = np.column_stack([x.ravel(), y.ravel(), np.full(x.size, 3.0)])
    points = np.random.default_rng(0).uniform([-0.4, -0.4, 3.3], [0.4, 0.4, 3.3], size=(135, 3))
    points[::2, 2] = 2.9
    points[1, :2] = 1.0  # beside the wall
    hidden = hidden_by_body(points, wall, 1500.0, np.array([500.0, 400.0]))
    assert not hidden[::2].any() and hidden[3::2].all()
    assert not hidden[1]
    some = np.arange(0, 135, 7)
    names = [CANONICAL_KEYPOINT_NAMES[index] for index in some]
    few = hidden_by_body(points[some], wall, 1500.0, np.array([500.0, 400.0]), names)
    np.testing.assert_array_equal(few, hidden[some])


def test_mild_poses_are_deterministic():
    a, b = mild_poses(50, seed=5), mild_poses(50, seed=5)
    np.testing.assert_array_equal(a.body_pose, b.body_pose)
    assert a.body_pose.shape == (50, 63) and a.weights.sum() == pytest.approx(1.0)


def test_damaged_motion_capture_is_named(tmp_path):
    path = tmp_path / "poses.npz"
    np.savez(path, body_pose=np.zeros((2, 63)), clip_index=np.zeros(2, int), clip_names=np.array(["77_01"]))
    with pytest.raises(InputError, match="clip_names"):
        held_out_poses(path)
    np.savez(path, body_pose=np.zeros((2, 63)))
    with pytest.raises(InputError, match="not a motion-capture file"):
        held_out_poses(path)
    arrays = {"body_pose": np.zeros((2, 63)), "clip_index": np.zeros(2, int), "clip_names": np.array(["06_1"])}
    for name, wrong in (("body_pose", np.zeros((2, 66))), ("clip_index", np.zeros(3, int)), ("clip_index", [0, 1])):
        np.savez(path, **{**arrays, name: wrong})
        with pytest.raises(InputError, match=rf"poses.npz: {name}: expected"):
            held_out_poses(path)
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=r"poses.npz: frame: expected the number of each frame"):
        held_out_clips(path)
    assert len(held_out_poses_of_one(tmp_path).weights) == 2


def held_out_poses_of_one(folder: Path):
    path = folder / "one.npz"
    np.savez(path, body_pose=np.zeros((3, 63)), clip_index=np.array([0, 0, 1]), clip_names=np.array(["06_1", "5_2"]))
    return held_out_poses(path)


@pytest.mark.skipif(not MOCAP.is_file(), reason="the shared sample random_body are not beside the repository")
def test_held_out_poses_of_the_motion_capture():
    pool = held_out_poses(MOCAP)
    assert len(pool.body_pose) > 5000 and pool.weights.sum() == pytest.approx(1.0)
    only_one = held_out_poses(MOCAP, HELD_OUT_SUBJECTS[:1])
    assert len(only_one.body_pose) < len(pool.body_pose)
