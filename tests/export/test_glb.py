"""Scenes as .glb, read back and posed by hand."""

from __future__ import annotations

import io

import numpy as np
import pytest
import trimesh

from smplifyx.camera import TURN_ABOUT_X
from smplifyx.export.glb import continuous, posed_scene, rigged_scene
from smplifyx.export.motion import Motion, PersonKey
from smplifyx.export.rig import Rig, heaviest_joints
from smplifyx.export.texture import texture_map
from smplifyx.skeleton import JOINT_NAMES
from tests.export.gltf_reader import Gltf
from tests.export.people import fitted, motion


def largest_mm(a: np.ndarray, b: np.ndarray) -> float:
    """Largest distance of the vertices; a file repeats some at its end, for the texture."""
    return float(1000 * np.linalg.norm(a[: len(b)] - b, axis=-1).max())


@pytest.fixture(scope="module")
def person() -> Motion:
    return motion()


@pytest.fixture(scope="module")
def scene(person: Motion) -> Gltf:
    return Gltf(rigged_scene([Rig(person)], "photo"))


def test_skin_poses_the_fitted_vertices(person: Motion, scene: Gltf) -> None:
    assert largest_mm(scene.skinned_vertices("person_0_body"), person.fitted_vertices(0)) < 2.0
    plain = person.posed([0])[1][0]
    assert largest_mm(scene.skinned_vertices("person_0_body", without="pose_correctives"), plain) < 2.0
    assert largest_mm(plain, person.fitted_vertices(0)) > 5.0  # the correctives matter


def test_joints_have_their_names_places_and_tree(person: Motion, scene: Gltf) -> None:
    (skin,) = scene.tree["skins"]
    nodes = scene.tree["nodes"]
    assert tuple(nodes[joint]["name"] for joint in skin["joints"]) == JOINT_NAMES
    matrices = scene.global_matrices()[skin["joints"]]
    np.testing.assert_allclose(matrices[:, :3, 3], person.first.joints * TURN_ABOUT_X, atol=1e-5)
    pelvis = nodes[skin["joints"][0]]
    assert {nodes[child]["name"] for child in pelvis["children"]} == {"left_hip", "right_hip", "spine1"}
    assert nodes[skin["skeleton"]]["name"] == "person_0"


def test_weights_sum_to_one_with_four_joints(person: Motion) -> None:
    rig = Rig(person)
    np.testing.assert_allclose(rig.joint_weights.sum(axis=1), 1.0, atol=1e-6)
    assert (rig.joint_weights >= 0).all() and (rig.joint_numbers[rig.joint_weights == 0] == 0).all()
    numbers, weights = heaviest_joints(np.array([[0.0, 0.1, 0.2, 0.3, 0.25, 0.15]]))
    assert numbers.tolist() == [[3, 4, 2, 5]]
    np.testing.assert_allclose(weights, np.array([[0.3, 0.25, 0.2, 0.15]]) / 0.9, rtol=1e-6)


def test_errors_are_those_of_the_file(person: Motion, scene: Gltf) -> None:
    errors = scene.node("person_0")["extras"]["rig"]
    total = largest_mm(scene.skinned_vertices("person_0_body"), person.fitted_vertices(0))
    assert errors["total"]["largest"] == pytest.approx(total, abs=0.01)
    correctives = largest_mm(person.fitted_vertices(0), person.posed([0])[1][0])
    assert errors["correctives"]["largest"] == pytest.approx(correctives, abs=0.01)
    without = Rig(person, with_correctives=False)
    assert without.errors.correctives_left.largest == pytest.approx(correctives, abs=0.01)
    assert len(without.corrective_targets) == 0


def test_morph_targets_are_shape_expression_and_correctives(person: Motion, scene: Gltf) -> None:
    mesh = scene.tree["meshes"][scene.node("person_0_body")["mesh"]]
    names = mesh["extras"]["targetNames"]
    assert names == [
        *(f"shape_{k}" for k in range(1, 11)),
        *(f"expression_{k}" for k in range(1, 11)),
        "pose_correctives",
    ]
    np.testing.assert_allclose(mesh["weights"], [*np.zeros(10), *person.first.expression, 1.0], atol=1e-6)
    targets = [scene.array(one["POSITION"]) for one in mesh["primitives"][0]["targets"]]
    rows = person.data.n_vertices
    np.testing.assert_allclose(targets[1][:rows], person.data.shapedirs[:, :, 1], atol=1e-7)
    np.testing.assert_allclose(targets[12][:rows], person.data.expression_dirs[:, :, 2], atol=1e-7)
    assert any("sparse" in accessor for accessor in scene.tree["accessors"])


