"""The open body's relatives: with the joints they share, and the others at rest, they are the open body."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.transform import Rotation

from smplifyx.body.correspondence import body_vertices
from smplifyx.body.data import BodyModelData
from smplifyx.body.files import load_body_model_data
from smplifyx.body.model import BodyModel
from smplifyx.body.search import OPEN_BODY_DIR
from smplifyx.errors import InputError
from smplifyx.skeleton import GENDERS

#: FLAME's names for joints of the body.
HEAD_JOINTS = {
    "neck": "head",
    "jaw": "jaw",
    "left_eye_smplhf": "left_eye_smplhf",
    "right_eye_smplhf": "right_eye_smplhf",
}


def load(name: str) -> BodyModelData:
    return load_body_model_data(OPEN_BODY_DIR / f"{name}.npz")


@pytest.fixture(scope="module")
def bodies() -> dict[str, BodyModelData]:
    return {gender: load(f"SMPLX_{gender.upper()}") for gender in GENDERS}


def pose(
    data: BodyModelData,
    rotations: dict[str, np.ndarray],
    betas: np.ndarray | None = None,
    expression: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and joints in float64."""
    local = np.tile(np.eye(3), (1, data.n_joints, 1, 1))
    for name, rotation in rotations.items():
        local[0, data.skeleton.joint_index(name)] = rotation
    n_expressions = data.expression_dirs.shape[2]
    shape = np.zeros(10) if betas is None else betas
    face = np.zeros(n_expressions) if expression is None else expression
    model = BodyModel.from_data(data, dtype=torch.float64)
    output = model(*(torch.as_tensor(a) for a in (shape[None], face[None], local)))
    return output.vertices[0].numpy(), output.joints[0].numpy()


def random_rotations(names: list[str] | tuple[str, ...], seed: int, degrees: float = 40) -> dict[str, np.ndarray]:
    vectors = np.radians(degrees) * np.random.default_rng(seed).uniform(-1, 1, (len(names), 3))
    return dict(zip(names, Rotation.from_rotvec(vectors).as_matrix(), strict=True))


@pytest.mark.parametrize("gender", GENDERS)
@pytest.mark.parametrize("layout", ["smplh", "smpl"])
def test_layouts_have_the_body_s_vertices(bodies, layout: str, gender: str) -> None:
    body, other = bodies[gender], load(f"{layout.upper()}_{gender.upper()}")
    shared = [name for name in other.skeleton.joint_names if name in body.skeleton.joint_names]
    assert len(shared) == {"smplh": 52, "smpl": 22}[layout]
    assert other.parents.tolist() == list(other.skeleton.parents)
    assert (other.model_type, other.gender, other.name) == (layout, gender, body.name)
    rotations, betas = random_rotations(shared, seed=3), np.random.default_rng(4).normal(size=10)
    vertices, joints = pose(body, rotations, betas)
    same_vertices, same_joints = pose(other, rotations, betas)
    np.testing.assert_allclose(same_vertices, vertices, atol=1e-6)
    places = [body.skeleton.joint_index(name) for name in shared]
    np.testing.assert_allclose(same_joints[: len(shared)], joints[places], atol=1e-6)


def test_a_layout_needs_its_body_beside_it(tmp_path) -> None:
    (tmp_path / "SMPL_MALE.npz").write_bytes((OPEN_BODY_DIR / "SMPL_MALE.npz").read_bytes())
    with pytest.raises(InputError, match=r"made_from.*SMPLX_MALE\.npz"):
        load_body_model_data(tmp_path / "SMPL_MALE.npz")


def test_smpl_hand_turns_all_fingers_about_the_middle_of_the_knuckles(bodies) -> None:
    body, smpl = bodies["neutral"], load("SMPL_NEUTRAL")
    joints, rest = pose(body, {})[1], pose(smpl, {})[1]
    knuckles = [body.skeleton.joint_index(f"left_{finger}1") for finger in ("index", "middle", "ring", "pinky")]
    hand = smpl.skeleton.joint_index("left_hand")
    np.testing.assert_allclose(rest[hand], joints[knuckles].mean(axis=0), atol=1e-6)
    turn = Rotation.from_rotvec([0, 0, -0.5])
    vertices, _ = pose(smpl, {"left_hand": turn.as_matrix()})
    tips = [smpl.extra_point_vertices[smpl.extra_point_names.index(f"left_{f}")] for f in ("thumb", "index", "pinky")]
    expected = turn.apply(smpl.v_template[tips] - rest[hand]) + rest[hand]
    np.testing.assert_allclose(vertices[tips], expected, atol=3e-3)  # but for pose blend shapes


@pytest.mark.parametrize("side", ["left", "right"])
def test_hands_are_the_body_s(bodies, side: str) -> None:
    body, hand = bodies["neutral"], load(f"MANO_{side.upper()}")
    fingers = hand.skeleton.joint_names[1:]
    rotations = random_rotations(fingers, seed=5)
    vertices, joints = pose(body, rotations)
    wrist = joints[body.skeleton.joint_index(f"{side}_wrist")]
    own_vertices, own_joints = pose(hand, rotations)
    np.testing.assert_allclose(own_vertices, vertices[body_vertices("mano", side)] - wrist, atol=1e-5)
    places = [body.skeleton.joint_index(name) for name in hand.skeleton.joint_names]
    np.testing.assert_allclose(own_joints, joints[places] - wrist, atol=1e-5)


