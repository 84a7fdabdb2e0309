"""Fits the frames of a benchmark in batches, and keeps every fit so that an interrupted evaluation goes on."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

import smplifyx
from smplifyx import skeleton
from smplifyx.body.data import BodyModelData
from smplifyx.body.files import load_body_model_data
from smplifyx.body.model import BodyOutput
from smplifyx.body.regressor import OPENPOSE_DEFINITIONS, SMPLX_DEFINITIONS, KeypointRegressor
from smplifyx.body.search import find_body_model
from smplifyx.camera import Camera, resolve_cameras
from smplifyx.config import Config
from smplifyx.errors import InputError, reason
from smplifyx.evaluation.ablations import PAPER_FOCAL_LENGTH, CameraRule, Variant
from smplifyx.evaluation.ehf_layout import Frame
from smplifyx.evaluation.metrics import pa_mpjpe, pa_v2v, root_aligned_mpjpe, root_aligned_v2v
from smplifyx.evaluation.posture import posture_errors, posture_of_joints
from smplifyx.fitting.fitter import Fitter
from smplifyx.keypoints import Observation
from smplifyx.result import FitResult, load_result
from smplifyx.synthetic.people import SyntheticPerson

FloatArray = NDArray[np.float64]

_PACKAGE = Path(smplifyx.__file__).parent
#: The parts of the package and of the configuration that decide how a fit comes out.
_DECISIVE_CODE = ("body", "collision", "config", "fitting", "geometry", "keypoints", "priors", "data")
_DECISIVE_SETTINGS = (
    "body",
    "camera",
    "priors",
    "lifting",
    "objective",
    "starts",
    "stages",
    "optimizer",
    "collision",
)
_DIGEST_LENGTH = 12

#: Called with the number of people fitted since the last call.
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Trial:
    """One way to fit all frames.

    Attributes:
        label: name of the configuration that ``config`` came from.
        variant: what differs from it.
        config: the result.
        camera: how much is known of the camera: what the configuration says, the paper's focal length, or the truth.
        noise_level: of the keypoints; None for the benchmark's own.
    """

    label: str
    variant: Variant
    config: Config
    camera: CameraRule
    noise_level: float | None = None


@dataclass(frozen=True)
class BenchmarkFit:
    """One fitted frame; ``vertices`` [V, 3] and ``joints`` [J, 3] in the camera frame, metres."""

    frame: Frame
    result: FitResult
    vertices: FloatArray
    joints: FloatArray

    @property
    def succeeded(self) -> bool:
        """Whether all numbers are finite."""
        return bool(np.isfinite(self.vertices).all() and np.isfinite(self.joints).all())


class FitStore:
    """Fits on disk, found again by everything that decided how they came out, the program's code included."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, trial: Trial, frame: Frame, observation: Observation, body: Path) -> Path:
        """Where the fit of one frame belongs."""
        decisive = {
            "code": code_digest(),
            "settings": {name: repr(getattr(trial.config, name)) for name in _DECISIVE_SETTINGS},
            "min_confidence": trial.config.people.min_confidence,
            "body": [str(body.resolve()), body.stat().st_size, body.stat().st_mtime_ns],
            "camera": repr(observation.camera),
            "keypoints": hashlib.sha256(observation.keypoints.tobytes()).hexdigest(),
        }
        digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:_DIGEST_LENGTH]
        return self._folder / f"{trial.label}_{trial.variant.key}_{trial.camera}" / f"{frame.name}_{digest}.npz"