@pytest.mark.parametrize("principal_point", [(320.0, 240.0), (360.5, 209.75)])
def test_camera_is_that_of_the_photo(principal_point: tuple[float, float]) -> None:
    one = motion(principal_point=principal_point)
    read = Gltf(rigged_scene([Rig(one)], "photo"))
    points = one.first.vertices
    np.testing.assert_allclose(read.projected(points * TURN_ABOUT_X), one.first.camera.project(points), atol=0.01)
    (camera,) = read.tree["cameras"]
    width, height = camera["extras"]["picture_size"]
    assert width >= 640 and height >= 480 and min(camera["extras"]["photo_offset"]) >= 0


def test_people_stand_where_they_are_with_names_and_colours() -> None:
    people = [Motion(PersonKey(number), (fitted(seed=number),), (0,)) for number in (0, 2)]
    read = Gltf(rigged_scene([Rig(one) for one in people], "photo"))
    for one, name in zip(people, ("person_0_body", "person_2_body"), strict=True):
        assert largest_mm(read.skinned_vertices(name), one.fitted_vertices(0)) < 2.0
    colors = [one["pbrMetallicRoughness"]["baseColorFactor"] for one in read.tree["materials"]]
    assert [one["name"] for one in read.tree["materials"]] == ["person_0", "person_2"] and colors[0] != colors[1]
    assert read.tree["scenes"][0]["name"] == "photo"


def test_animation_has_every_frame() -> None:
    moving = motion(3)
    moving = Motion(moving.key, moving.results, (0, 1, 5))
    read = Gltf(rigged_scene([Rig(moving)], "animation", fps=10.0))
    (animation,) = read.tree["animations"]
    times = read.array(animation["samplers"][0]["input"])
    np.testing.assert_allclose(times, [0.0, 0.1, 0.5], rtol=1e-6)
    for frame in range(3):
        read.apply_animation(frame)
        # joints at rest have the mean expression, which moves eyes and jaw by less than a millimetre
        assert largest_mm(read.skinned_vertices("person_0_body"), moving.fitted_vertices(frame)) < 3.0
        body = read.node("person_0_body")
        assert min(body["weights"][20:]) >= 0.0 and max(body["weights"][20:]) <= 1.0


def test_rotations_take_the_short_way() -> None:
    turns = np.array([[0, 0, 0, 1.0], [0, 0, -0.1, -0.99], [0, 0, 0.2, 0.98], [0, 0, -0.3, -0.95]])
    kept = continuous(turns)
    assert (np.sum(kept[1:] * kept[:-1], axis=1) > 0).all()
    np.testing.assert_array_equal(np.abs(kept), np.abs(turns))


@pytest.mark.parametrize("model_type", ["smplh", "smpl", "mano", "flame"])
def test_other_models(model_type: str) -> None:
    one = motion(model_type=model_type)
    read = Gltf(rigged_scene([Rig(one)], "photo"))
    assert largest_mm(read.skinned_vertices(f"{one.key.node_name}_body"), one.fitted_vertices(0)) < 2.0


def test_plain_scene_is_what_was_fitted(person: Motion) -> None:
    data = posed_scene([person], "photo")
    loaded = trimesh.load(io.BytesIO(data), file_type="glb", process=False)
    (mesh,) = loaded.geometry.values()
    fitted_vertices, faces = person.fitted_vertices(0), person.data.faces
    np.testing.assert_allclose(mesh.vertices[: len(fitted_vertices)], fitted_vertices, atol=1e-6)
    np.testing.assert_allclose(mesh.triangles, fitted_vertices[faces], atol=1e-6)
    rigged = trimesh.load(io.BytesIO(rigged_scene([Rig(person)], "photo")), file_type="glb", process=False)
    assert [len(one.faces) for one in rigged.geometry.values()] == [len(faces)]


def test_seams_of_the_texture_do_not_open(scene: Gltf, person: Motion) -> None:
    (mesh,) = scene.tree["meshes"]
    (primitive,) = mesh["primitives"]
    arrays = {name: scene.array(number) for name, number in primitive["attributes"].items()}
    corners = scene.array(primitive["indices"]).reshape(-1, 3)
    texture = texture_map(person.data)
    assert texture is not None and {len(array) for array in arrays.values()} == {len(texture.points)}
    np.testing.assert_allclose(arrays["TEXCOORD_0"][corners], texture.points[texture.corners] * (1, -1) + (0, 1))
    rows = texture.vertices
    for name in ("POSITION", "NORMAL", "JOINTS_0", "WEIGHTS_0"):
        np.testing.assert_array_equal(arrays[name], arrays[name][rows])
    for target in primitive["targets"]:
        moved = scene.array(target["POSITION"])
        np.testing.assert_array_equal(moved, moved[rows])