def test_right_hand_mirrors_left(bodies) -> None:
    left, right = load("MANO_LEFT"), load("MANO_RIGHT")
    mirror = np.array([-1.0, 1.0, 1.0])
    np.testing.assert_allclose(right.v_template, left.v_template * mirror, atol=1e-7)
    betas = np.random.default_rng(6).normal(size=10)
    rotations = random_rotations(left.skeleton.joint_names, seed=7)
    mirrored = {f"right_{name.removeprefix('left_')}": np.outer(mirror, mirror) * r for name, r in rotations.items()}
    np.testing.assert_allclose(pose(right, mirrored, betas)[0], pose(left, rotations, betas)[0] * mirror, atol=1e-6)
    np.testing.assert_allclose(right.right_hand_mean, bodies["neutral"].right_hand_mean)
    assert right.left_hand_mean is None


@pytest.mark.parametrize("gender", GENDERS)
def test_head_is_the_body_s(bodies, gender: str) -> None:
    body, head = bodies[gender], load(f"FLAME_{gender.upper()}")
    rotations = random_rotations(list(HEAD_JOINTS), seed=8, degrees=20)
    neck = pose(body, {})[1][body.skeleton.joint_index("neck")]
    kept = body_vertices("flame")
    # Expressions move the regressed joints a little otherwise: the head lacks the body's other vertices.
    for expression, tolerance in ((np.zeros(10), 1e-5), (np.random.default_rng(9).normal(size=10), 1e-3)):
        vertices, joints = pose(body, {HEAD_JOINTS[name]: r for name, r in rotations.items()}, expression=expression)
        own_vertices, own_joints = pose(head, rotations, expression=expression)
        np.testing.assert_allclose(own_vertices, vertices[kept] - neck, atol=tolerance)
        places = [body.skeleton.joint_index(HEAD_JOINTS.get(n, "neck")) for n in head.skeleton.joint_names]
        np.testing.assert_allclose(own_joints, joints[places] - neck, atol=tolerance)
    for name in ("landmark", "contour"):
        corners = kept[head.faces[getattr(head, f"{name}_faces")]]
        np.testing.assert_array_equal(corners, body.faces[getattr(body, f"{name}_faces")])
        np.testing.assert_array_equal(getattr(head, f"{name}_barycentric"), getattr(body, f"{name}_barycentric"))


@pytest.mark.parametrize(
    ("name", "rim", "pieces"), [("MANO_LEFT", 20, 1), ("MANO_RIGHT", 20, 1), ("FLAME_MALE", 42, 4)]
)
def test_parts_are_open_at_one_clean_loop(name: str, rim: int, pieces: int) -> None:
    data = load(name)
    edges = np.concatenate([data.faces[:, [0, 1]], data.faces[:, [1, 2]], data.faces[:, [2, 0]]])
    directed = {tuple(edge) for edge in edges.tolist()}
    assert len(directed) == len(edges)
    open_edges = [(a, b) for a, b in directed if (b, a) not in directed]
    assert len(open_edges) == len({a for a, _ in open_edges}) == rim
    shape = (data.n_vertices, data.n_vertices)
    count, _ = connected_components(coo_array((np.ones(len(edges)), edges.T), shape=shape), directed=False)
    assert count == pieces  # the head, two eyes and the tongue
    # Outward normals: the enclosed volume is positive.
    corners = data.v_template[data.faces].astype(float)
    assert np.einsum("fc,fc->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) > 0


@pytest.mark.parametrize("name", ["MANO_LEFT", "MANO_RIGHT", "FLAME_NEUTRAL", "FLAME_MALE", "FLAME_FEMALE"])
def test_shape_components(name: str) -> None:
    data = load(name)
    joints = data.joint_regressor.astype(float) @ data.v_template
    np.testing.assert_allclose(joints[0], 0, atol=1e-6)
    np.testing.assert_allclose(data.joint_regressor.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(data.skinning_weights.sum(axis=1), 1, atol=1e-6)
    sizes = np.sqrt((data.shapedirs.astype(float) ** 2).sum(axis=(0, 1)) / data.n_vertices)
    assert (np.diff(sizes) < 0).all()
    assert sizes[0] > 5e-3
    basis = data.shapedirs.reshape(-1, 10) / np.linalg.norm(data.shapedirs.reshape(-1, 10), axis=0)
    np.testing.assert_allclose(basis.T @ basis, np.eye(10), atol=0.05)
    grown = data.v_template + 2 * data.shapedirs[..., 0]
    ratio = np.linalg.norm(grown) / np.linalg.norm(data.v_template)
    # Two standard deviations: men's and women's hands differ by 6 per cent in size, heads by 4.
    assert 1.06 < ratio < 1.14
    # The root stays where it is, whatever the shape: the part grows about it.
    assert np.abs(np.einsum("v,vcs->cs", data.joint_regressor[0], data.shapedirs)).max() < 2e-3


def test_vertex_maps_have_the_sizes_of_the_parts() -> None:
    for name, key in (("MANO_LEFT", ("mano", "left")), ("MANO_RIGHT", ("mano", "right")), ("FLAME_MALE", ("flame",))):
        assert len(body_vertices(*key)) == load(name).n_vertices