class BenchmarkFitter:
    """Fits frames as trials ask.

    Args:
        store: where fits are kept.
        device: where to compute.
    """

    def __init__(self, store: FitStore, device: torch.device | str = "cpu") -> None:
        self._store = store
        self._device = device

    def fit(
        self,
        trial: Trial,
        frames: Sequence[Frame],
        keypoints: Callable[[Frame], Path] | None = None,
        progress: Progress | None = None,
    ) -> list[BenchmarkFit]:
        """Fits all frames, in their order; a frame whose fit exists is not fitted again.

        Args:
            trial: how.
            frames: whom.
            keypoints: other keypoint files than the frames' own.
            progress: told about finished frames.

        Raises:
            InputError: a file is damaged, or a body model is missing.
        """
        observed = [_observation(frame, trial, keypoints) for frame in frames]
        genders = [_gender(frame, trial) for frame in frames]
        body = trial.config.body
        paths = {gender: find_body_model(body.model, gender, body.models_dir) for gender in sorted(set(genders))}
        files = [
            self._store.path(trial, frame, one, paths[gender])
            for frame, one, gender in zip(frames, observed, genders, strict=True)
        ]

        @functools.cache
        def fitter_of(gender: str) -> Fitter:
            return Fitter(load_model(paths[gender], gender), config=trial.config, device=self._device)

        todo = [number for number, file in enumerate(files) if not file.is_file()]
        if progress is not None:
            progress(len(frames) - len(todo))
        for batch in smplifyx.fit_people([observed[k] for k in todo], [genders[k] for k in todo], fitter_of):
            for position, result in zip(batch.people, batch.results, strict=True):
                result.save(files[todo[position]])
            if progress is not None:
                progress(len(batch.people))
        return [
            _placed(frame, load_result(file), fitter_of(gender))
            for frame, file, gender in zip(frames, files, genders, strict=True)
        ]


@functools.lru_cache(maxsize=8)
def load_model(path: Path, gender: str) -> BodyModelData:
    """A body model, read once."""
    return load_body_model_data(path, gender)


