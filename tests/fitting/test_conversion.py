"""Results of one body model as those of another."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy.sparse import coo_array
from scipy.spatial.transform import Rotation

from smplifyx.body.correspondence import identity_map, nearest_surface_map, same_mesh
from smplifyx.body.data import BodyModelData
from smplifyx.body.files import load_body_model_data
from smplifyx.body.model import BodyModel
from smplifyx.body.search import OPEN_BODY_DIR
from smplifyx.errors import UsageError
from smplifyx.fitting.conversion import Converter, ModelParameters


def load(name: str) -> BodyModelData:
    return load_body_model_data(OPEN_BODY_DIR / f"{name}.npz")


def random_people(data: BodyModelData, count: int, fingers: bool = True) -> ModelParameters:
    random = np.random.default_rng(21)
    pose = random.normal(0, 0.25, (count, data.n_joints, 3))
    for group, joints in data.skeleton.pose_groups.items():
        if group.endswith("hand_pose"):
            hand = data.hand(group.partition("_")[0])
            coefficients = 0.3 * random.normal(size=(count, 45))
            pose[:, joints] = (hand.mean + coefficients @ hand.components).reshape(count, 15, 3) if fingers else 0
        elif group in ("jaw_pose", "leye_pose", "reye_pose"):
            pose[:, joints] = (0.1, 0, 0) if group == "jaw_pose" else 0
    arrays = (
        random.normal(size=(count, 10)),
        random.normal(size=(count, data.expression_dirs.shape[2])),
        pose,
        random.normal((0, 0, 4), size=(count, 3)),
    )
    return ModelParameters(*(torch.as_tensor(array) for array in arrays))


def vertices(data: BodyModelData, people: ModelParameters) -> np.ndarray:
    rotations = Rotation.from_rotvec(people.pose.reshape(-1, 3).numpy()).as_matrix().reshape(*people.pose.shape, 3)
    model = BodyModel.from_data(data, dtype=torch.float64)
    return model(people.betas, people.expression, torch.as_tensor(rotations), people.translation).vertices.numpy()


def true_error_mm(target: BodyModelData, found: ModelParameters, goal: np.ndarray) -> np.ndarray:
    return 1e3 * np.linalg.norm(vertices(target, found) - goal, axis=-1).mean(axis=1)


@pytest.mark.parametrize(
    ("source", "target", "fingers", "worst_mm"),
    [
        ("SMPLH_MALE", "SMPLX_MALE", True, 1e-3),
        ("SMPLX_MALE", "SMPLH_MALE", True, 1.2),  # expressions and the jaw are lost
        ("SMPLX_FEMALE", "SMPL_FEMALE", False, 1.2),
        ("SMPLH_NEUTRAL", "SMPL_NEUTRAL", True, 5.0),  # bent fingers are lost
        ("SMPL_FEMALE", "SMPLH_FEMALE", True, 2.0),  # the thumb does not turn about the knuckles
    ],
)
def test_shapes_and_shared_joints_are_copied_within_the_open_family(
    source: str, target: str, fingers: bool, worst_mm: float
) -> None:
    here, there = load(source), load(target)
    people = random_people(here, 2, fingers)
    found = Converter(here, there)(people)
    assert (found.vertex_error_mm < worst_mm).all(), found.vertex_error_mm
    np.testing.assert_allclose(
        found.vertex_error_mm, true_error_mm(there, found.parameters, vertices(here, people)), rtol=1e-6
    )
    np.testing.assert_array_equal(found.parameters.betas, people.betas)
    for joint, name in enumerate(there.skeleton.joint_names):
        if name in here.skeleton.joint_names:
            copied = people.pose[:, here.skeleton.joint_index(name)]
            np.testing.assert_allclose(found.parameters.pose[:, joint], copied, atol=1e-12)


def test_there_and_back_gives_the_same_person() -> None:
    smplh, smplx = load("SMPLH_FEMALE"), load("SMPLX_FEMALE")
    people = random_people(smplh, 1)
    back = Converter(smplx, smplh)(Converter(smplh, smplx)(people).parameters).parameters
    np.testing.assert_allclose(back.pose, people.pose, atol=1e-6)
    np.testing.assert_allclose(back.translation, people.translation, atol=1e-6)


@pytest.mark.slow
def test_another_gender_s_shape_space_meets_the_vertices() -> None:
    male, neutral = load("SMPLX_MALE"), load("SMPLX_NEUTRAL")
    people = random_people(male, 2)
    copied = dataclasses.replace(people, betas=torch.zeros_like(people.betas))
    goal = vertices(male, people)
    found = Converter(male, neutral)(people)
    np.testing.assert_allclose(found.vertex_error_mm, true_error_mm(neutral, found.parameters, goal), rtol=1e-6)
    assert (found.vertex_error_mm < 4.0).all(), found.vertex_error_mm
    assert (true_error_mm(neutral, copied, goal) > 20).all()


def other_mesh(data: BodyModelData) -> BodyModelData:
    """The body with its vertices slid along the surface, in another order: as far as its numbers tell, a stranger."""
    n = data.n_vertices
    edges = np.concatenate([data.faces[:, [0, 1]], data.faces[:, [1, 2]], data.faces[:, [2, 0]]])
    adjacency = coo_array((np.ones(len(edges)), edges.T), shape=(n, n)).tocsr()
    slide = adjacency.multiply(1 / adjacency.sum(axis=1)[:, None]).tocsr() * 0.5
    order = np.random.default_rng(5).permutation(n)

    def moved(array: np.ndarray) -> np.ndarray:
        flat = array.reshape(n, -1)
        return (slide @ flat + 0.5 * flat)[order].reshape(array.shape)

    return dataclasses.replace(
        data,
        v_template=moved(data.v_template),
        shapedirs=moved(data.shapedirs),
        expression_dirs=moved(data.expression_dirs),
        posedirs=moved(data.posedirs),
        skinning_weights=moved(data.skinning_weights),
        joint_regressor=data.joint_regressor[:, order],
        faces=np.argsort(order)[data.faces],
    )


@pytest.mark.slow
def test_a_strange_mesh_is_met_through_nearest_surfaces() -> None:
    source = load("SMPLH_MALE")
    target = other_mesh(load("SMPLX_MALE"))
    assert not same_mesh(source, target)
    converter = Converter(source, target)
    surface_map = converter.surface_map
    assert surface_map.matched.mean() > 0.9
    people = random_people(source, 1)
    found = converter(people)
    assert found.vertex_error_mm[0] < 2.5
    names = source.skeleton.joint_names
    same = [target.skeleton.joint_index(name) for name in names]
    turned = Rotation.from_rotvec(found.parameters.pose[0, same].numpy()) * Rotation.from_rotvec(people.pose[0]).inv()
    assert np.degrees(np.median(turned.magnitude())) < 5


def test_nearest_surface_of_a_sphere_and_its_double() -> None:
    import trimesh

    fine, coarse = trimesh.creation.icosphere(4), trimesh.creation.icosphere(3)
    shifted = 0.1 * fine.vertices + (0.001, 0, 0)
    found = nearest_surface_map(shifted, fine.faces, 0.1 * coarse.vertices, coarse.faces)
    assert found.matched.all()
    points = found.points(torch.as_tensor(0.1 * coarse.vertices)[None])[0].numpy()
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 0.1, atol=1e-3)
    assert np.linalg.norm(points - shifted, axis=1).max() < 2e-3
    # A surface that faces the other way, or lies farther off, is none.
    assert not nearest_surface_map(shifted, fine.faces, 0.1 * coarse.vertices, coarse.faces[:, ::-1]).matched.any()
    assert not nearest_surface_map(shifted + 1, fine.faces, 0.1 * coarse.vertices, coarse.faces).matched.any()


def test_identity_map() -> None:
    points = torch.rand(2, 5, 3, dtype=torch.float64)
    np.testing.assert_array_equal(identity_map(5).points(points), points)


def test_a_hand_is_not_converted() -> None:
    with pytest.raises(UsageError, match="cannot convert mano"):
        Converter(load("MANO_LEFT"), load("SMPL_MALE"))
