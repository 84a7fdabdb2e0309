"""The parameters of one person on disk: our .npz, and the pickle layout of SMPLify-X."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from smplifyx.body.arrays import NpzReader
from smplifyx.body.data import GENDERS, BodyModelData
from smplifyx.errors import InputError, reason
from smplifyx.files import atomic_path, write_bytes
from smplifyx.fitting.conversion import CONVERTIBLE, Conversion, ModelParameters
from smplifyx.fitting.result import FitResult
from smplifyx.output.summary import SummaryRow
from smplifyx.skeleton import Skeleton, skeleton_of

#: Shapes of the arrays that every file has, besides those of its body model; None stands for any length.
_COMMON_SHAPES: dict[str, tuple[int | None, ...]] = {
    "camera_translation": (3,),
    "camera_rotation": (3, 3),
    "focal_length": (2,),
    "principal_point": (2,),
    "image_size": (2,),
    "joints": (None, 3),
    "keypoints_2d": (None, 3),
    "projected_keypoints_2d": (None, 2),
    "stage_losses": (None,),
}
_N_COEFFICIENTS, _N_HAND_PCA = 10, 12
_TEXT_KEYS = ("model_type", "model_name", "gender")
#: How the gender was decided; files of earlier versions do not say.
_GENDER_TEXT_KEYS = ("gender_source", "gender_reason")
_SOURCE_KEYS = ("image_path", "keypoint_path", "version")

#: What a SMPLify-X pickle holds under its own names, besides the body's pose and the hands.
_PICKLE_KEYS = (
    "camera_rotation", "camera_translation", "betas", "global_orient", "jaw_pose", "leye_pose", "reye_pose",
    "expression",
)  # fmt: skip


@dataclass(frozen=True)
class ResultSource:
    """Where a result came from: the two input files and the version of this package that fitted it."""

    image_path: str
    keypoint_path: str
    version: str


def array_shapes(skeleton: Skeleton) -> dict[str, tuple[int | None, ...]]:
    """Names and shapes of the arrays in a model's result files, in their order; None stands for any length."""
    shapes: dict[str, tuple[int | None, ...]] = {"betas": (_N_COEFFICIENTS,)}
    if skeleton.face_joint is not None:
        shapes["expression"] = (_N_COEFFICIENTS,)
    shapes |= {name: (3 * (joints.stop - joints.start),) for name, joints in skeleton.pose_groups.items()}
    hands = ["hand_pca"] if skeleton.side else [f"{side}_hand_pca" for side in skeleton.hand_sides]
    return shapes | dict.fromkeys(hands, (_N_HAND_PCA,)) | _COMMON_SHAPES


def _skeleton(path: Path, model_type: str, side: str) -> Skeleton:
    try:
        return skeleton_of(model_type, side or None)
    except ValueError as error:
        raise InputError(path, str(error), "model_type") from error


def save_result(
    result: FitResult, image_path: str | Path, keypoint_path: str | Path, version: str, path: str | Path
) -> None:
    """Write one person's parameters as a compressed .npz of plain arrays and strings, all or nothing.

    It holds the poses and coefficients that the model has, see :func:`array_shapes`, and loads with
    ``np.load(path, allow_pickle=False)``. ``seconds``, ``reprojection_error_px``, ``n_keypoints`` and
    ``status`` are figures of the run and go to the summary table, not here.
    """
    entries: dict[str, Any] = {name: getattr(result, name) for name in _TEXT_KEYS}
    if result.side:
        entries["side"] = result.side
    for name in array_shapes(_skeleton(Path(path), result.model_type, result.side)):
        entries[name] = np.asarray(getattr(result, name), np.int64 if name == "image_size" else np.float32)
    if result.body_pose_embedding is not None:
        entries["body_pose_embedding"] = np.asarray(result.body_pose_embedding, np.float32)
    entries["loss"] = np.float32(result.loss)
    entries |= {name: getattr(result, name) for name in _GENDER_TEXT_KEYS}
    entries["gender_probability"] = np.float32(result.gender_probability)
    entries["expected_error_mm"] = np.float32(result.expected_error_mm)
    entries["penetration_mm"] = np.float32(result.penetration_mm)
    entries["colliding_pairs"] = np.int64(result.colliding_pairs)
    entries["quality_feature_names"] = np.array([*result.quality_features], dtype=np.str_)
    entries["quality_features"] = np.array([*result.quality_features.values()], np.float32)
    entries["n_evaluations"] = np.int64(result.n_evaluations)
    entries["converged"] = np.bool_(result.converged)
    entries["flags"] = np.array(result.flags, dtype=np.str_)
    entries |= {"image_path": str(image_path), "keypoint_path": str(keypoint_path), "version": version}
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **entries)


