"""Limbs that a detector took for each other, and the depths that enter a fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import OPEN_BODY_DIR, find_body_model
from smplifyx.camera import Camera
from smplifyx.config import Config
from smplifyx.fitting.fitter import Fitter
from smplifyx.keypoints import Observation
from smplifyx.lifting.lifter import lift, lifting_energy, undo_swap
from smplifyx.lifting.network import load_lifting, shipped_lifting
from smplifyx.priors.vposer import VPoser
from smplifyx.priors.vposer_checkpoints import load_vposer, shipped_weights
from smplifyx.result import FitResult
from smplifyx.skeleton import CANONICAL_KEYPOINT_NAMES
from smplifyx.synthetic.noise import DetectorNoise
from smplifyx.synthetic.people import SyntheticOptions, SyntheticPerson, synthetic_people
from smplifyx.synthetic.poses import PosePool

_DATA = load_body_model_data(find_body_model("smplx", "neutral", OPEN_BODY_DIR))


def index(name: str) -> int:
    return CANONICAL_KEYPOINT_NAMES.index(name)


def people(count: int, **options: object) -> list[SyntheticPerson]:
    """In poses like those of motion capture."""
    codes = torch.randn(100, 32, generator=torch.Generator().manual_seed(0))
    poses = np.float64(VPoser(load_vposer(shipped_weights())).decode(0.8 * codes).axis_angle)
    settings = SyntheticOptions(seed=2, truncated_share=0.0, facing_share=1.0, **options)  # type: ignore[arg-type]
    return list(synthetic_people(_DATA, count, settings, PosePool(poses, np.full(100, 0.01))))


def fit(config: Config, seen: list[SyntheticPerson], keypoints: list[np.ndarray]) -> list[FitResult]:
    observations = [
        Observation(points, one.image_size, Camera(one.focal_length, one.principal_point), stem=one.name)
        for one, points in zip(seen, keypoints, strict=True)
    ]
    return Fitter(_DATA, config=config).fit(observations)


def quick(max_iterations: int, **lifting: float) -> Config:
    config = Config()
    return replace(
        config,
        optimizer=replace(config.optimizer, max_iterations=max_iterations),
        starts=replace(config.starts, depth_flips=0),
        lifting=replace(config.lifting, **lifting),
        collision=replace(config.collision, enabled=False),
    )


def test_only_the_swapped_limbs_change_sides() -> None:
    keypoints = np.random.default_rng(0).random((135, 3), np.float32)
    arms = undo_swap(keypoints, torch.tensor([True, False]))
    legs = undo_swap(keypoints, torch.tensor([False, True]))
    for name in ("elbow", "hand_index3"):
        assert (arms[index(f"left_{name}")] == keypoints[index(f"right_{name}")]).all()
        assert (legs[index(f"left_{name}")] == keypoints[index(f"left_{name}")]).all()
    assert (legs[index("right_heel")] == keypoints[index("left_heel")]).all()
    assert (arms[index("right_heel")] == keypoints[index("right_heel")]).all()
    assert (arms[67:] == keypoints[67:]).all() and (arms[index("left_eye")] == keypoints[index("left_eye")]).all()
    assert (undo_swap(arms, torch.tensor([True, False])) == keypoints).all()


@pytest.mark.parametrize("limbs", ["arms", "legs"])
def test_swapped_limbs_are_found_and_swapped_back(limbs: str) -> None:
    seen = people(8, noise=DetectorNoise(swap_rate=0.0))
    right = [one.keypoints_2d for one in seen]
    flags = torch.tensor([limbs == "arms", limbs == "legs"])
    results = fit(quick(1), seen, [undo_swap(np.float32(points), flags) for points in right])
    found = [f"swapped_{limbs}" in result.flags for result in results]
    assert sum(found) >= 5
    for result, points, was_found in zip(results, right, found, strict=True):
        if was_found:
            np.testing.assert_allclose(result.keypoints_2d, np.float32(points))
    assert not any("swapped" in flag for result in fit(quick(1), seen, right) for flag in result.flags)


def test_lifted_joints_pull_at_the_body() -> None:
    seen = people(4)
    keypoints = [one.keypoints_2d for one in seen]
    weak, strong = (fit(quick(15, weight=weight), seen, keypoints) for weight in (1e-3, 40.0))

    def distance(results: list[FitResult]) -> float:
        points = torch.as_tensor(np.float32(keypoints))
        focal = torch.tensor([[one.focal_length] * 2 for one in seen])
        centre = torch.as_tensor(np.float32([one.principal_point for one in seen]))
        lifted = lift(load_lifting(shipped_lifting()), points[..., :2], points[..., 2], focal, centre)
        joints = torch.as_tensor(np.stack([result.joints for result in results]))
        return float(lifting_energy(joints, lifted.joints, lifted.sqrt_precision).mean())

    assert distance(strong) < 0.7 * distance(weak)


def test_one_start_finds_every_heading() -> None:
    """Where a network tells how the trunk is turned, no other headings are tried."""
    seen = [one for one in people(24, facing_sd_deg=180.0, noise=DetectorNoise(occlusion=False)) if one]
    results = fit(quick(15), seen, [one.keypoints_2d for one in seen])
    errors = []
    for result, one in zip(results, seen, strict=True):
        turn = Rotation.from_rotvec(result.global_orient).inv() * Rotation.from_matrix(one.rotations[0])
        errors.append(np.degrees(turn.magnitude()))
    assert np.median(errors) < 20 and np.sum(np.array(errors) > 90) <= 1
