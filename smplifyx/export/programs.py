"""Results in the layouts that other research programs read: AGORA's evaluation, TalkSHOW, ExAvatar, EasyMocap.

The layouts were read off the programs' public readers; ``docs/exports.md`` names the comparisons.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from smplifyx.camera import TURN_ABOUT_X, Camera
from smplifyx.errors import InputError
from smplifyx.export.amass import AMASS_MODELS
from smplifyx.export.motion import Motion
from smplifyx.output.results import pickle_of
from smplifyx.result import FitResult

#: Coefficients of shape and expression that TalkSHOW and ExAvatar have; those beyond ours are 0.
_TALKSHOW_SHAPE, _TALKSHOW_EXPRESSION, _EXAVATAR_EXPRESSION = 300, 100, 50
#: Joints by whose pixels AGORA's evaluation finds the person.
_AGORA_JOINTS = 24
#: Name of the camera in EasyMocap's files, which is also that of its folder of photos.
_EASYMOCAP_CAMERA = "0"
_HANDS = ("left_hand_pose", "right_hand_pose")


def agora_bytes(motion: Motion) -> bytes:
    """The prediction of a photo for AGORA's evaluation, by parameters.

    ``params`` pose the smplx package's body with its mean hands in the camera frame (y down), ``joints`` [24, 2] are
    pixels.

    Raises:
        InputError: a model other than SMPL-X.
    """
    _require(motion, ("smplx",))
    first = motion.first
    names = ("global_orient", "body_pose", "jaw_pose", "leye_pose", "reye_pose", "expression", "betas")
    params = {name: getattr(first, name) for name in names} | _relative_hands(motion, first)
    params["transl"] = first.camera_translation
    pixels = first.camera.project(first.joints[:_AGORA_JOINTS])
    return pickle_of(
        {
            "params": {name: np.asarray(array, np.float32)[None] for name, array in params.items()},
            "joints": np.asarray(pixels, np.float32),
            "gender": first.gender,
            "num_betas": len(first.betas),
            "pose2rot": True,
        }
    )


def talkshow_bytes(motion: Motion) -> bytes:
    """The clip of a person as in TalkSHOW's data: arrays of T frames in the camera frame (y down), one shape.

    Raises:
        InputError: a model other than SMPL-X.
    """
    _require(motion, ("smplx",))
    names = ("global_orient", "body_pose", "jaw_pose", "leye_pose", "reye_pose", "left_hand_pca", "right_hand_pca")
    stacked = {name: np.stack([getattr(one, name) for one in motion.results]) for name in names}
    arrays = {name.replace("hand_pca", "hand_pose"): array for name, array in stacked.items()}
    arrays["body_pose_axis"] = arrays.pop("body_pose")
    arrays["expression"] = _padded(motion.expressions, _TALKSHOW_EXPRESSION)
    arrays["betas"] = _padded(motion.betas[None], _TALKSHOW_SHAPE)
    arrays["transl"] = _translations(motion)
    return pickle_of({name: np.asarray(array, np.float32) for name, array in arrays.items()})


def exavatar_files(motion: Motion) -> dict[str, bytes]:
    """A motion for ``animate.py`` of ExAvatar: content of the files by path, two for each frame.

    The camera frame is the world; pixels of the principal point count from the picture's corner.

    Raises:
        InputError: a model other than SMPL-X.
    """
    _require(motion, ("smplx",))
    files = {}
    for frame, one, place in zip(motion.frames, motion.results, _translations(motion), strict=True):
        hands = _relative_hands(motion, one)
        pose = {
            "root_pose": one.global_orient,
            "body_pose": one.body_pose.reshape(-1, 3),
            "jaw_pose": one.jaw_pose,
            "leye_pose": one.leye_pose,
            "reye_pose": one.reye_pose,
            "lhand_pose": hands["left_hand_pose"].reshape(-1, 3),
            "rhand_pose": hands["right_hand_pose"].reshape(-1, 3),
            "expr": _padded(one.expression, _EXAVATAR_EXPRESSION),
            "trans": place,
        }
        camera = {
            "R": np.eye(3),
            "t": np.zeros(3),
            "focal": np.array(one.camera.focal_length),
            "princpt": np.array(one.camera.center) + 0.5,
        }
        files[f"smplx_optimized/smplx_params_smoothed/{frame}.json"] = _json(pose)
        files[f"cam_params/{frame}.json"] = _json(camera)
    return files


def easymocap_files(motions: Sequence[Motion]) -> dict[str, bytes]:
    """The people of all frames as EasyMocap writes and reads them, and its camera: content of the files by path.

    ``poses`` are complete, with a root of 0: ``Rh`` turns the body about the origin of the model, ``Th`` is added.

    Raises:
        InputError: a hand or a head.
    """
    people: list[list[dict[str, Any]]] = [[] for _ in range(1 + max(motion.frames[-1] for motion in motions))]
    for motion in motions:
        _require(motion, AMASS_MODELS)
        for frame, one, place in zip(motion.frames, motion.results, _translations(motion), strict=True):
            pelvis = motion.rest_joints[0]
            turned = Rotation.from_rotvec(one.global_orient).apply(pelvis)
            pose = one.full_pose.copy()
            pose[0] = 0.0
            values = {"Rh": one.global_orient, "Th": place + pelvis - turned, "poses": pose.ravel()}
            values["shapes"] = motion.betas
            if one.expression.size:
                values["expression"] = one.expression
            rows = {name: np.asarray(array, np.float64)[None].tolist() for name, array in values.items()}
            people[frame].append({"id": motion.key.number, **rows})
    files = {f"smpl/{frame:06d}.json": json.dumps(persons).encode() for frame, persons in enumerate(people)}
    return files | _easymocap_camera(motions[0].first.camera)


def _easymocap_camera(camera: Camera) -> dict[str, bytes]:
    """``intri.yml`` and ``extri.yml`` of a camera in the origin."""
    (fx, fy), (cx, cy), (width, height) = camera.focal_length, camera.center, camera.size
    name = _EASYMOCAP_CAMERA
    inner = {f"K_{name}": np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), f"dist_{name}": np.zeros((1, 5))}
    outer = {f"R_{name}": np.zeros((3, 1)), f"Rot_{name}": np.eye(3), f"T_{name}": np.zeros((3, 1))}
    sizes = {f"H_{name}": height, f"W_{name}": width}
    return {"intri.yml": _opencv_yaml(inner | sizes), "extri.yml": _opencv_yaml(outer)}


def _opencv_yaml(values: dict[str, Any]) -> bytes:
    storage = cv2.FileStorage(".yml", cv2.FILE_STORAGE_WRITE | cv2.FILE_STORAGE_MEMORY)
    storage.startWriteStruct("names", cv2.FILE_NODE_SEQ)
    storage.write("", _EASYMOCAP_CAMERA)
    storage.endWriteStruct()
    for name, value in values.items():
        storage.write(name, value)
    _, _, rest = storage.releaseAndGetString().partition("\n")
    return f"%YAML:1.0\n{rest}".encode()  # a version that every OpenCV reads


def _require(motion: Motion, models: Sequence[str]) -> None:
    found = motion.first.model_type
    if found not in models:
        raise InputError(None, f"expected {' or '.join(models)}, found {found}", "model_type")


def _translations(motion: Motion) -> np.ndarray:
    """Translations [T, 3] in the camera frame that put the shape of the motion where each frame was fitted."""
    return np.asarray(motion.root_positions * TURN_ABOUT_X - motion.rest_joints[0])


def _relative_hands(motion: Motion, result: FitResult) -> dict[str, np.ndarray]:
    """Poses of the hands [45] relative to the mean hand."""
    return {name: getattr(result, name) - motion.data.hand(name.removesuffix("_hand_pose")).mean for name in _HANDS}


def _padded(array: np.ndarray, size: int) -> np.ndarray:
    """The array with zeros up to a size of its last axis."""
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, size - array.shape[-1])])


def _json(values: dict[str, np.ndarray]) -> bytes:
    return json.dumps({name: np.asarray(array, np.float64).tolist() for name, array in values.items()}).encode()