def load_result(path: str | Path, row: SummaryRow | None = None) -> FitResult:
    """Read a result back.

    Args:
        path: the .npz.
        row: the person's row of the summary table, for the four figures that only the table holds. Without it,
            ``seconds`` and ``reprojection_error_px`` are NaN, ``n_keypoints`` counts the observed keypoints with
            confidence above 0, and ``status`` is ``ok``, since a person that failed leaves no result.

    Raises:
        InputError: the file is damaged, incomplete or of another kind.
    """
    path = Path(path)
    stored = _read(path)
    fields: dict[str, Any] = {name: _text(path, stored, name) for name in _TEXT_KEYS}
    fields["side"] = _text(path, stored, "side") if "side" in stored else ""
    shapes = array_shapes(_skeleton(path, fields["model_type"], fields["side"]))
    fields |= {name: _array(path, stored, name, shape) for name, shape in shapes.items()}
    embedding = "body_pose_embedding"
    fields[embedding] = _array(path, stored, embedding, (None,)) if embedding in stored else None
    fields["loss"] = float(_array(path, stored, "loss", ()))
    fields["n_evaluations"] = int(_array(path, stored, "n_evaluations", ()))
    fields["converged"] = bool(_array(path, stored, "converged", ()))
    if "flags" not in stored:
        raise InputError(path, "is missing; it belongs to every result", "flags")
    fields["flags"] = tuple(str(flag) for flag in np.atleast_1d(stored["flags"]))
    fields |= {name: _text(path, stored, name) for name in _GENDER_TEXT_KEYS if name in stored}
    if "gender_probability" in stored:
        fields["gender_probability"] = float(_array(path, stored, "gender_probability", ()))
    if "expected_error_mm" in stored:
        fields["expected_error_mm"] = float(_array(path, stored, "expected_error_mm", ()))
        values = _array(path, stored, "quality_features", (None,)).tolist()
        fields["quality_features"] = dict(zip(map(str, stored["quality_feature_names"]), values, strict=False))
    if "colliding_pairs" in stored:
        fields["colliding_pairs"] = int(_array(path, stored, "colliding_pairs", ()))
        fields["penetration_mm"] = float(_array(path, stored, "penetration_mm", ()))
    if row is None:
        observed = int((fields["keypoints_2d"][:, 2] > 0).sum())
        return FitResult(
            **fields, seconds=float("nan"), reprojection_error_px=float("nan"), n_keypoints=observed, status="ok"
        )
    return FitResult(
        **fields,
        seconds=row.seconds,
        reprojection_error_px=row.reprojection_error_px,
        n_keypoints=row.n_keypoints,
        status=row.status,
    )


def load_source(path: str | Path) -> ResultSource:
    """Where the result in ``path`` came from; raises InputError as :func:`load_result` does."""
    path = Path(path)
    stored = _read(path)
    return ResultSource(*(_text(path, stored, name) for name in _SOURCE_KEYS))


def save_smplifyx_pickle(result: FitResult, path: str | Path) -> None:
    """Write the parameters as SMPLify-X does: a protocol 2 pickle of a dict of arrays with a leading axis of 1.

    ``body_pose`` is axis-angle `[1, 63]`, as SMPLify-X writes it without VPoser, because the pose of a fit may
    deviate from what its code decodes to. The hands are coefficients of the hand pose space `[1, 12]`. What the model
    does not have is left out.
    """
    arrays = {name: getattr(result, name) for name in (*_PICKLE_KEYS, "body_pose")}
    arrays["left_hand_pose"] = result.left_hand_pca
    arrays["right_hand_pose"] = result.right_hand_pca
    arrays |= {"hand_pose": result.hand_pca, "neck_pose": result.neck_pose}
    arrays = {name: array for name, array in arrays.items() if array.size}
    write_bytes(path, _numpy1_pickle({name: np.asarray(value, np.float32)[None] for name, value in arrays.items()}))


def _numpy1_pickle(arrays: dict[str, np.ndarray]) -> bytes:
    """Protocol 2 bytes that NumPy 1 reads too: NumPy 2 names a module that older versions do not have."""
    return pickle.dumps(arrays, protocol=2).replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise InputError(path, "does not exist; expected a result file (.npz)") from None
    # a damaged archive fails in zipfile, zlib, the decoder or numpy, each with errors of its own
    except Exception as error:
        raise InputError(path, f"is damaged or not a result file (.npz): {reason(error)}") from error


