"""The compact format: what is written is read again, within half precision, and misuse is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from smplifyx.body.compact_layout import reduced_from_smplx
from smplifyx.body.correspondence import body_vertices
from smplifyx.body.files import load_body_model_data
from tests.random_body import random_body_model
from tools.bodies.compact_writer import write_compact, write_derived, write_vertex_maps


def test_genders_share_a_file_and_come_back(tmp_path) -> None:
    bodies = [dataclasses.replace(random_body_model(low_rank=True), gender=gender) for gender in ("neutral", "male")]
    bodies[1] = dataclasses.replace(bodies[1], v_template=bodies[1].v_template * 1.1)
    written = write_compact(bodies, tmp_path)
    assert [path.name for path in written] == ["shared.npz", "SMPLX_NEUTRAL.npz", "SMPLX_MALE.npz"]
    for body, path in zip(bodies, written[1:], strict=True):
        found = load_body_model_data(path)
        assert (found.gender, found.name) == (body.gender, body.name)
        np.testing.assert_allclose(found.v_template, body.v_template, atol=1e-6)
        np.testing.assert_allclose(found.skinning_weights, body.skinning_weights, atol=1e-6)
        np.testing.assert_array_equal(found.faces, body.faces)
        for name in ("shapedirs", "expression_dirs", "posedirs"):
            expected = getattr(body, name)
            np.testing.assert_allclose(
                getattr(found, name), expected, atol=6e-4 * np.abs(expected).max(), err_msg=name
            )


def test_the_same_bodies_give_the_same_bytes(tmp_path) -> None:
    for folder in ("one", "two"):
        write_compact([random_body_model()], tmp_path / folder)
    (first,), (second,) = ((tmp_path / folder).iterdir() for folder in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()


def test_derived_files_name_their_source(tmp_path) -> None:
    body = random_body_model(low_rank=True)
    write_compact([body], tmp_path)
    path = write_derived(body, "smplh", tmp_path)
    found, expected = load_body_model_data(path), reduced_from_smplx(body, "smplh")
    assert found.model_type == "smplh" and found.parents.tolist() == expected.parents.tolist()
    np.testing.assert_allclose(found.skinning_weights, expected.skinning_weights, atol=1e-6)
    with pytest.raises(ValueError, match="mano is not made from smplx"):
        write_derived(body, "mano", tmp_path)


def test_vertex_maps_come_back(tmp_path) -> None:
    vertices = np.array([5, 2, 40_000])
    write_vertex_maps({"mano_left": vertices}, tmp_path)
    np.testing.assert_array_equal(body_vertices("mano", "left", tmp_path), vertices)
