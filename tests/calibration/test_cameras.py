"""Files of calibrated cameras: each format describes the same two cameras, written by other means than it is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from smplifyx.calibration import CameraRig, camera_for_size, read_cameras
from smplifyx.calibration.other_formats import read_camera_parameters, read_qualisys
from smplifyx.camera import Camera
from smplifyx.cli.main import main
from smplifyx.errors import InputError

NAMES = ("cam1", "cam2")
SIZE = (1280, 720)
K = np.array([[1100.0, 0.0, 630.0], [0.0, 1105.0, 355.0], [0.0, 0.0, 1.0]])
DISTORTION = (-0.2, 0.05, 0.001, -0.002, 0.01)
VECTORS = np.array([[1.6, 0.2, -0.1], [0.4, 1.9, -1.2]])
POSITIONS = np.array([[0.1, 0.9, 3.0], [-0.4, 1.1, 2.5]])


def own_yaml(folder: Path, **changes: object) -> Path:
    cameras = [
        {
            "name": name,
            "image_size": list(SIZE),
            "K": K.tolist(),
            "distortion": list(DISTORTION),
            "R": Rotation.from_rotvec(vector).as_matrix().tolist(),
            "T": position.tolist(),
        }
        for name, vector, position in zip(NAMES, VECTORS, POSITIONS, strict=True)
    ]
    cameras[0] |= changes
    path = folder / "cameras.yaml"
    path.write_text(yaml.safe_dump({"up": "z", "ground": 0.05, "cameras": cameras}))
    return path


def easymocap(folder: Path) -> Path:
    for file, matrices in {
        "intri.yml": {"K": [K, K], "dist": [np.array([DISTORTION])] * 2},
        "extri.yml": {"R": list(VECTORS[:, :, None]), "T": list(POSITIONS[:, :, None])},
    }.items():
        storage = cv2.FileStorage(str(folder / file), cv2.FILE_STORAGE_WRITE)
        storage.startWriteStruct("names", cv2.FileNode_SEQ)
        for name in NAMES:
            storage.write("", name)
        storage.endWriteStruct()
        for letter, values in matrices.items():
            for name, value in zip(NAMES, values, strict=True):
                storage.write(f"{letter}_{name}", value)
        storage.release()
    return folder / "intri.yml"


def toml(folder: Path) -> Path:
    lines = []
    for name, vector, position in zip(NAMES, VECTORS, POSITIONS, strict=True):
        lines += [
            f"[{name}]",
            f'name = "{name}"',
            f"size = {[float(side) for side in SIZE]}",
            f"matrix = {K.tolist()}",
            f"distortions = {list(DISTORTION)}",
            f"rotation = {vector.tolist()}",
            f"translation = {position.tolist()}",
            "fisheye = false",
            "",
        ]
    path = folder / "Calib.toml"
    path.write_text("\n".join([*lines, "[metadata]", "adjusted = false", "error = 0.0"]))
    return path


def projected(rig: CameraRig, points: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Undistorted pixels of world points in each view."""
    return [view.camera.project(view.to_camera(points)) for view in rig.views if view.camera is not None]


