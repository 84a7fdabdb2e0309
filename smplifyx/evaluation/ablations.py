"""The ways of fitting that the paper's Tables 1 and 2 compare, as data, and their fits of a benchmark's frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smplifyx.camera import resolve_cameras
from smplifyx.config import Config, ConfigError, Override
from smplifyx.config.loading import with_override
from smplifyx.config.schema import check
from smplifyx.evaluation.ehf_layout import Frame
from smplifyx.evaluation.runner import FittedPerson, Progress, Runner
from smplifyx.keypoints import Loaded, Observation, PersonSelection, split_hands
from smplifyx.skeleton import BODY_KEYPOINTS, N_KEYPOINTS

FloatArray = NDArray[np.float64]
#: The keypoint file of a frame.
KeypointFiles = Callable[[Frame], Path]
#: Frame name and side.
Hand = tuple[str, str]
KeypointSet = Literal["body", "all"]
GenderRule = Literal["true", "neutral"]
CameraRule = Literal["config", "paper", "true"]

#: The focal length that SMPLify-X assumes for every photo, pixels.
PAPER_FOCAL_LENGTH = 5000.0


@dataclass(frozen=True)
class Variant:
    """One way of fitting.

    Attributes:
        key: short name for files.
        name: name in tables.
        overrides: settings that differ from the configuration, by dotted name.
        keypoints: ``body`` leaves hands and face out.
        gender: the body model of the person's true gender, or the neutral one for all.
        published: the paper's figure for EHF, millimetres.
    """

    key: str
    name: str
    overrides: Mapping[str, str] = field(default_factory=dict)
    keypoints: KeypointSet = "all"
    gender: GenderRule = "true"
    published: Mapping[str, float] = field(default_factory=dict)

    def config(self, base: Config) -> Config:
        """The configuration of this variant; raises :class:`ConfigError` where this version cannot fit so."""
        config = base
        for key, text in self.overrides.items():
            config = with_override(config, Override(key, text, f"variant {self.name}"))
        check(config)
        return config

    def select(self, keypoints: np.ndarray) -> np.ndarray:
        """The keypoints [135, 3] that this variant sees; the others become (0, 0, 0)."""
        seen = np.zeros((N_KEYPOINTS, 1), dtype=bool)
        seen[BODY_KEYPOINTS if self.keypoints == "body" else slice(None)] = True
        return np.where(seen, keypoints, 0.0)


FULL = Variant("full", "SMPL-X", published={"v2v": 52.9, "joints": 62.6})

#: Table 1: body models and the keypoints that they are fitted to.
TABLE_1 = (
    Variant("smpl_body", "SMPL, body keypoints", {"body.model": "smpl"}, "body",
            published={"v2v": 57.6, "joints": 63.5}),
    Variant("smpl_all", "SMPL, all keypoints", {"body.model": "smpl"}, published={"v2v": 64.5, "joints": 71.7}),
    Variant("smplh", "SMPL+H", {"body.model": "smplh"}, published={"v2v": 54.2, "joints": 63.9}),
    FULL,
)  # fmt: skip

#: Table 2: parts of the method taken away; the last is not the paper's.
TABLE_2 = (
    FULL,
    Variant("neutral", "gender-neutral model", gender="neutral", published={"v2v": 58.0}),
    Variant("gmm", "mixture instead of VPoser", {"priors.body_pose": "gmm"}, published={"v2v": 56.4}),
    Variant("no_collision", "no collision term", {"collision.enabled": "false"}, published={"v2v": 53.5}),
    Variant("no_lifting", "no depth from keypoints", {"lifting.enabled": "false"}),
)  # fmt: skip

#: The paper's comparison with MANO: hands fitted alone, beside the hands of whole bodies, as noise grows.
HANDS_ALONE = Variant("mano", "MANO, hands alone")


@dataclass(frozen=True)
class Unavailable:
    """Why a variant cannot be fitted."""

    reason: str


def configuration(variant: Variant, base: Config) -> Config | Unavailable:
    """The variant's configuration, or why there is none.

    A variant that takes away what the configuration does not have says nothing either.
    """
    try:
        config = variant.config(base)
    except ConfigError as error:
        return Unavailable(f"not available: {error.problem}")
    if variant.overrides and config == base and (variant.keypoints, variant.gender) == (FULL.keypoints, FULL.gender):
        return Unavailable(f"not available: the configuration has {_settings(variant.overrides)} already")
    return config


def all_variants() -> list[Variant]:
    """Every variant once, the full method first."""
    return list({variant.key: variant for variant in (FULL, *TABLE_1, *TABLE_2)}.values())


def _settings(overrides: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {text}" for key, text in overrides.items())


@dataclass(frozen=True)
class Trial:
    """One way to fit all frames.

    Attributes:
        label: name of the configuration that ``config`` came from.
        variant: its changes.
        config: the result.
        camera: the known camera: that of the configuration, the paper's focal length, or the truth.
        noise_level: of the keypoints; None for the benchmark's own.
    """

    label: str
    variant: Variant
    config: Config
    camera: CameraRule
    noise_level: float | None = None

    @property
    def folder(self) -> str:
        """Name of the folder of its kept fits."""
        return f"{self.label}_{self.variant.key}_{self.camera}"


@dataclass(frozen=True)
class BenchmarkFit(FittedPerson):
    """A fit of a frame with known truth."""

    frame: Frame


def fit_frames(
    runner: Runner,
    trial: Trial,
    frames: Sequence[Frame],
    keypoints: KeypointFiles | None = None,
    progress: Progress | None = None,
) -> list[BenchmarkFit]:
    """Fit all frames, in their order.

    Args:
        runner: fits, and keeps fits.
        trial: settings and the known camera.
        frames: the frames.
        keypoints: other keypoint files than the frames' own.
        progress: called with the number of frames that are done.

    Raises:
        InputError: a file is damaged, or a body model is missing.
    """
    observations = [_observation(frame, trial, keypoints) for frame in frames]
    genders = [frame.gender if trial.variant.gender == "true" else "neutral" for frame in frames]
    fits = runner.fit(trial.config, observations, genders, trial.folder, progress)
    return [
        BenchmarkFit(fit.result, fit.vertices, fit.joints, frame) for frame, fit in zip(frames, fits, strict=True)
    ]


def fit_hands(
    runner: Runner,
    trial: Trial,
    frames: Sequence[Frame],
    keypoints: KeypointFiles | None = None,
    progress: Progress | None = None,
) -> dict[Hand, FloatArray]:
    """Fit every hand by itself: joints [16, 3] of each that the detector reported, by frame name and side.

    Args:
        runner: fits, and keeps fits.
        trial: settings for MANO and the known camera.
        frames: the frames.
        keypoints: other keypoint files than the frames' own.
        progress: called with the number of hands that are done.

    Raises:
        InputError: a file is damaged, or there is no MANO model.
    """
    selection = PersonSelection(min_keypoints=trial.config.people.min_keypoints, part="hands")
    found: list[tuple[Frame, Observation]] = []
    for frame in frames:
        person = frame.observation(keypoints and keypoints(frame))
        hands = split_hands(Loaded((person,)), selection).observations
        found += [(frame, with_trial_camera(frame, hand, trial)) for hand in hands]
    sides = [str(hand.side) for _, hand in found]
    fits = runner.fit(trial.config, [hand for _, hand in found], sides, trial.folder, progress)
    return {(frame.name, side): fit.joints for (frame, _), side, fit in zip(found, sides, fits, strict=True)}


def with_trial_camera(frame: Frame, observation: Observation, trial: Trial) -> Observation:
    """Return the observation with the camera that the trial assumes for the frame."""
    if trial.camera == "true":
        return replace(observation, camera=frame.camera.intrinsics)
    config = trial.config.camera
    if trial.camera == "paper":
        config = replace(config, focal_length=PAPER_FOCAL_LENGTH)
    return resolve_cameras([observation], config)[0]


def _observation(frame: Frame, trial: Trial, keypoints: KeypointFiles | None) -> Observation:
    observation = frame.observation(None if keypoints is None else keypoints(frame))
    selected = trial.variant.select(observation.keypoints).astype(np.float32)
    return with_trial_camera(frame, replace(observation, keypoints=selected), trial)
