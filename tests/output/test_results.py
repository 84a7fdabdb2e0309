"""Results in SMPLify-X's layout."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from smplifyx.output import save_smplifyx_pickle
from smplifyx.result import FitResult


def test_pickle_in_the_smplifyx_layout(result: FitResult, tmp_path: Path) -> None:
    save_smplifyx_pickle(result, tmp_path / "000.pkl")
    data = (tmp_path / "000.pkl").read_bytes()
    assert data[:2] == b"\x80\x02" and b"numpy._core" not in data
    loaded = pickle.loads(data)
    assert {name: value.shape for name, value in loaded.items()} == {
        "camera_rotation": (1, 3, 3), "camera_translation": (1, 3), "betas": (1, 10), "global_orient": (1, 3),
        "left_hand_pose": (1, 12), "right_hand_pose": (1, 12), "jaw_pose": (1, 3), "leye_pose": (1, 3),
        "reye_pose": (1, 3), "expression": (1, 10), "body_pose": (1, 63),
        "focal_length": (1, 2), "camera_center": (1, 2), "K": (1, 3, 3),
    }  # fmt: skip
    assert all(type(value) is np.ndarray for value in loaded.values())
    np.testing.assert_array_equal(loaded["left_hand_pose"][0], result.left_hand_pca)
    np.testing.assert_array_equal(loaded["body_pose"], result.body_pose[None])
