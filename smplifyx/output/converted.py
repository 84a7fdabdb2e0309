"""The parameters in a result file of any of the whole bodies, and results that were converted to another one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from smplifyx.atomic import atomic_path
from smplifyx.body.model_data import GENDERS, BodyModelData
from smplifyx.body.npz_files import NpzReader
from smplifyx.body.skeleton import skeleton_of
from smplifyx.fitting.conversion import CONVERTIBLE, Conversion, ModelParameters

#: Hand components in a result.
_N_HAND_PCA = 12
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
        components = hand.components[:_N_HAND_PCA]
        entries[f"{side}_hand_pca"] = components @ (entries[f"{side}_hand_pose"] - hand.mean)
    single = {name: np.float32(value) for name, value in entries.items() if np.asarray(value).dtype == np.float64}
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **(entries | single))
