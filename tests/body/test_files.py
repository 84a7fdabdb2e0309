"""Body-model files: both layouts, damaged files, and the export in the smplx package."""

from __future__ import annotations

import dataclasses
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import roma
import torch

from smplifyx.body.arrays import NpzReader, PickleReader, save_npz
from smplifyx.body.data import BodyModelData
from smplifyx.body.files import load_body_model_data
from smplifyx.body.model import BodyModel
from smplifyx.body.plain_writing import write_plain
from smplifyx.body.search import OPEN_BODY_DIR, find_body_model
from smplifyx.errors import InputError
from smplifyx.skeleton import EXTRA_POINT_NAMES, N_JOINTS, N_SMPLX_VERTICES, PARENTS, SMPLX_EXTRA_POINT_VERTICES
from tests.random_body import random_body_model
from tools.bodies.compact_writer import write_compact

GENDERS = ("neutral", "male", "female")


@pytest.fixture(scope="module")
def exported(open_body: BodyModelData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "smplx" / "SMPLX_NEUTRAL.npz"
    write_plain(open_body, path)
    return path


def arrays_of(data: BodyModelData) -> dict[str, np.ndarray]:
    return {k: v for k, v in dataclasses.asdict(data).items() if isinstance(v, np.ndarray)}


def licensed_arrays(n_directions: int, n: int = N_SMPLX_VERTICES) -> dict[str, np.ndarray]:
    """The content of a licensed file, with mostly zeros."""
    shapedirs = np.zeros((n, 3, n_directions))
    shapedirs[0, 0] = np.arange(n_directions)
    kintree = np.stack([np.array(PARENTS), np.arange(N_JOINTS)]).astype(np.int64)
    kintree[0, 0] = np.iinfo(np.uint32).max
    return {
        "v_template": np.zeros((n, 3)),
        "f": np.zeros((20, 3), np.uint32),
        "shapedirs": shapedirs,
        "posedirs": np.zeros((n, 3, 486), np.float32),
        "J_regressor": np.full((N_JOINTS, n), 1 / n, np.float32),
        "weights": np.full((n, N_JOINTS), 1 / N_JOINTS, np.float32),
        "kintree_table": kintree,
        "hands_componentsl": np.eye(45),
        "hands_componentsr": np.eye(45),
        "hands_meanl": np.zeros(45),
        "hands_meanr": np.zeros(45),
        "lmk_faces_idx": np.zeros(51, np.int64),
        "lmk_bary_coords": np.full((51, 3), 1 / 3),
        "dynamic_lmk_faces_idx": np.zeros((79, 17), np.int64),
        "dynamic_lmk_bary_coords": np.full((79, 17, 3), 1 / 3),
        "joint2num": np.array({"pelvis": 0}, dtype=object),
    }


@pytest.mark.parametrize(("n_directions", "first_expression"), [(20, 10), (400, 300)])
def test_licensed_layouts(tmp_path: Path, n_directions: int, first_expression: int) -> None:
    path = tmp_path / "SMPLX_FEMALE.npz"
    # The pickled dictionary in the file must not be touched: loading pickles is off.
    np.savez_compressed(path, **licensed_arrays(n_directions))
    data = load_body_model_data(path)
    assert (data.gender, data.name) == ("female", "SMPLX_FEMALE")
    assert data.shapedirs[0, 0].tolist() == list(range(10))
    assert data.expression_dirs[0, 0].tolist() == list(range(first_expression, first_expression + 10))
    assert data.parents.tolist() == list(PARENTS)
    assert data.extra_point_vertices.tolist() == list(SMPLX_EXTRA_POINT_VERTICES)
    assert data.part_labels is None
    assert data.rest_contact_pairs is None
    if n_directions == 400:
        assert load_body_model_data(path, n_betas=50, n_expressions=30).shapedirs.shape[2] == 50
    else:
        with pytest.raises(InputError, match="shapedirs: found 20 columns"):
            load_body_model_data(path, n_betas=50)


@pytest.mark.parametrize("gender", GENDERS)
def test_shipped_files_load_and_are_small(gender: str) -> None:
    data = load_body_model_data(find_body_model("smplx", gender, OPEN_BODY_DIR))
    assert data.gender == gender
    assert sum(file.stat().st_size for file in OPEN_BODY_DIR.iterdir()) < 10e6


def test_compact_store_keeps_half_precision(tmp_path: Path) -> None:
    data = dataclasses.replace(
        random_body_model(low_rank=True),
        part_labels=np.arange(150) % N_JOINTS,
        rest_contact_pairs=np.array([[1, 2], [3, 140]]),
    )
    write_compact([data], tmp_path)
    loaded = load_body_model_data(tmp_path / "SMPLX_NEUTRAL.npz")
    assert loaded.name == data.name
    for name, array in arrays_of(data).items():
        scale = np.abs(array).max()
        np.testing.assert_allclose(getattr(loaded, name), array, atol=5e-4 * scale, err_msg=name)


def test_compact_store_shares_only_what_is_equal(tmp_path: Path) -> None:
    first, second = random_body_model(seed=0), dataclasses.replace(random_body_model(seed=0), gender="male")
    write_compact([first, second], tmp_path)
    with pytest.raises(ValueError, match="faces"):
        write_compact([first, dataclasses.replace(random_body_model(seed=1), gender="male")], tmp_path)


def test_plain_layout_gives_the_same_body(open_body: BodyModelData, exported: Path) -> None:
    loaded = load_body_model_data(exported)
    posedirs = open_body.posedirs @ open_body.pose_projection
    expected = dataclasses.replace(open_body, posedirs=posedirs, pose_projection=None)
    assert (loaded.gender, loaded.name) == (open_body.gender, open_body.name)
    for name, array in arrays_of(expected).items():
        np.testing.assert_allclose(getattr(loaded, name), array, atol=1e-7, err_msg=name)


def test_only_the_open_body_is_declared_free(exported: Path, tmp_path: Path) -> None:
    write_plain(random_body_model(), tmp_path / "SMPLX_NEUTRAL.npz")
    assert "license" not in np.load(tmp_path / "SMPLX_NEUTRAL.npz")
    assert str(np.load(exported)["license"]).startswith("CC0-1.0")


def test_export_in_the_smplx_package(
    open_body: BodyModelData, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smplx = pytest.importorskip("smplx", reason="the smplx package is the second witness")
    keys = ["nose", "reye", "leye", "rear", "lear", "LBigToe", "LSmallToe", "LHeel", "RBigToe", "RSmallToe", "RHeel"]
    keys += [f"{side}{finger}" for side in "lr" for finger in ("thumb", "index", "middle", "ring", "pinky")]
    assert len(keys) == len(EXTRA_POINT_NAMES)
    for key, vertex in zip(keys, open_body.extra_point_vertices.tolist(), strict=True):
        monkeypatch.setitem(smplx.body_models.VERTEX_IDS["smplx"], key, vertex)
    settings = {"gender": "neutral", "use_pca": False, "flat_hand_mean": True, "use_face_contour": True}
    witness = smplx.create(str(exported.parents[1]), "smplx", batch_size=4, **settings)
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int, scale: float = 1.0) -> torch.Tensor:
        return scale * torch.randn(shape, generator=generator)

    betas, expression, pose = random(4, 10), random(4, 10), random(4, 55, 3, scale=0.3)
    parts = dict(
        zip(
            ("global_orient", "body_pose", "jaw_pose", "leye_pose", "reye_pose", "left_hand_pose", "right_hand_pose"),
            pose.reshape(4, -1).split([3, 63, 3, 3, 3, 45, 45], dim=1),
            strict=True,
        )
    )
    theirs = witness(betas=betas, expression=expression, **parts)
    ours = BodyModel.from_data(open_body)(betas, expression, roma.rotvec_to_rotmat(pose))
    assert (ours.vertices - theirs.vertices).abs().max() < 1e-5
    assert (ours.joints - theirs.joints[:, :N_JOINTS]).abs().max() < 1e-5
    extra = theirs.joints[:, N_JOINTS : N_JOINTS + 21]
    assert (ours.vertices[:, torch.as_tensor(open_body.extra_point_vertices)] - extra).abs().max() < 1e-5


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_body_model_data(tmp_path / "SMPLX_MALE.npz")


def test_errors_about_pickled_objects_do_not_advise_to_load_them(tmp_path: Path) -> None:
    path = tmp_path / "SMPLX_MALE.npz"
    path.write_bytes(pickle.dumps({"v_template": [1.0]}))
    for content in (None, np.array([{}], dtype=object)):
        if content is not None:
            np.savez(path, kintree_table=content)
        with pytest.raises(InputError, match="never loaded") as error:
            load_body_model_data(path)
        assert "allow_pickle" not in str(error.value)


@pytest.mark.parametrize("size", [0, 1000, 500_000])
def test_truncated_file(tmp_path: Path, size: int) -> None:
    path = tmp_path / "SMPLX_NEUTRAL.npz"
    path.write_bytes((OPEN_BODY_DIR / path.name).read_bytes()[:size])
    with pytest.raises(InputError, match="truncated"):
        load_body_model_data(path)


def test_damaged_member(tmp_path: Path) -> None:
    shutil.copytree(OPEN_BODY_DIR, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "SMPLX_NEUTRAL.npz"
    content = bytearray((OPEN_BODY_DIR / path.name).read_bytes())
    content[10_000:10_400] = bytes(400)
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        load_body_model_data(path)


def test_compact_file_without_its_shared_file(tmp_path: Path) -> None:
    path = tmp_path / "SMPLX_NEUTRAL.npz"
    path.write_bytes((OPEN_BODY_DIR / path.name).read_bytes())
    with pytest.raises(InputError, match=r"shared\.npz: the file does not exist"):
        load_body_model_data(path)


def test_genders_share_arrays_until_the_shared_file_changes(tmp_path: Path) -> None:
    for name in ("SMPLX_NEUTRAL.npz", "SMPLX_MALE.npz", "shared.npz"):
        (tmp_path / name).write_bytes((OPEN_BODY_DIR / name).read_bytes())
    neutral, male = (load_body_model_data(tmp_path / f"SMPLX_{gender}.npz") for gender in ("NEUTRAL", "MALE"))
    assert np.shares_memory(neutral.posedirs, male.posedirs)
    arrays = dict(np.load(tmp_path / "shared.npz"))
    arrays["posedirs_scale"] = 2 * arrays["posedirs_scale"]
    save_npz(tmp_path / "shared.npz", arrays)
    changed = load_body_model_data(tmp_path / "SMPLX_NEUTRAL.npz")
    np.testing.assert_array_equal(changed.posedirs, 2 * neutral.posedirs)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_half_precision_that_is_not_finite_is_named(tmp_path: Path, value: float) -> None:
    path = tmp_path / "arrays.npz"
    largest = np.full((3, 50_000), np.finfo(np.float16).min, np.float16)
    spoilt = largest.copy()
    spoilt[2, -1] = value
    save_npz(path, {"largest": largest, "spoilt": spoilt})
    with NpzReader(path) as file:
        np.testing.assert_array_equal(file.array("largest", (3, None)), largest)
        with pytest.raises(InputError, match=r"spoilt: .*not finite"):
            file.array("spoilt", (3, None))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("v_template", None, "v_template: the key is missing"),
        ("J_regressor", np.zeros((24, 100)), r"J_regressor: found shape \(24, 100\), expected shape \(55, 100\)"),
        ("v_template", np.full((100, 3), np.nan), "v_template: .*not finite"),
        ("f", np.full((20, 3), 100), "f: found numbers from 100 to 100, expected 0 to 99"),
        ("extra_point_vertices", None, "extra_point_vertices: the key is missing"),
        ("weights", np.array("text"), "weights: found type"),
        (
            "kintree_table",
            np.stack([np.arange(1, 56)] * 2),
            r"kintree_table: joint 1 \(left_hip\) has parent 2; expected 0",
        ),
        ("hands_meanl", np.array([{}], dtype=object), "hands_meanl: cannot be read"),
    ],
)
def test_wrong_arrays_are_named(tmp_path: Path, key: str, value: np.ndarray | None, message: str) -> None:
    arrays = {**licensed_arrays(20, n=100), "extra_point_vertices": np.zeros(21, np.int64), key: value}
    path = tmp_path / "SMPLX_MALE.npz"
    np.savez_compressed(path, **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(InputError, match=message):
        load_body_model_data(path)


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("regressor_columns", lambda array: np.full(array.shape, 60000, np.uint16), "whole numbers from 0 to"),
        ("regressor_counts", lambda array: -array.astype(np.int64), "whole numbers from 0 to"),
        ("regressor_shape", lambda array: np.array([1 << 20, 1 << 20]), "expected a matrix of a body model"),
        ("regressor_values", lambda array: array[:-1], "expected shape"),
    ],
)
def test_wrong_sparse_matrices_are_named(tmp_path: Path, key: str, change: Any, message: str) -> None:
    path = find_body_model("mano", "neutral", side="left")
    arrays = dict(np.load(path))
    sparse = next(name for name in arrays if name.endswith("_columns")).removesuffix("_columns")
    name = key.replace("regressor", sparse)
    np.savez(tmp_path / path.name, **(arrays | {name: change(arrays[name])}))
    with pytest.raises(InputError, match=message) as error:
        load_body_model_data(tmp_path / path.name, "neutral")
    assert error.value.field == name