@pytest.mark.parametrize("write", [own_yaml, easymocap, toml])
def test_points_project_as_opencv_projects_them(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    rig = read_cameras(write(tmp_path))
    assert [view.name for view in rig.views] == list(NAMES) and rig.up == "z"
    points = np.random.default_rng(0).normal(size=(5, 3)) * 0.3
    for found, vector, position in zip(projected(rig, points), VECTORS, POSITIONS, strict=True):
        expected, _ = cv2.projectPoints(points, vector, position, K, np.zeros(5))
        np.testing.assert_allclose(found, expected[:, 0], rtol=1e-5)
    assert all(view.distortion == pytest.approx(DISTORTION) for view in rig.views)


def test_the_folder_of_easymocap_and_both_of_its_files_are_the_same(tmp_path: Path) -> None:
    easymocap(tmp_path)
    rigs = [read_cameras(tmp_path / name) for name in ("", "intri.yml", "extri.yml")]
    places = [[np.asarray(view.translation) for view in rig.views] for rig in rigs]
    assert np.array_equal(places[0], places[1]) and np.array_equal(places[0], places[2])


def test_rotation_vectors_focal_lengths_and_a_mapping_of_cameras(tmp_path: Path) -> None:
    path = tmp_path / "cameras.yaml"
    path.write_text("cameras:\n  07:\n    focal_length: 900\n    principal_point: [10, 20]\n    R: [0, 0, 0]\n"
                    "    T: [1, 2, 3]\n")  # fmt: skip
    rig = read_cameras(path, unit=0.001)
    (view,) = rig.views
    assert view.name == "07" and rig.up is None and rig.ground is None
    assert view.camera is not None and view.camera.focal_length == (900.0, 900.0)
    assert np.array_equal(view.rotation, np.eye(3))
    np.testing.assert_allclose(np.asarray(view.translation), np.array([0.001, 0.002, 0.003]))


def test_the_floor_is_in_metres(tmp_path: Path) -> None:
    assert read_cameras(own_yaml(tmp_path)).ground == 0.05
    assert read_cameras(own_yaml(tmp_path), unit=0.01).ground == pytest.approx(0.0005)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"K": [[1, 0], [0, 1]]}, "cameras[0].K"),
        ({"K": [[1100, 5, 630], [0, 1105, 355], [0, 0, 1]]}, "cameras[0].K"),
        ({"R": [1, 2]}, "cameras[0].R"),
        ({"R": (2 * np.eye(3)).tolist()}, "camera cam1"),
        ({"T": ["a", 0, 0]}, "cameras[0].T"),
        ({"distortion": [0.1]}, "cameras[0].distortion"),
        ({"image_size": [1280]}, "cameras[0].image_size"),
        ({"zoom": 1}, "cameras[0]"),
        ({"name": "cam2"}, "cameras"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, changes: dict[str, object], field: str) -> None:
    path = own_yaml(tmp_path, **changes)
    with pytest.raises(InputError, match="expected") as error:
        read_cameras(path)
    assert (error.value.path, error.value.field) == (path, field)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.yaml", "a: 1\n"),
        ("c.yaml", "cameras: []\n"),
        ("c.yaml", "%YAML:1.0\nnames: []\n"),
        ("c.toml", "a = \n"),
        ("c.toml", "a = 1\n"),
        ("c.toml", "[a]\nmatrix = [1]\n"),
        ("c.txt", "1 2 3"),
        ("c.qca.txt", "<calibration/>"),
        ("intri.yml", "%YAML:1.0\n---\nnames: [a]\n"),
        ("intri.yml", "no: [yaml\n"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError):
        read_cameras(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_cameras(tmp_path / "none.toml")
    easymocap(tmp_path)
    (tmp_path / "extri.yml").unlink()
    with pytest.raises(InputError, match="does not exist") as error:
        read_cameras(tmp_path / "intri.yml")
    assert error.value.path == tmp_path / "extri.yml"


def test_the_command_prints_places_in_metres(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = own_yaml(tmp_path, R=[0, 0, 0], T=[-1000, 2000, 0])
    assert main(["calibration", "show", str(path), "--camera-unit", "0.001"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "up: z, floor at 5e-05 m" and len(lines) == 4
    assert " ".join(lines[2].split()) == "cam1 1280 x 720 1100 yes 1.00 -2.00 0.00 0.00 0.00 1.00"
    assert main(["calibration", "show", str(tmp_path / "none.yaml")]) == 2


def test_a_fisheye_lens_is_refused(tmp_path: Path) -> None:
    path = toml(tmp_path)
    path.write_text(path.read_text().replace("fisheye = false", "fisheye = true", 1))
    with pytest.raises(InputError, match="fisheye"):
        read_cameras(path)


def test_a_camera_serves_padded_and_resized_photos_and_no_others() -> None:
    camera = Camera((1000.0, 1000.0), (543.5, 959.5), "calibration", (1088, 1920))
    assert camera_for_size(camera, (1080, 1920)).center == (543.5, 959.5)
    half = camera_for_size(camera, (544, 960))
    assert half.focal_length == (500.0, 500.0) and half.center == (271.5, 479.5)
    assert camera_for_size(Camera(900.0), (640, 480)).center == (320.0, 240.0)
    with pytest.raises(InputError, match="1088 x 1920"):
        camera_for_size(camera, (1920, 1080))


def test_a_matrix_of_opencv_with_too_few_numbers_is_an_input_error(tmp_path: Path) -> None:
    path = easymocap(tmp_path)
    content = path.read_text()
    assert "rows: 3" in content
    path.write_text(content.replace("rows: 3", "rows: 30"))
    with pytest.raises(InputError, match=r"intri\.yml: or extri\.yml is no calibration of EasyMocap"):
        read_cameras(path)


@pytest.mark.parametrize("name", ["../other", "/tmp/other", "a/b", "a\\b", "", ".", "..", ".hidden", "a\nb", "a\0"])
def test_names_that_are_no_names_of_folders_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"cameras\.yaml: cameras.*: expected"):
        read_cameras(own_yaml(tmp_path, name=name))


def test_files_that_are_no_calibrations(tmp_path):
    path = tmp_path / "calibration.txt"
    path.write_text("<calibration><cameras/></calibration>")
    with pytest.raises(InputError, match="at least one camera"):
        read_qualisys(path)
    with pytest.raises(InputError, match="plain numbers"):
        read_camera_parameters(path)
    path.write_text("0 1 2")
    with pytest.raises(InputError, match="24 numbers"):
        read_camera_parameters(path)
    path.write_text('<c><cameras><camera serial="a"><intrinsic focalLengthU="x"/></camera></cameras></c>')
    with pytest.raises(InputError, match="camera a/fov_video/left"):
        read_qualisys(path)
