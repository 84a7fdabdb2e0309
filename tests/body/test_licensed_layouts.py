"""Variants of licensed files: versions, formats, hands and landmarks in files of their own, damage."""

from __future__ import annotations

import dataclasses
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from smplifyx.body.files import load_body_model_data
from smplifyx.body.plain_writing import write_plain
from smplifyx.errors import InputError
from tests.licensed_files import LicensedLike, licensed_like, write_npz, write_plain_pickle, write_python2
from tools.bodies.compact_writer import write_compact


def without(model: LicensedLike, *keys: str) -> LicensedLike:
    return changed(model, **dict.fromkeys(keys))


def changed(model: LicensedLike, **arrays: object) -> LicensedLike:
    kept = {key: value for key, value in {**model.arrays, **arrays}.items() if value is not None}
    return dataclasses.replace(model, arrays=kept)


@pytest.mark.parametrize(
    ("model_type", "n_columns", "n_shape", "n_expressions"),
    [
        ("smpl", 10, 10, 0),
        ("smpl", 300, 300, 0),
        ("smplh", 10, 10, 0),
        ("smplh", 16, 16, 0),
        ("mano", 10, 10, 0),
        ("smplx", 20, 10, 10),
        ("smplx", 400, 300, 100),
        ("flame", 20, 10, 10),
        ("flame", 400, 300, 100),
    ],
)
def test_shape_spaces(tmp_path: Path, model_type: str, n_columns: int, n_shape: int, n_expressions: int) -> None:
    side = "left" if model_type == "mano" else None
    model = licensed_like(model_type, side, n_columns=n_columns)
    path = write_plain_pickle(model, tmp_path / "model_left.pkl")
    whole = load_body_model_data(path, n_betas=None, n_expressions=None)
    directions = model.arrays["shapedirs"]
    np.testing.assert_array_equal(whole.shapedirs, directions[..., :n_shape])
    np.testing.assert_array_equal(whole.expression_dirs, directions[..., n_shape:])
    usual = load_body_model_data(path)
    assert (usual.shapedirs.shape[2], usual.expression_dirs.shape[2]) == (10, min(n_expressions, 10))
    np.testing.assert_array_equal(
        usual.expression_dirs, directions[..., n_shape : n_shape + usual.expression_dirs.shape[2]]
    )
    with pytest.raises(InputError, match=f"shapedirs: found {n_columns} columns, too few"):
        load_body_model_data(path, n_betas=n_shape + 1)
    assert (whole.model_type, whole.side) == (model_type, side)


@pytest.mark.parametrize("side", ["left", "right"])
def test_python_2_pickles_hold_the_same_as_npz(tmp_path: Path, side: str) -> None:
    model = licensed_like("mano", side)
    pickled = load_body_model_data(write_python2(model, tmp_path / f"MANO_{side.upper()}.pkl"))
    plain = load_body_model_data(write_npz(model, tmp_path / f"MANO_{side.upper()}.npz"))
    assert dataclasses.replace(pickled, name="").__dict__.keys() == plain.__dict__.keys()
    for field in dataclasses.fields(plain):
        np.testing.assert_array_equal(getattr(pickled, field.name), getattr(plain, field.name), err_msg=field.name)


def test_a_hand_without_a_side_in_its_name(tmp_path: Path) -> None:
    """Fingers of a left hand point to the body's left, +x."""
    for side, sign in (("left", 1.0), ("right", -1.0)):
        model = licensed_like("mano", side)
        regressor = np.zeros((16, 778))
        regressor[np.arange(16), np.arange(16)] = 1.0
        template = model.arrays["v_template"].copy()
        template[0], template[1:16, 0] = 0.0, sign * 0.1
        path = write_npz(changed(model, J_regressor=regressor, v_template=template), tmp_path / "hand.npz")
        assert load_body_model_data(path).side == side


@pytest.mark.parametrize("folder", ["smplh/SMPLH_male.pkl", "smplh/male/model.npz"])
@pytest.mark.parametrize("beside", [True, False])
def test_smplh_takes_hands_from_mano(tmp_path: Path, folder: str, beside: bool) -> None:
    hands = {side: licensed_like("mano", side, seed=3) for side in ("left", "right")}
    model = without(licensed_like("smplh"), "hands_componentsl", "hands_componentsr", "hands_meanl", "hands_meanr")
    path = tmp_path / folder
    (write_plain_pickle if path.suffix == ".pkl" else write_npz)(model, path)
    with pytest.raises(InputError, match=r"hands_componentsl: the key is missing; .*MANO_LEFT\.pkl"):
        load_body_model_data(path)
    for side, hand in hands.items():
        write_python2(hand, (path.parent if beside else tmp_path / "mano") / f"MANO_{side.upper()}.pkl")
    data = load_body_model_data(path)
    assert data.gender == "male"
    for side, hand in hands.items():
        np.testing.assert_allclose(data.hand(side).components, hand.arrays["hands_components"], atol=1e-7)
        np.testing.assert_allclose(data.hand(side).mean, hand.arrays["hands_mean"], atol=1e-7)


def test_flame_in_three_files(tmp_path: Path) -> None:
    model = licensed_like("flame", n_columns=20)
    path = write_python2(model, tmp_path / "FLAME_NEUTRAL.pkl")
    data = load_body_model_data(path)
    np.testing.assert_array_equal(data.landmark_faces, model.landmarks["lmk_face_idx"])
    np.testing.assert_array_equal(data.contour_faces, model.contour["lmk_face_idx"])
    (tmp_path / "flame_dynamic_embedding.npy").unlink()
    assert load_body_model_data(path).contour_faces is None
    (tmp_path / "flame_static_embedding.pkl").unlink()
    with pytest.raises(InputError, match=r"flame_static_embedding\.pkl: the file does not exist; FLAME_NEUTRAL\.pkl"):
        load_body_model_data(path)


