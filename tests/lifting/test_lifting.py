"""The lifting network: what it sees, how its answer is turned, its file; the shipped one on people of known depth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from smplifyx.body.data import BodyModelData
from smplifyx.errors import InputError
from smplifyx.lifting.lifter import lift, lifting_energy
from smplifyx.lifting.network import (
    LIFTED_KEYPOINTS,
    LiftingNetwork,
    lifting_features,
    load_lifting,
    save_lifting,
    shipped_lifting,
)
from smplifyx.skeleton import CANONICAL_KEYPOINT_NAMES, JOINT_NAMES
from smplifyx.synthetic.people import SyntheticOptions, synthetic_people
from smplifyx.synthetic.poses import mild_poses

N = len(LIFTED_KEYPOINTS)
_NAMES = list(CANONICAL_KEYPOINT_NAMES)


@pytest.fixture(scope="module")
def network() -> LiftingNetwork:
    return load_lifting(shipped_lifting())


def person(turn: Rotation, focal: float = 1000.0) -> torch.Tensor:
    """Pixels [1, 135, 2] of a cloud of keypoints 4 m from the camera, turned with it about the camera."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.5, 0.5, (135, 3)) + np.array([0.0, 0.0, 4.0])
    points = turn.apply(points)
    return torch.as_tensor(focal * points[None, :, :2] / points[None, :, 2:] + 500.0)


def seen(count: int = 135) -> torch.Tensor:
    confidence = torch.zeros(1, 135, dtype=torch.float64)
    confidence[:, :count] = 0.8
    return confidence


def lifted(network: LiftingNetwork, keypoints: torch.Tensor, confidence: torch.Tensor, focal: float = 1000.0):
    size = torch.full((1, 2), focal, dtype=torch.float64), torch.full((1, 2), 500.0, dtype=torch.float64)
    return lift(network, keypoints, confidence, *size)


