"""The pose blend shapes: on tubes whose right answer is known, and on the body that ships."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from smplifyx.body.data import BodyModelData
from smplifyx.body.model import BodyModel
from smplifyx.skeleton import BODY_JOINTS, MIRRORED_JOINTS, N_JOINTS, PARENTS, joint_index
from tools.bodies.correctives import PoseCorrectives, fit_pose_correctives
from tools.bodies.pose_targets import SkinnedMesh, TargetSkinning, centers_of_rotation, random_poses

MIRROR = np.array([-1.0, 1.0, 1.0])
RADIUS, ELBOW = 0.04, 0.4
MOCAP = Path(__file__).resolve().parents[4] / "shared" / "mocap" / "cmu_body_pose.npz"


def rotations_of(**degrees: tuple[float, float, float]) -> np.ndarray:
    """[55, 3, 3] with the named joints turned by axis-angles in degrees."""
    vectors = np.zeros((N_JOINTS, 3))
    for name, angles in degrees.items():
        vectors[joint_index(name)] = np.radians(angles)
    return Rotation.from_rotvec(vectors).as_matrix()


def mirrored(rotations: np.ndarray) -> np.ndarray:
    flip = np.diag(MIRROR)
    return flip @ rotations[..., MIRRORED_JOINTS, :, :] @ flip


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    return float(trimesh.Trimesh(vertices, faces, process=False).volume)


def pose(mesh: SkinnedMesh, rotations: np.ndarray, correctives: PoseCorrectives | None = None) -> np.ndarray:
    """[N, V, 3] linear blend skinning, with or without pose blend shapes."""
    template = np.broadcast_to(mesh.template, (len(rotations), *mesh.template.shape))
    if correctives is not None:
        features = (rotations[:, 1:] - np.eye(3)).reshape(len(rotations), -1) @ correctives.pose_projection.T
        template = template + np.einsum("nr,vcr->nvc", features, correctives.posedirs)
    matrices, moves = mesh.blended_transforms(rotations)
    return np.einsum("nvab,nvb->nva", matrices, template) + moves


def closed_tube() -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles of a tube along x from the shoulder at 0.1 m to the wrist at 0.7 m."""
    n_rings, sections = 61, 24
    x, angles = np.meshgrid(np.linspace(0.1, 0.7, n_rings), np.arange(sections) * 2 * np.pi / sections, indexing="ij")
    skin = np.stack([x, RADIUS * np.cos(angles), RADIUS * np.sin(angles)], axis=-1).reshape(-1, 3)
    first, second = np.arange(sections), (np.arange(sections) + 1) % sections
    faces = []
    for start in sections * np.arange(n_rings - 1):
        faces += [np.stack([first, second, second + sections], 1) + start]
        faces += [np.stack([first, second + sections, first + sections], 1) + start]
    last, ends = len(skin) - sections, np.full(sections, len(skin))
    faces += [np.stack([ends, second, first], 1), np.stack([ends + 1, first + last, second + last], 1)]
    return np.concatenate([skin, [[0.1, 0, 0], [0.7, 0, 0]]]), np.concatenate(faces)


@pytest.fixture(scope="module")
def arms() -> SkinnedMesh:
    """Two tubes with an elbow in the middle."""
    left, faces = closed_tube()
    assert volume(left, faces) == pytest.approx(np.pi * RADIUS**2 * 0.6, rel=0.02)
    share = np.clip((left[:, 0] - ELBOW) / 0.12 + 0.5, 0, 1)
    weights, joints = np.zeros((2, len(left), N_JOINTS)), np.zeros((N_JOINTS, 3))
    for number, (side, sign) in enumerate((("left", 1), ("right", -1))):
        shoulder, elbow = joint_index(f"{side}_shoulder"), joint_index(f"{side}_elbow")
        weights[number, :, shoulder], weights[number, :, elbow] = 1 - share, share
        joints[shoulder], joints[elbow] = (0.1 * sign, 0, 0), (ELBOW * sign, 0, 0)
    return SkinnedMesh(
        template=np.concatenate([left, left * MIRROR]),
        faces=np.concatenate([faces, faces[:, ::-1] + len(left)]),
        joints=joints,
        weights=weights.reshape(-1, N_JOINTS),
        parents=np.array(PARENTS),
    )


