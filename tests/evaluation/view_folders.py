"""A stick figure before a ring of cameras, written as the folders of photos that several views are read from."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from smplifyx.camera import Camera
from smplifyx.evaluation.triangulation import project
from smplifyx.lens import intrinsic_matrix
from smplifyx.skeleton import BODY_KEYPOINT_NAMES
from smplifyx.tracking import View

SIZE = (1080, 1920)
CAMERA = Camera((1500.0, 1510.0), (540.0, 960.0), "calibration")
_DISTORTION = (-0.05, 0.13, 0.0006, 0.0007, 0.0)

#: (left, height) in metres of the points of a person who looks along the world's y axis; z is up.
_SIDES = {
    "shoulder": (0.18, 1.42), "elbow": (0.22, 1.15), "wrist": (0.24, 0.92), "hip": (0.09, 0.95), "knee": (0.1, 0.52),
    "ankle": (0.1, 0.12), "eye": (0.03, 1.63), "ear": (0.07, 1.62), "big_toe": (0.1, 0.05), "small_toe": (0.14, 0.05),
    "heel": (0.1, 0.06),
}  # fmt: skip
_MIDDLE = {"nose": 1.6, "neck": 1.45, "mid_hip": 0.96}
_FORWARD = {"nose": 0.12, "eye": 0.09, "big_toe": 0.16, "small_toe": 0.14, "heel": -0.06, "wrist": 0.1, "knee": 0.04}


def stick_figure() -> np.ndarray:
    """BODY_25 points [25, 3], metres, about the world's origin."""
    points = []
    for name in BODY_KEYPOINT_NAMES:
        side, _, part = name.partition("_")
        if name in _MIDDLE:
            left, height, part = 0.0, _MIDDLE[name], name
        else:
            left, height = _SIDES[part]
        points.append((-left if side == "right" else left, _FORWARD.get(part, 0.0), height - 1.0))
    return np.array(points)


def ring_of_cameras(n_cameras: int = 4) -> list[View]:
    """Cameras 4 m from the origin that look at it, y down."""
    cameras = []
    for k in range(n_cameras):
        angle = 2 * np.pi * k / n_cameras + 0.3
        position = np.array([4 * np.cos(angle), 4 * np.sin(angle), 1.2])
        forward = -position / np.linalg.norm(position)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        cameras.append(View(f"Camera{k:02d}", CAMERA, rotation, -rotation @ position, _DISTORTION))
    return cameras


def write_photo(folder: Path, stem: str, people: list[np.ndarray]) -> None:
    """A grey photo, and BODY_25 keypoints [25, 3] of its people."""
    for name in ("images", "keypoints"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / "images" / f"{stem}.jpg"), np.full((SIZE[1], SIZE[0]), 128, np.uint8))
    entries = [{"pose_keypoints_2d": person.ravel().tolist()} for person in people]
    (folder / "keypoints" / f"{stem}_keypoints.json").write_text(json.dumps({"version": 1.3, "people": entries}))


def observed(camera: View, points: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Keypoints [25, 3] as a detector sees the points: off by some pixels, one in ten missing."""
    pixels = project(camera, points) + random.normal(0.0, 2.0, (len(points), 2))
    seen = random.random(len(points)) > 0.1
    return np.where(seen[:, None], np.column_stack([pixels, np.full(len(points), 0.9)]), 0.0)


def balancing_folder(folder: Path) -> Path:
    """Three instants before four cameras in Qualisys' layout; a bystander stands before the second camera.

    The calibrated images have eight columns more than the photos, as in the sample data.
    """
    random, cameras = np.random.default_rng(3), ring_of_cameras(4)
    elements = []
    for camera in cameras:
        axes = np.diag([1.0, -1.0, -1.0]) @ camera.rotation
        position = -camera.rotation.T @ camera.translation * 1e3
        k = intrinsic_matrix(CAMERA) * 64
        lens = " ".join(
            f'{name}="{value}"'
            for name, value in {
                "focalLengthU": k[0, 0], "focalLengthV": k[1, 1], "centerPointU": k[0, 2], "centerPointV": k[1, 2],
                "skew": 0, "radialDistortion1": _DISTORTION[0], "radialDistortion2": _DISTORTION[1],
                "tangentalDistortion1": _DISTORTION[2], "tangentalDistortion2": _DISTORTION[3],
                "radialDistortion3": _DISTORTION[4],
            }.items()
        )  # fmt: skip
        turn = " ".join(f'r{i + 1}{j + 1}="{axes[i, j]}"' for i in range(3) for j in range(3))
        place = " ".join(f'{axis}="{value}"' for axis, value in zip("xyz", position, strict=True))
        elements.append(
            f'<camera serial="{camera.name}"><fov_video left="0" top="0" right="{SIZE[0] + 7}" '
            f'bottom="{SIZE[1] - 1}"/><transform {place} {turn}/><intrinsic {lens}/></camera>'
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Calib.qca.txt").write_text(f"<calibration><cameras>{''.join(elements)}</cameras></calibration>")
    for number, frame in enumerate(("0000", "0040", "0080")):
        points = stick_figure() + np.array([0.05 * number, 0.0, 0.0])
        for k, camera in enumerate(cameras):
            people = [observed(camera, points, random)]
            if k == 1:
                people.insert(0, observed(camera, points + np.array([0.9, -0.5, 0.0]), random))
            write_photo(folder, f"cam{k + 1:02d}_{frame}", people)
    return folder


def seated_folder(folder: Path, metres_per_unit: float) -> Path:
    """One instant before six cameras in the plain-text layout."""
    random, blocks = np.random.default_rng(4), []
    for k, camera in enumerate(ring_of_cameras(6)):
        extrinsics = np.column_stack([camera.rotation, camera.translation / metres_per_unit])
        numbers = [k, *intrinsic_matrix(CAMERA).ravel(), *_DISTORTION[:2], *extrinsics.ravel()]
        blocks.append(" ".join(map(str, numbers)))
        write_photo(folder, f"Camera{k:02d}", [observed(camera, stick_figure(), random)])
    (folder / "camera_parameters.txt").write_text("\n".join(blocks))
    return folder
