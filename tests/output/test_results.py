from __future__ import annotations

import pickle
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from smplifyx.errors import InputError
from smplifyx.fitting.result import FitResult
from smplifyx.output import SummaryRow, load_result, load_source, save_result, save_smplifyx_pickle

CONTRACT_KEYS = {
    "model_type", "model_name", "gender", "betas", "expression", "global_orient", "body_pose", "jaw_pose",
    "leye_pose", "reye_pose", "left_hand_pose", "right_hand_pose", "left_hand_pca", "right_hand_pca",
    "body_pose_embedding", "camera_translation", "camera_rotation", "focal_length", "principal_point",
    "image_size", "joints", "keypoints_2d", "projected_keypoints_2d", "loss", "stage_losses", "n_evaluations",
    "converged", "flags", "image_path", "keypoint_path", "version",
    "gender_source", "gender_probability", "gender_reason",
    "expected_error_mm", "quality_features", "quality_feature_names", "penetration_mm", "colliding_pairs",
}  # fmt: skip


def _saved(result: FitResult, path: Path) -> Path:
    save_result(result, "in/photo.jpg", Path("in/photo_keypoints.json"), "1.2.3", path)
    return path


def _assert_same(first: FitResult, second: FitResult) -> None:
    for field in fields(FitResult):
        a, b = getattr(first, field.name), getattr(second, field.name)
        if isinstance(a, np.ndarray):
            np.testing.assert_array_equal(a, b, err_msg=field.name)
            assert a.dtype == b.dtype, field.name
        else:
            assert a == b and type(a) is type(b), field.name


def test_file_holds_the_keys_of_the_contract_as_plain_arrays(result: FitResult, tmp_path: Path) -> None:
    with np.load(_saved(result, tmp_path / "000.npz"), allow_pickle=False) as stored:
        assert set(stored.files) == CONTRACT_KEYS
        assert {stored[key].dtype.kind for key in stored.files} <= set("fiubU")
        assert str(stored["gender"]) == "female" and stored["loss"].shape == ()
        assert stored["image_size"].tolist() == [640, 480]
    with np.load(_saved(replace(result, body_pose_embedding=None), tmp_path / "1.npz"), allow_pickle=False) as stored:
        assert set(stored.files) == CONTRACT_KEYS - {"body_pose_embedding"}


def test_files_that_do_not_say_who_chose_the_gender_are_read(result: FitResult, tmp_path: Path) -> None:
    with np.load(_saved(result, tmp_path / "000.npz"), allow_pickle=False) as stored:
        entries = {name: stored[name] for name in stored.files if not name.startswith("gender_")}
    np.savez(tmp_path / "earlier.npz", **entries)
    loaded = load_result(tmp_path / "earlier.npz")
    assert (loaded.gender, loaded.gender_source) == ("female", "")
    assert np.isnan(loaded.gender_probability)


@pytest.mark.parametrize("changes", [{}, {"body_pose_embedding": None}, {"flags": ()}])
def test_round_trip_with_the_summary_row(result: FitResult, tmp_path: Path, changes: dict) -> None:
    result = replace(result, **changes)
    row = SummaryRow.of_result(result, "photo", 0)
    _assert_same(result, load_result(_saved(result, tmp_path / "000.npz"), row))


def test_without_the_row_its_figures_are_unknown(result: FitResult, tmp_path: Path) -> None:
    loaded = load_result(_saved(result, tmp_path / "000.npz"))
    assert np.isnan(loaded.seconds) and np.isnan(loaded.reprojection_error_px)
    assert loaded.n_keypoints == 90 and loaded.status == "ok"


def test_source(result: FitResult, tmp_path: Path) -> None:
    source = load_source(_saved(result, tmp_path / "000.npz"))
    assert (source.image_path, source.keypoint_path, source.version) == (
        "in/photo.jpg",
        str(Path("in/photo_keypoints.json")),
        "1.2.3",
    )


def test_damaged_files_raise_input_error(result: FitResult, tmp_path: Path) -> None:
    good = _saved(result, tmp_path / "good.npz")
    bad = tmp_path / "bad.npz"
    data = good.read_bytes()
    middle = len(data) // 2
    scrambled = data[:middle] + bytes(255 - b for b in data[middle : middle + 60]) + data[middle + 60 :]
    for content in (b"", b"not a zip", data[:middle], scrambled):
        bad.write_bytes(content)
        with pytest.raises(InputError, match=r"bad\.npz"):
            load_result(bad)
    with pytest.raises(InputError, match="does not exist"):
        load_result(tmp_path / "absent.npz")


def test_plain_array_file_raises_input_error(tmp_path: Path) -> None:
    with (tmp_path / "bad.npz").open("wb") as stream:
        np.save(stream, np.zeros(3))
    with pytest.raises(InputError):
        load_result(tmp_path / "bad.npz")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("betas", np.zeros(9)),
        ("joints", np.zeros((55, 2))),
        ("loss", np.zeros(2)),
        ("gender", np.zeros(2)),
        ("body_pose", np.array(["a"] * 63)),
        ("betas", np.array([None] * 10, dtype=object)),
        ("flags", None),
        ("camera_translation", None),
        ("model_type", None),
    ],
)
def test_wrong_or_missing_entries_are_named(
    result: FitResult, tmp_path: Path, name: str, value: np.ndarray | None
) -> None:
    with np.load(_saved(result, tmp_path / "good.npz")) as stored:
        entries = {key: stored[key] for key in stored.files if key != name}
    if value is not None:
        entries[name] = value
    np.savez(tmp_path / "bad.npz", **entries)
    with pytest.raises(InputError) as error:
        load_result(tmp_path / "bad.npz")
    assert (value is not None and value.dtype == object) or error.value.field == name


def test_pickle_in_the_smplifyx_layout(result: FitResult, tmp_path: Path) -> None:
    save_smplifyx_pickle(result, tmp_path / "000.pkl")
    data = (tmp_path / "000.pkl").read_bytes()
    assert data[:2] == b"\x80\x02" and b"numpy._core" not in data
    loaded = pickle.loads(data)
    assert {name: value.shape for name, value in loaded.items()} == {
        "camera_rotation": (1, 3, 3), "camera_translation": (1, 3), "betas": (1, 10), "global_orient": (1, 3),
        "left_hand_pose": (1, 12), "right_hand_pose": (1, 12), "jaw_pose": (1, 3), "leye_pose": (1, 3),
        "reye_pose": (1, 3), "expression": (1, 10), "body_pose": (1, 63),
    }  # fmt: skip
    assert all(type(value) is np.ndarray for value in loaded.values())
    np.testing.assert_array_equal(loaded["left_hand_pose"][0], result.left_hand_pca)
    np.testing.assert_array_equal(loaded["body_pose"], result.body_pose[None])