@pytest.fixture(scope="module")
def arm_correctives(arms: SkinnedMesh) -> PoseCorrectives:
    return fit_pose_correctives(arms.template, arms.faces, arms.joints, arms.weights, arms.parents)


@pytest.fixture(scope="module")
def body_mesh(open_body: BodyModelData) -> SkinnedMesh:
    template, weights = open_body.v_template.astype(float), open_body.skinning_weights.astype(float)
    return SkinnedMesh(template, open_body.faces, open_body.joint_regressor @ template, weights, open_body.parents)


@pytest.fixture(scope="module")
def shipped(open_body: BodyModelData) -> PoseCorrectives:
    assert open_body.pose_projection is not None
    return PoseCorrectives(open_body.posedirs, open_body.pose_projection)


def test_a_tube_turns_about_its_axis(arms: SkinnedMesh) -> None:
    # Towards the ends of the bend the vertices alike lie on one side only.
    bending = arms.weights.max(axis=1) < 0.9
    centers = centers_of_rotation(arms)[bending]
    np.testing.assert_allclose(centers[:, 1:], 0, atol=1e-6)
    np.testing.assert_allclose(centers[:, 0], arms.template[bending, 0], atol=0.003)


def test_target_keeps_the_radius_of_a_twisted_tube(arms: SkinnedMesh) -> None:
    twisted = rotations_of(left_elbow=(90, 0, 0))[None]
    middle = np.flatnonzero(np.isclose(arms.template[:, 0], ELBOW, atol=1e-6))
    radius = {
        name: np.linalg.norm(vertices[0, middle, 1:], axis=1)
        for name, vertices in (("linear", pose(arms, twisted)), ("target", TargetSkinning.of(arms)(twisted)))
    }
    np.testing.assert_allclose(radius["linear"], RADIUS * np.cos(np.radians(45)), rtol=1e-6)
    np.testing.assert_allclose(radius["target"], RADIUS, rtol=0.02)


def test_target_turns_with_the_body(arms: SkinnedMesh) -> None:
    bent = rotations_of(left_elbow=(20, -70, 10))[None]
    turn = Rotation.from_rotvec([0.3, 1.2, -2.0]).as_matrix()
    turned = bent.copy()
    turned[:, 0] = turn
    target = TargetSkinning.of(arms)
    np.testing.assert_allclose(target(turned)[0], target(bent)[0] @ turn.T, atol=1e-6)


