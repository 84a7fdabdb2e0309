"""Results in other forms: the pickle layout of SMPLify-X, and results of one body model as those of another."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smplifyx.errors import InputError
from smplifyx.files import write_bytes
from smplifyx.result import N_HAND_COEFFICIENTS, FitResult

if TYPE_CHECKING:
    from smplifyx.body.data import BodyModelData
    from smplifyx.fitting.conversion import Conversion, ModelParameters

#: Entries of a SMPLify-X pickle under its own names, besides the hands.
_PICKLE_KEYS = (
    "camera_rotation", "camera_translation", "betas", "global_orient", "jaw_pose", "leye_pose", "reye_pose",
    "expression", "body_pose", "hand_pca", "neck_pose",
)  # fmt: skip


def save_smplifyx_pickle(result: FitResult, path: str | Path) -> None:
    """Write :func:`smplifyx_parameters` as SMPLify-X does: a protocol 2 pickle of a dict of arrays."""
    write_bytes(path, pickle_of(smplifyx_parameters(result)))


def smplifyx_parameters(result: FitResult, with_vposer: bool = False) -> dict[str, np.ndarray]:
    """The parameters under the names of SMPLify-X, float32 with a leading axis of 1.

    ``body_pose`` is axis-angle `[1, 63]`, as SMPLify-X writes it without VPoser, because the pose of a fit may
    deviate from what its code decodes to. The hands are coefficients of the hand pose space `[1, 12]`. What the model
    does not have is left out. SMPLify-X assumes a focal length of 5000 pixels and stores none; here ``focal_length``
    `[1, 2]`, ``camera_center`` `[1, 2]` and ``K`` `[1, 3, 3]` tell the camera, with pixel centres at whole numbers.

    Args:
        result: the fit.
        with_vposer: write the VPoser code `[1, 32]` as ``body_pose``, as SMPLify-X does with that prior.

    Raises:
        InputError: the fit has no VPoser code.
    """
    arrays = {name.replace("hand_pca", "hand_pose"): getattr(result, name) for name in _PICKLE_KEYS}
    arrays |= {"left_hand_pose": result.left_hand_pca, "right_hand_pose": result.right_hand_pca}
    if with_vposer:
        if result.body_pose_embedding is None:
            problem = "is missing: the fit did not use VPoser; expected one with --priors.body_pose vposer"
            raise InputError(None, problem, "body_pose_embedding")
        arrays["body_pose"] = result.body_pose_embedding
    (fx, fy), (cx, cy) = result.camera.focal_length, result.camera.center
    arrays |= {"focal_length": np.array([fx, fy]), "camera_center": np.array([cx, cy])}
    arrays["K"] = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    return {name: np.asarray(array, np.float32)[None] for name, array in arrays.items() if array.size}


def pickle_of(values: dict[str, Any]) -> bytes:
    """A pickle of arrays and strings that Python 2 and NumPy 1 read too."""
    # NumPy 2 names a module that older versions do not have
    return pickle.dumps(values, protocol=2).replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def model_parameters(result: FitResult) -> ModelParameters:
    """Return the parameters of a whole body, in the order of its joints, as a batch of one person.

    Raises:
        InputError: the result is not of a whole body.
    """
    import torch  # late: drawing and reading results needs no torch

    from smplifyx.fitting.conversion import CONVERTIBLE, ModelParameters

    if result.model_type not in CONVERTIBLE:
        raise InputError(None, f"expected one of {', '.join(CONVERTIBLE)}, found {result.model_type!r}", "model_type")
    arrays = (result.betas, result.expression, result.full_pose, result.camera_translation)
    return ModelParameters(*(torch.as_tensor(array, dtype=torch.float64)[None] for array in arrays))


def converted_result(result: FitResult, data: BodyModelData, conversion: Conversion) -> FitResult:
    """Return a result as one of another body.

    Camera, keypoints and the figures of the fit stay; ``converted_from`` names the body of the result, and
    ``conversion_error_mm`` is the mean distance of the two surfaces.

    Args:
        result: the result to convert.
        data: the other body.
        conversion: of this one person.
    """
    parameters = conversion.parameters
    arrays = {name: np.zeros(0) for name in (*result.skeleton.pose_groups, "left_hand_pca", "right_hand_pca")}
    pose = parameters.pose[0].numpy()
    arrays |= {name: pose[joints].ravel() for name, joints in data.skeleton.pose_groups.items()}
    arrays |= {
        "betas": parameters.betas[0].numpy(),
        "expression": parameters.expression[0].numpy() if data.expression_dirs.shape[2] else np.zeros(0),
        "camera_translation": parameters.translation[0].numpy(),
        "joints": conversion.joints[0],
    }
    for side in data.skeleton.hand_sides:
        hand = data.hand(side)
        components = hand.components[:N_HAND_COEFFICIENTS]
        arrays[f"{side}_hand_pca"] = components @ (arrays[f"{side}_hand_pose"] - hand.mean)
    single: dict[str, Any] = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
    return dataclasses.replace(
        result,
        model_type=data.model_type,
        model_name=data.name,
        gender=data.gender,
        body_pose_embedding=None,
        converted_from=f"{result.model_type} {result.model_name} {result.gender}",
        conversion_error_mm=float(conversion.vertex_error_mm[0]),
        _body=None,
        **single,
    )