class Trap:
    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.sprung),)


@pytest.mark.parametrize("where", ["model", "static", "dynamic", "object in npz"])
def test_hostile_files_run_nothing(tmp_path: Path, where: str) -> None:
    sprung = tmp_path / "sprung"
    model = licensed_like("flame", n_columns=20)
    path = write_python2(model, tmp_path / "FLAME_NEUTRAL.pkl")
    if where == "model":
        path.write_bytes(pickle.dumps({**model.arrays, "weights": Trap(sprung)}))
    elif where == "static":
        (tmp_path / "flame_static_embedding.pkl").write_bytes(pickle.dumps({"lmk_face_idx": Trap(sprung)}))
    elif where == "dynamic":
        np.save(tmp_path / "flame_dynamic_embedding.npy", np.array({"lmk_face_idx": Trap(sprung)}, dtype=object))
    else:
        path = tmp_path / "FLAME_NEUTRAL.npz"
        np.savez(path, **{**model.arrays, "weights": np.array(Trap(sprung), dtype=object)})
    with pytest.raises(InputError, match=r"mkdir|never loaded"):
        load_body_model_data(path)
    assert not sprung.exists()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("v_template", np.zeros((778, 2)), r"v_template: found shape \(778, 2\), expected shape \('any', 3\)"),
        ("posedirs", np.zeros((778, 3, 207)), r"posedirs: found shape .* expected shape \(778, 3, 135\)"),
        ("shapedirs", None, r"shapedirs: the key is missing; expected shape \(778, 3, 'any'\)"),
        ("weights", np.zeros((16, 778)), r"weights: found shape \(16, 778\), expected shape \(778, 16\)"),
        ("weights", np.full((778, 16), 0.5 / 16), "weights: the weights of vertex .* add up to 0.500; expected 1"),
        ("J_regressor", scipy.sparse.eye(16, 700, format="csc"), r"J_regressor: found shape \(16, 700\), expected"),
        ("J_regressor", scipy.sparse.coo_matrix((10**6, 10**6)), "J_regressor: found a sparse matrix of shape"),
        ("hands_mean", [np.zeros(3), np.zeros(4)], "hands_mean: found arrays of different shapes"),
        ("hands_components", "text", "hands_components: found type"),
        ("kintree_table", np.zeros((2, 17)), r"kintree_table: found 17 joints; expected 55 \(smplx\), 52 \(smplh\)"),
        ("kintree_table", np.zeros((2, 16)), r"kintree_table: joint 2 \(left_index2\) has parent 0; expected 1"),
    ],
)
def test_wrong_arrays_in_pickles_are_named(tmp_path: Path, key: str, value: object, message: str) -> None:
    path = write_plain_pickle(changed(licensed_like("mano", "left"), **{key: value}), tmp_path / "MANO_LEFT.pkl")
    with pytest.raises(InputError, match=message):
        load_body_model_data(path)


def test_a_pickle_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "SMPL_MALE.pkl"
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(InputError, match="holds a list; a dictionary of arrays was expected"):
        load_body_model_data(path)


def test_kid_template_is_one_more_component(tmp_path: Path) -> None:
    path = write_plain_pickle(licensed_like("mano", "left"), tmp_path / "MANO_LEFT.pkl")
    adult = load_body_model_data(path)
    kid = np.random.default_rng(0).normal(size=adult.v_template.shape)
    np.save(tmp_path / "kid.npy", kid)
    data = load_body_model_data(path, kid_template=tmp_path / "kid.npy")
    assert data.shapedirs.shape[2] == 11
    np.testing.assert_allclose(data.v_template + data.shapedirs[..., -1], kid - kid.mean(0), atol=1e-6)
    np.save(tmp_path / "kid.npy", kid[:5])
    with pytest.raises(InputError, match=r"kid\.npy: found shape \(5, 3\), expected \(778, 3\)"):
        load_body_model_data(path, kid_template=tmp_path / "kid.npy")
    with pytest.raises(InputError, match="does not exist"):
        load_body_model_data(path, kid_template=tmp_path / "none.npy")


@pytest.mark.parametrize(("model_type", "side"), [("mano", "right"), ("flame", None), ("smpl", None)])
def test_both_own_layouts_give_every_model_back(tmp_path: Path, model_type: str, side: str | None) -> None:
    source = tmp_path / f"{model_type}_{side or 'female'}.pkl"
    data = load_body_model_data(write_plain_pickle(licensed_like(model_type, side, n_columns=20), source))
    plain = tmp_path / "plain.npz"
    write_plain(data, plain)
    compact = write_compact([data], tmp_path / "compact")
    assert [path.name for path in compact] == [f"{model_type.upper()}_{(side or 'female').upper()}.npz"]
    for path, tolerance in ((plain, 1e-7), (compact[0], 1e-3)):
        loaded = load_body_model_data(path)
        for field in dataclasses.fields(data):
            value, expected = getattr(loaded, field.name), getattr(data, field.name)
            if isinstance(expected, np.ndarray):
                scale = np.abs(expected).max(initial=0)
                np.testing.assert_allclose(value, expected, rtol=0, atol=tolerance * scale, err_msg=field.name)
            else:
                assert value == expected, field.name