@pytest.mark.parametrize(
    ("degrees", "lost_without", "lost_with"),
    # Linear blending takes this share of the volume at least, the correctives leave this at most.
    [((90, 0, 0), 0.05, 0.015), ((0, -90, 0), 0.03, 0.02), ((0, -120, 0), 0.05, 0.035)],
)
def test_correctives_keep_a_tube_from_collapsing(
    arms: SkinnedMesh,
    arm_correctives: PoseCorrectives,
    degrees: tuple[float, float, float],
    lost_without: float,
    lost_with: float,
) -> None:
    bent = rotations_of(left_elbow=degrees)[None]
    left_faces = arms.faces[: len(arms.faces) // 2]
    at_rest = volume(arms.template, left_faces)
    assert 1 - volume(pose(arms, bent)[0], left_faces) / at_rest > lost_without
    assert abs(1 - volume(pose(arms, bent, arm_correctives)[0], left_faces) / at_rest) < lost_with


def test_fit_is_deterministic_symmetric_and_local(arms: SkinnedMesh, arm_correctives: PoseCorrectives) -> None:
    again = fit_pose_correctives(arms.template, arms.faces, arms.joints, arms.weights, arms.parents)
    dense, dense_again = (one.posedirs @ one.pose_projection for one in (arm_correctives, again))
    np.testing.assert_allclose(dense_again, dense, atol=1e-6)
    moving = np.abs(arm_correctives.pose_projection).reshape(-1, N_JOINTS - 1, 9).sum(axis=(0, 2)).nonzero()[0] + 1
    assert set(moving) == {joint_index("left_elbow"), joint_index("right_elbow")}
    far = np.abs(np.abs(arms.template[:, 0]) - ELBOW) > 0.15
    assert not arm_correctives.posedirs[far].any()


def test_shipped_body_is_unchanged_at_rest(body_mesh: SkinnedMesh, shipped: PoseCorrectives) -> None:
    at_rest = np.eye(3)[None, None].repeat(N_JOINTS, axis=1)
    np.testing.assert_allclose(pose(body_mesh, at_rest, shipped), pose(body_mesh, at_rest), atol=1e-12)


def test_shipped_correctives_are_symmetric(body_mesh: SkinnedMesh, shipped: PoseCorrectives) -> None:
    _, partners = cKDTree(body_mesh.template).query(body_mesh.template * MIRROR)
    poses = random_poses(4, seed=1)
    left, right = pose(body_mesh, poses, shipped), pose(body_mesh, mirrored(poses), shipped)
    # The regressed joints are symmetric to a tenth of a millimetre only: compare the displacements.
    left_change, right_change = left - pose(body_mesh, poses), right - pose(body_mesh, mirrored(poses))
    difference = np.linalg.norm(right_change - left_change[:, partners] * MIRROR, axis=2)
    assert np.linalg.norm(left_change, axis=2).max() > 0.02
    assert difference.max() < 2e-5


def test_face_has_no_correctives_of_its_own(shipped: PoseCorrectives) -> None:
    by_joint = np.abs(shipped.pose_projection).reshape(-1, N_JOINTS - 1, 9).sum(axis=(0, 2))
    assert not by_joint[[joint_index(name) - 1 for name in ("jaw", "left_eye_smplhf", "right_eye_smplhf")]].any()


def residual(mesh: SkinnedMesh, correctives: PoseCorrectives | None, poses: np.ndarray) -> float:
    """Root mean square distance to the target, metres."""
    distances = np.linalg.norm(pose(mesh, poses, correctives) - TargetSkinning.of(mesh)(poses), axis=2)
    return float(np.sqrt((distances**2).mean()))


def test_unseen_poses_come_near_the_target(body_mesh: SkinnedMesh, shipped: PoseCorrectives) -> None:
    poses = random_poses(12, seed=999)
    # 21 % when this was written.
    assert residual(body_mesh, shipped, poses) < 0.3 * residual(body_mesh, None, poses)


def test_captured_poses_come_near_the_target(body_mesh: SkinnedMesh, shipped: PoseCorrectives) -> None:
    if not MOCAP.exists():
        pytest.skip("needs the motion capture of the shared sample data")
    vectors = np.zeros((12, N_JOINTS, 3))
    captured = np.load(MOCAP, allow_pickle=False)["body_pose"]
    vectors[:, BODY_JOINTS] = captured[np.random.default_rng(0).choice(len(captured), 12)].reshape(12, -1, 3)
    poses = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(12, N_JOINTS, 3, 3)
    # 28 % when this was written.
    assert residual(body_mesh, shipped, poses) < 0.4 * residual(body_mesh, None, poses)


@pytest.mark.parametrize(
    ("degrees", "share"),
    # What remains of the volume that linear blending loses.
    [
        ({"left_elbow": (0, -90, 0)}, 0.75),
        ({"left_knee": (90, 0, 0)}, 0.5),
        ({"left_hip": (-90, 0, 0), "right_hip": (-90, 0, 0)}, 0.5),
        ({"left_wrist": (70, 0, 0)}, 0.6),
    ],
)
def test_shipped_body_keeps_its_volume(
    body_mesh: SkinnedMesh, shipped: PoseCorrectives, degrees: dict[str, tuple[float, float, float]], share: float
) -> None:
    bent = rotations_of(**degrees)[None]
    at_rest = volume(body_mesh.template, body_mesh.faces)
    lost = at_rest - volume(pose(body_mesh, bent)[0], body_mesh.faces)
    assert lost > 0
    assert abs(at_rest - volume(pose(body_mesh, bent, shipped)[0], body_mesh.faces)) < share * lost


def test_dense_blend_shapes_give_the_same_body(open_body: BodyModelData) -> None:
    assert open_body.pose_projection is not None
    dense = dataclasses.replace(
        open_body, posedirs=open_body.posedirs @ open_body.pose_projection, pose_projection=None
    )
    rotations = torch.as_tensor(random_poses(2, seed=3)).float()
    zeros = torch.zeros(2, 10)
    low_rank, full = (BodyModel.from_data(data)(zeros, zeros, rotations).vertices for data in (open_body, dense))
    torch.testing.assert_close(low_rank, full, atol=2e-6, rtol=0)
