"""Fits the frames of a benchmark in batches, and keeps every fit so that an interrupted evaluation goes on."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import smplifyx
from smplifyx.body.model_data import BodyModelData
from smplifyx.body.model_files import load_body_model_data
from smplifyx.body.search import find_body_model
from smplifyx.config import Config
from smplifyx.errors import InputError, reason
from smplifyx.evaluation.ablations import PAPER_FOCAL_LENGTH, CameraRule, Variant
from smplifyx.evaluation.ehf_layout import Frame
from smplifyx.fitting.fitter import Fitter
from smplifyx.fitting.result import FitResult
from smplifyx.geometry import Intrinsics
from smplifyx.keypoints import Observation
from smplifyx.keypoints.intrinsics import resolve_intrinsics
from smplifyx.output import load_result, save_result

FloatArray = NDArray[np.float64]

_PACKAGE = Path(smplifyx.__file__).parent
#: The parts of the package and of the configuration that decide how a fit comes out.
_DECISIVE_CODE = ("body", "collision", "config", "fitting", "geometry", "keypoints", "priors", "data")
_DECISIVE_SETTINGS = ("body", "camera", "priors", "objective", "starts", "stages", "optimizer", "collision")
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

    def path(self, trial: Trial, frame: Frame, observation: Observation, camera: Intrinsics, body: Path) -> Path:
        """Where the fit of one frame belongs."""
        decisive = {
            "code": code_digest(),
            "settings": {name: repr(getattr(trial.config, name)) for name in _DECISIVE_SETTINGS},
            "min_confidence": trial.config.input.min_confidence,
            "run": [trial.config.run.dtype, trial.config.run.seed],
            "body": [str(body.resolve()), body.stat().st_size, body.stat().st_mtime_ns],
            "camera": [camera.focal_length, camera.principal_point],
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
        done: dict[str, BenchmarkFit] = {}
        for gender in sorted({_gender(frame, trial) for frame in frames}):
            group = [frame for frame in frames if _gender(frame, trial) == gender]
            for fit in self._fit_group(trial, gender, group, keypoints, progress):
                done[fit.frame.name] = fit
        return [done[frame.name] for frame in frames]

    def _fit_group(
        self,
        trial: Trial,
        gender: str,
        frames: Sequence[Frame],
        keypoints: Callable[[Frame], Path] | None,
        progress: Progress | None,
    ) -> list[BenchmarkFit]:
        config = trial.config
        path = find_body_model(config.body.model, gender, config.body.models_dir)
        fitter = Fitter(load_model(path, gender), config, self._device)
        observed = [_observation(frame, trial.variant, keypoints) for frame in frames]
        cameras = [trial_camera(frame, one, trial) for frame, one in zip(frames, observed, strict=True)]
        files = [
            self._store.path(trial, frame, one, camera, path)
            for frame, one, camera in zip(frames, observed, cameras, strict=True)
        ]
        todo = [number for number, file in enumerate(files) if not file.is_file()]
        if progress is not None:
            progress(len(frames) - len(todo))
        for start in range(0, len(todo), config.run.batch_size):
            batch = todo[start : start + config.run.batch_size]
            results = fitter.fit([observed[k] for k in batch], [cameras[k] for k in batch])
            for k, result in zip(batch, results, strict=True):
                save_result(result, frames[k].image, observed[k].keypoint_path, smplifyx.__version__, files[k])
            if progress is not None:
                progress(len(batch))
        return [_placed(frame, load_result(file), fitter) for frame, file in zip(frames, files, strict=True)]


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


def _observation(frame: Frame, variant: Variant, keypoints: Callable[[Frame], Path] | None) -> Observation:
    observation = frame.observation(None if keypoints is None else keypoints(frame))
    selected = variant.select(observation.keypoints).astype(np.float32)
    return replace(observation, keypoints=selected)


def trial_camera(frame: Frame, observation: Observation, trial: Trial) -> Intrinsics:
    """What a trial knows of the camera of one frame."""
    if trial.camera == "true":
        return frame.camera.intrinsics
    config = trial.config.camera
    if trial.camera == "paper":
        config = replace(config, focal_length=PAPER_FOCAL_LENGTH)
    return resolve_intrinsics(observation, config, {})


def _placed(frame: Frame, result: FitResult, fitter: Fitter) -> BenchmarkFit:
    vertices = np.float64(fitter.vertices(result)) + np.float64(result.camera_translation)
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