@functools.cache
def code_digest() -> str:
    """Changes whenever the code or the data that fits depend on change."""
    digest = hashlib.sha256()
    for folder in _DECISIVE_CODE:
        for path in sorted((_PACKAGE / folder).rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                digest.update(str(path.relative_to(_PACKAGE)).encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:_DIGEST_LENGTH]


def _gender(frame: Frame, trial: Trial) -> str:
    return frame.gender if trial.variant.gender == "true" else "neutral"


def _observation(frame: Frame, trial: Trial, keypoints: Callable[[Frame], Path] | None) -> Observation:
    observation = frame.observation(None if keypoints is None else keypoints(frame))
    selected = trial.variant.select(observation.keypoints).astype(np.float32)
    return with_trial_camera(frame, replace(observation, keypoints=selected), trial)


def with_trial_camera(frame: Frame, observation: Observation, trial: Trial) -> Observation:
    """Return the observation with the camera that the trial assumes for the frame."""
    if trial.camera == "true":
        return replace(observation, camera=frame.camera.intrinsics)
    config = trial.config.camera
    if trial.camera == "paper":
        config = replace(config, focal_length=PAPER_FOCAL_LENGTH)
    return resolve_cameras([observation], config)[0]


def _placed(frame: Frame, result: FitResult, fitter: Fitter) -> BenchmarkFit:
    vertices = np.float64(fitter.vertices([result])[0]) + np.float64(result.camera_translation)
    return BenchmarkFit(frame, result, vertices, np.float64(result.joints))


def load_true_joints(path: Path) -> dict[str, FloatArray]:
    """Joints [55, 3] in the camera frame by frame name, from a benchmark's ``truth.npz``; none without the file.

    Raises:
        InputError: the file is damaged.
    """
    if not path.is_file():
        return {}
    try:
        with np.load(path, allow_pickle=False) as file:
            return {str(name): np.float64(joints) for name, joints in zip(file["names"], file["joints"], strict=True)}
    except (OSError, ValueError, KeyError) as error:
        raise InputError(path, f"not a benchmark's truth: {reason(error)}") from error


_BODY = list(range(skeleton.BODY_JOINTS.stop))
_HANDS = (
    [skeleton.joint_index("left_wrist"), *range(skeleton.LEFT_HAND_JOINTS.start, skeleton.LEFT_HAND_JOINTS.stop)],
    [skeleton.joint_index("right_wrist"), *range(skeleton.RIGHT_HAND_JOINTS.start, skeleton.RIGHT_HAND_JOINTS.stop)],
)


class Truth(Protocol):
    """A person whose vertices [V, 3] and joints [55, 3] in the camera frame are known, metres."""

    @property
    def vertices(self) -> FloatArray:
        """[V, 3]."""
        ...

    @property
    def joints(self) -> FloatArray:
        """[55, 3]."""
        ...


def score(person: Truth, fitted_vertices: FloatArray, fitted_joints: FloatArray) -> dict[str, float]:
    """Errors in millimetres, degrees and percent.

    ``pa_`` is after similarity alignment, ``v2v_pelvis_mm`` and ``mpjpe_pelvis_mm`` after moving the pelvis; the
    angles are those of :class:`~smplifyx.evaluation.posture.PostureErrors`; ``size_percent`` is the fitted over the
    true length of legs and trunk, ``depth_percent`` that of the pelvis's depth, minus one.

    Args:
        person: the truth.
        fitted_vertices: [V, 3] camera frame with translation, metres, on the person's mesh.
        fitted_joints: [55, 3] in the same frame.

    Raises:
        ValueError: the meshes have different numbers of vertices.
    """
    vertices, joints = (np.asarray(points, dtype=np.float64)[None] for points in (fitted_vertices, fitted_joints))
    true_vertices, true_joints = person.vertices[None], person.joints[None]
    pelvis, true_pelvis = joints[:, 0], true_joints[:, 0]
    hands = [pa_mpjpe(joints[:, hand], true_joints[:, hand])[0] for hand in _HANDS]
    return {
        "pa_v2v_mm": float(pa_v2v(vertices, true_vertices)[0]),
        "v2v_pelvis_mm": float(root_aligned_v2v(vertices, true_vertices, pelvis, true_pelvis)[0]),
        "pa_mpjpe_mm": float(pa_mpjpe(joints[:, _BODY], true_joints[:, _BODY])[0]),
        "mpjpe_pelvis_mm": float(root_aligned_mpjpe(joints[:, _BODY], true_joints[:, _BODY], pelvis, true_pelvis)[0]),
        "pa_hands_mm": float(np.mean(hands)),
        **placement(person.joints, joints[0]),
    }


def placement(true_joints: FloatArray, fitted_joints: FloatArray) -> dict[str, float]:
    """Depth and size in percent and the posture's angles, from joints [22 or more, 3] of any body of the family."""
    angles = asdict(posture_errors(posture_of_joints(fitted_joints), posture_of_joints(true_joints)))
    return {
        "depth_percent": float(100.0 * (fitted_joints[0, 2] / true_joints[0, 2] - 1.0)),
        "size_percent": 100.0 * (_size(fitted_joints) / _size(true_joints) - 1.0),
        **{f"{name}_deg": angle for name, angle in angles.items()},
    }


def _size(joints: FloatArray) -> float:
    """Summed length of the bones of both legs and the trunk, which no pose changes (metres)."""
    chain = [
        skeleton.joint_index(f"{side}_{joint}") for side in ("left", "right") for joint in ("hip", "knee", "ankle")
    ] + [skeleton.joint_index(joint) for joint in ("spine1", "spine2", "spine3", "neck", "head")]
    return float(sum(np.linalg.norm(joints[j] - joints[skeleton.PARENTS[j]]) for j in chain))


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


def fit_people(data: BodyModelData, config: Config, observations: Sequence[Observation]) -> list[FittedPerson]:
    """Fits people in batches; the i-th fit belongs to the i-th observation."""
    fitter = Fitter(data, config=config)
    definitions = OPENPOSE_DEFINITIONS if config.body.openpose_joint_definitions else SMPLX_DEFINITIONS
    regressor = KeypointRegressor(data, definitions=definitions, dtype=torch.float64)
    fitted = []
    for result in fitter.fit(observations):
        vertices, joints = np.float64(result.vertices), np.float64(result.joints)
        fitted.append(FittedPerson(result, vertices, joints, _keypoints(regressor, vertices, joints)))
    return fitted


def _keypoints(regressor: KeypointRegressor, vertices: FloatArray, joints: FloatArray) -> FloatArray:
    points, corners = torch.as_tensor(joints)[None], torch.as_tensor(vertices)[None, regressor.vertices]
    # The contour alone needs the head's rotation, and no metric looks at the contour: row 0 is as good as any.
    output = BodyOutput(points, corners, torch.eye(3, dtype=torch.float64).expand(1, joints.shape[0], 3, 3))
    return np.asarray(regressor(output, torch.zeros(1, dtype=torch.int64))[0].numpy())


def observation_of(person: SyntheticPerson, with_camera: bool = False) -> Observation:
    """Return the observation of a synthetic person, with the true camera or without one."""
    return Observation(
        keypoints=person.keypoints_2d.astype(np.float32),
        image_size=person.image_size,
        camera=true_camera(person) if with_camera else None,
        stem=person.name,
    )


def true_camera(person: SyntheticPerson) -> Camera:
    """Return the camera that the person was made with."""
    return Camera(person.focal_length, person.principal_point, "calibration", person.image_size)


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
    fits = fit_people(data, config, [observation_of(person, true_camera) for person in people])
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