@pytest.mark.parametrize("place", [8, 10])  # of the directory's entry: flags with encryption, method of compression
def test_archives_that_zipfile_refuses_are_no_models(tmp_path: Path, place: int) -> None:
    path = find_body_model("mano", "neutral", side="left")
    data = bytearray(path.read_bytes())
    start = data.index(b"PK\x01\x02")
    data[start + place] |= 0x41
    (tmp_path / path.name).write_bytes(data)
    with pytest.raises(InputError):
        load_body_model_data(tmp_path / path.name, "neutral")


def test_lists_that_hold_each_other_many_times_are_refused(tmp_path: Path) -> None:
    nested: list[Any] = [0.0]
    for _ in range(40):
        nested = [nested, nested]
    path = tmp_path / "SMPLX_NEUTRAL.pkl"
    content = {"f": np.zeros((3, 3), np.uint32), "v_template": nested, 7: 1.0}
    path.write_bytes(pickle.dumps(content))
    with PickleReader(path) as file:
        assert file.keys == ("f", "v_template")
        with pytest.raises(InputError, match="nested lists of more than"):
            file.array("v_template", (None, 3))
    array = np.empty(2, object)
    array[:] = [nested, nested]
    path.write_bytes(pickle.dumps({"v_template": array}))
    with PickleReader(path) as file, pytest.raises(InputError, match="nested lists of more than"):
        file.array("v_template", (None, 3))


def test_a_single_array_is_no_model(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.zeros(3))
    path = (tmp_path / "array.npy").rename(tmp_path / "SMPLX_MALE.npz")
    with pytest.raises(InputError, match="single array"):
        load_body_model_data(path)