def _array(path: Path, stored: dict[str, np.ndarray], name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    if name not in stored:
        raise InputError(path, "is missing; it belongs to every result", name)
    value = stored[name]
    fits = value.ndim == len(shape) and all(
        want in (None, have) for want, have in zip(shape, value.shape, strict=True)
    )
    if not fits or value.dtype.kind not in "fiub":
        wanted = " x ".join("any" if length is None else str(length) for length in shape) or "one number"
        raise InputError(path, f"has shape {value.shape} and type {value.dtype}; expected numbers, {wanted}", name)
    return value


def _text(path: Path, stored: dict[str, np.ndarray], name: str) -> str:
    if name not in stored:
        raise InputError(path, "is missing; it belongs to every result", name)
    if stored[name].ndim or stored[name].dtype.kind != "U":
        raise InputError(path, f"has type {stored[name].dtype}; expected a string", name)
    return str(stored[name])


#: Hand components in a result.
_N_HAND_PCA_CONVERTED = 12
#: Of the body that the result was made from, besides its pose.
_OTHER_PARAMETERS = ("expression", "left_hand_pca", "right_hand_pca", "body_pose_embedding")


@dataclass(frozen=True)
class StoredParameters:
    """What one result file says about its body.

    Attributes:
        path: the file.
        model_type: ``smplx``, ``smplh`` or ``smpl``.
        model_name: which body of that kind.
        gender: ``neutral``, ``male`` or ``female``.
        parameters: of one person.
    """

    path: Path
    model_type: str
    model_name: str
    gender: str
    parameters: ModelParameters


def read_parameters(path: str | Path) -> StoredParameters:
    """Read the parameters of one result.

    Raises:
        InputError: the file is damaged, incomplete, or not a result of a whole body.
    """
    with NpzReader(path) as file:
        model_type, gender = file.text("model_type"), file.text("gender")
        if model_type not in CONVERTIBLE:
            raise file.error("model_type", f"found {model_type!r}, expected one of {', '.join(CONVERTIBLE)}")
        if gender not in GENDERS:
            raise file.error("gender", f"found {gender!r}, expected one of {', '.join(GENDERS)}")
        groups = skeleton_of(model_type).pose_groups
        pose = [file.array(name, (3 * (joints.stop - joints.start),)) for name, joints in groups.items()]
        expression = file.array("expression", (None,)) if model_type == "smplx" else np.zeros(0)
        arrays = (
            file.array("betas", (None,)), expression, np.concatenate(pose).reshape(-1, 3),
            file.array("camera_translation", (3,)),
        )  # fmt: skip
        parameters = ModelParameters(*(torch.as_tensor(array, dtype=torch.float64)[None] for array in arrays))
        return StoredParameters(file.path, model_type, file.text("model_name"), gender, parameters)


def save_converted(stored: StoredParameters, data: BodyModelData, conversion: Conversion, path: str | Path) -> None:
    """Write a result as one of another body, all or nothing.

    Camera, keypoints and the figures of the fit are those of the result it was made from; ``converted_from`` names
    that one's body, ``conversion_error_mm`` is the mean distance of the two surfaces.

    Args:
        stored: the result it was made from.
        data: the other body.
        conversion: of this one person.
        path: the file to write.
    """
    with np.load(stored.path, allow_pickle=False) as archive:
        entries: dict[str, Any] = {name: archive[name] for name in archive.files}
    for name in (*skeleton_of(stored.model_type).pose_groups, *_OTHER_PARAMETERS):
        entries.pop(name, None)
    parameters = conversion.parameters
    pose = parameters.pose[0].numpy()
    entries |= {name: pose[joints].ravel() for name, joints in data.skeleton.pose_groups.items()}
    entries |= {
        "model_type": data.model_type,
        "model_name": data.name,
        "gender": data.gender,
        "betas": parameters.betas[0].numpy(),
        "camera_translation": parameters.translation[0].numpy(),
        "joints": conversion.joints[0],
        "converted_from": f"{stored.model_type} {stored.model_name} {stored.gender}",
        "conversion_error_mm": conversion.vertex_error_mm[0],
    }
    if data.expression_dirs.shape[2]:
        entries["expression"] = parameters.expression[0].numpy()
    for side in data.skeleton.hand_sides:
        hand = data.hand(side)
        components = hand.components[:_N_HAND_PCA_CONVERTED]
        entries[f"{side}_hand_pca"] = components @ (entries[f"{side}_hand_pose"] - hand.mean)
    single = {name: np.float32(value) for name, value in entries.items() if np.asarray(value).dtype == np.float64}
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **(entries | single))