def test_features_know_neither_place_nor_size_nor_what_is_unseen() -> None:
    points, confidence = torch.rand(2, N, 2), torch.full((2, N), 0.7)
    confidence[:, 3:9] = 0.0
    moved = 3.0 * points + 5.0
    moved[:, 3:9] = 77.0
    features, others = lifting_features(points, confidence), lifting_features(moved, confidence)
    torch.testing.assert_close(features[:, :-1], others[:, :-1], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(others[:, -1] - features[:, -1], torch.full((2,), 3.0).log(), rtol=1e-4, atol=1e-4)


def test_a_turned_camera_turns_the_answer(network: LiftingNetwork) -> None:
    """Pixels are not the same away from the middle of a picture, but what stands there is."""
    middle = lifted(network, person(Rotation.identity()), seen())
    for axis in ([0.4, 0.0, 0.0], [0.0, -0.5, 0.0], [0.2, 0.3, 0.0]):
        turn = Rotation.from_rotvec(axis)
        aside = lifted(network, person(turn), seen())
        # The middle of the points is not exactly straight ahead, so a little roll about it remains.
        expected = turn.apply(middle.joints[0].numpy())
        assert np.abs(aside.joints[0].numpy() - expected).max() < 0.03
        error = torch.rand(21, 3, 1, dtype=torch.float64)
        standard = (middle.sqrt_precision[0] @ error).square().sum()
        turned = (
            (aside.sqrt_precision[0] @ torch.as_tensor(turn.apply(error[..., 0].numpy()))[..., None]).square().sum()
        )
        assert turned.item() == pytest.approx(standard.item(), rel=0.1)


def test_the_focal_length_of_the_pixels_does_not_matter(network: LiftingNetwork) -> None:
    one = lifted(network, person(Rotation.identity()), seen())
    other = lifted(network, person(Rotation.identity(), 300.0), seen(), 300.0)
    torch.testing.assert_close(one.joints, other.joints, rtol=1e-4, atol=1e-4)


def test_the_energy_is_a_mahalanobis_distance() -> None:
    generator = torch.Generator().manual_seed(0)
    joints, expected = (torch.randn(2, n, 3, generator=generator) for n in (55, 21))
    whitening = torch.randn(2, 21, 3, 3, generator=generator)
    energy = lifting_energy(joints, expected, whitening).numpy()
    for row in range(2):
        total = 0.0
        for joint in range(21):
            offset = joints[row, joint + 1] - joints[row, 0] - expected[row, joint]
            precision = whitening[row, joint].T @ whitening[row, joint]
            total += float(offset @ precision @ offset)
        assert energy[row] == pytest.approx(total, rel=1e-4)


def test_a_mirrored_person_has_mirrored_joints(network: LiftingNetwork) -> None:
    names = [name.replace("left_", "?").replace("right_", "left_").replace("?", "right_") for name in _NAMES]
    order = [_NAMES.index(name) for name in names]
    keypoints = person(Rotation.identity())
    image = keypoints[:, order] * torch.tensor([-1.0, 1.0]) + torch.tensor([1000.0, 0.0])
    one, other = lifted(network, keypoints, seen()), lifted(network, image, seen())
    left, right = (JOINT_NAMES.index(f"{side}_wrist") - 1 for side in ("left", "right"))
    flip = torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(one.joints[:, left] * flip, other.joints[:, right], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(one.swapped_sides, other.swapped_sides, rtol=1e-3, atol=1e-4)


def test_nobody_seen_gives_a_finite_answer(network: LiftingNetwork) -> None:
    answer = lifted(network, person(Rotation.identity()), seen(0))
    assert answer.joints.isfinite().all() and answer.sqrt_precision.isfinite().all()
    few, many = (lifted(network, person(Rotation.identity()), seen(n)).sqrt_precision.norm() for n in (2, 25))
    assert few < many


def test_the_shipped_network_knows_depths_and_their_errors(network: LiftingNetwork, open_body: BodyModelData) -> None:
    """On people whose depths it was never told: far better than a flat person, errors as large as it says."""
    people = list(synthetic_people(open_body, 60, SyntheticOptions(seed=5, truncated_share=0.0), mild_poses(seed=5)))
    keypoints = torch.as_tensor(np.stack([one.keypoints_2d for one in people]))
    focal = torch.tensor([[one.focal_length] * 2 for one in people], dtype=torch.float64)
    centre = torch.as_tensor(np.stack([one.principal_point for one in people]))
    answer = lift(network, keypoints[..., :2], keypoints[..., 2], focal, centre)
    joints = torch.as_tensor(np.stack([one.joints[:22] for one in people]))
    truth = joints[:, 1:] - joints[:, :1]
    flat, error = truth[..., 2].abs().mean(), (answer.joints - truth)[..., 2].abs().mean()
    assert error < 0.6 * flat
    standard = lifting_energy(joints, answer.joints, answer.sqrt_precision).mean() / 63
    assert 0.4 < standard < 2.5


def test_a_file_gives_the_network_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = LiftingNetwork(16, 2).eval()
    save_lifting(tmp_path / "lifting.npz", network, "a test")
    again = load_lifting(tmp_path / "lifting.npz")
    features = torch.randn(3, 4 * N + 1)
    torch.testing.assert_close(again(features).joints, network(features).joints, rtol=1e-2, atol=1e-2)


def test_other_files_are_refused(tmp_path: Path, network: LiftingNetwork) -> None:
    path = tmp_path / "lifting.npz"
    with pytest.raises(InputError, match="no such file"):
        load_lifting(path)
    path.write_bytes(b"junk")
    with pytest.raises(InputError, match="not a lifting network"):
        load_lifting(path)
    whole = shipped_lifting().read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="not a lifting network"):
        load_lifting(path)
    np.savez(path, source="x")
    with pytest.raises(InputError, match=r"first\.bias"):
        load_lifting(path)
    with np.load(shipped_lifting()) as file:
        arrays = {name: file[name] for name in file.files if name != "last.1.bias"}
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=r"last\.1\.bias"):
        load_lifting(path)
    np.savez(path, **{"first.bias": np.array([{}], dtype=object)})
    with pytest.raises(InputError, match="not a lifting network"):
        load_lifting(path)
