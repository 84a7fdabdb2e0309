"""Runs the fitter on people whose truth is known, and brings its results into the metrics' terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from smplifyx.body.body_model import BodyOutput
from smplifyx.body.keypoint_regressor import OPENPOSE_DEFINITIONS, SMPLX_DEFINITIONS, KeypointRegressor
from smplifyx.body.model_data import BodyModelData
from smplifyx.config import Config
from smplifyx.evaluation.scoring import score
from smplifyx.evaluation.synthetic import SyntheticPerson
from smplifyx.fitting.fitter import Fitter
from smplifyx.fitting.result import FitResult
from smplifyx.geometry import Intrinsics
from smplifyx.keypoints import Observation
from smplifyx.keypoints.intrinsics import resolve_intrinsics

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class FittedPerson:
    """A fit in the camera frame, translation included, metres.

    Attributes:
        result: what the fitter returned.
        vertices: [V, 3].
        joints: [55, 3].
        keypoints: [135, 3].
    """

    result: FitResult
    vertices: FloatArray
    joints: FloatArray
    keypoints: FloatArray


def fit_people(
    data: BodyModelData, config: Config, observations: Sequence[Observation], intrinsics: Sequence[Intrinsics]
) -> list[FittedPerson]:
    """Fits people in batches of ``config.run.batch_size``; the i-th fit belongs to the i-th observation."""
    fitter = Fitter(data, config)
    definitions = OPENPOSE_DEFINITIONS if config.body.openpose_joint_definitions else SMPLX_DEFINITIONS
    regressor = KeypointRegressor(data, definitions=definitions, dtype=torch.float64)
    fitted = []
    for start in range(0, len(observations), config.run.batch_size):
        batch = slice(start, start + config.run.batch_size)
        for result in fitter.fit(observations[batch], intrinsics[batch]):
            vertices = np.float64(fitter.vertices(result)) + np.float64(result.camera_translation)
            joints = np.float64(result.joints)
            fitted.append(FittedPerson(result, vertices, joints, _keypoints(regressor, vertices, joints)))
    return fitted


def _keypoints(regressor: KeypointRegressor, vertices: FloatArray, joints: FloatArray) -> FloatArray:
    points, corners = torch.as_tensor(joints)[None], torch.as_tensor(vertices)[None, regressor.vertices]
    # The contour alone needs the head's rotation, and no metric looks at the contour: row 0 is as good as any.
    output = BodyOutput(points, corners, torch.eye(3, dtype=torch.float64).expand(1, joints.shape[0], 3, 3))
    return np.asarray(regressor(output, torch.zeros(1, dtype=torch.int64))[0].numpy())


def observation_of(person: SyntheticPerson) -> Observation:
    """What the fitter may know about a synthetic person; its paths name no real files."""
    return Observation(
        image_path=Path(f"{person.name}.png"),
        keypoint_path=Path(f"{person.name}_keypoints.json"),
        stem=person.name,
        person_index=0,
        keypoints=person.keypoints_2d.astype(np.float32),
        image_size=person.image_size,
    )


def true_intrinsics(person: SyntheticPerson) -> Intrinsics:
    """The camera that the person was made with."""
    cx, cy = (float(value) for value in person.principal_point)
    return Intrinsics((person.focal_length, person.focal_length), (cx, cy), "true")


def fit_and_score(
    data: BodyModelData, config: Config, people: Sequence[SyntheticPerson], true_camera: bool = False
) -> list[dict[str, str | float]]:
    """One row of figures for each person.

    Args:
        data: the body model, the one that the people were made with.
        config: the fitter's settings.
        people: the truth.
        true_camera: tell the fitter the focal length; otherwise it falls back to the configured one.
    """
    observations = [observation_of(person) for person in people]
    cameras = [
        true_intrinsics(person) if true_camera else resolve_intrinsics(observation, config.camera, {})
        for person, observation in zip(people, observations, strict=True)
    ]
    fits = fit_people(data, config, observations, cameras)
    return [_row(person, fit) for person, fit in zip(people, fits, strict=True)]


def _row(person: SyntheticPerson, fit: FittedPerson) -> dict[str, str | float]:
    figures = score(person, fit.vertices, fit.joints)
    return {
        "person": person.name,
        **figures,
        "reprojection_px": fit.result.reprojection_error_px,
        "n_keypoints": fit.result.n_keypoints,
        "seconds": fit.result.seconds,
        "flags": " ".join([*(["truncated"] if person.truncated else []), *fit.result.flags]),
    }
