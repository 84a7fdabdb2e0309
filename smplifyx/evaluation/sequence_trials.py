"""Synthetic people in motion, fitted frame by frame and as a whole, from one and from several views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import interp1d

from smplifyx.body.data import BodyModelData
from smplifyx.config import Config
from smplifyx.errors import UsageError
from smplifyx.evaluation.runner import Runner
from smplifyx.evaluation.sequence_scores import FittedMotion
from smplifyx.sequence import SequenceFitter, TrackFit
from smplifyx.synthetic.motion import Motion, clip_motion, clip_motions, mild_motion
from smplifyx.synthetic.noise import DETECTORS
from smplifyx.synthetic.poses import Clip, held_out_clips, mild_poses, subjects_of
from smplifyx.synthetic.sequences import (
    SequenceOptions,
    SyntheticSequence,
    observation_of_frame,
    synthetic_sequence,
    track_of,
)
from smplifyx.tracking import View

FloatArray = NDArray[np.float64]

#: Fast movements of the CMU motion capture: clip and first frame. The priors were trained on other clips than that of
#: the jump; those of the boxer were among their training data.
FAST_MOTIONS = {"jump": ("16_03", 0), "punch": ("14_02", 230)}
FAST_FRAMES = 64
#: The views of the ring that a number of views means: two views look at right angles.
VIEWS = {1: (0,), 2: (0, 2), 4: (0, 2, 4, 6), 8: tuple(range(8))}
N_RING = 8


@dataclass(frozen=True)
class SequenceBenchmark:
    """Options that determine the sequences.

    Attributes:
        count: how many.
        n_frames: frames of each.
        seed: of everything random.
        mocap: motion-capture file for the motions; None for mild made-up ones.
        detector: ``independent`` or ``correlated`` errors within a frame; those of consecutive frames are alike.
    """

    count: int = 8
    n_frames: int = 64
    seed: int = 0
    mocap: str | Path | None = None
    detector: str = "correlated"

    def description(self) -> dict[str, Any]:
        """Everything that the sequences depend on."""
        return {**asdict(self), "mocap": None if self.mocap is None else Path(self.mocap).name}


def make_motions(benchmark: SequenceBenchmark) -> list[Motion]:
    """Draw the motions, from clips that no prior was trained on.

    Raises:
        InputError: the motion capture cannot be read.
        UsageError: its clips are too short.
    """
    rng = np.random.default_rng([benchmark.seed, 1])
    if benchmark.mocap is None:
        poses = mild_poses(seed=benchmark.seed)
        return [mild_motion(poses, benchmark.n_frames, rng) for _ in range(benchmark.count)]
    try:
        return clip_motions(held_out_clips(benchmark.mocap), benchmark.count, benchmark.n_frames, rng)
    except ValueError as error:
        raise UsageError(f"{benchmark.mocap}: {error}") from error


def make_sequences(
    benchmark: SequenceBenchmark, data: BodyModelData, n_views: int = 1, faults: bool = True
) -> list[SyntheticSequence]:
    """Make the sequences; raises as :func:`make_motions`."""
    options = SequenceOptions(benchmark.seed, n_views, noise=DETECTORS[benchmark.detector], faults=faults)
    motions = make_motions(benchmark)
    return [synthetic_sequence(data, motion, number, options) for number, motion in enumerate(motions)]


def fast_sequences(benchmark: SequenceBenchmark, data: BodyModelData) -> dict[str, SyntheticSequence]:
    """Sequences of :data:`FAST_MOTIONS` without gross faults; without the CMU motion capture there are none."""
    if benchmark.mocap is None:
        return {}
    subjects = {clip.split("_")[0] for clip, _ in FAST_MOTIONS.values()} & subjects_of(benchmark.mocap)
    clips: dict[str, Clip] = {}
    if subjects:
        clips = {clip.name: clip for clip in held_out_clips(benchmark.mocap, tuple(sorted(subjects)))}
    options = SequenceOptions(benchmark.seed, noise=DETECTORS[benchmark.detector], faults=False)
    return {
        name: synthetic_sequence(data, clip_motion(clips[clip], start, FAST_FRAMES), 100 + number, options)
        for number, (name, (clip, start)) in enumerate(FAST_MOTIONS.items())
        if clip in clips and clips[clip].frames[-1] >= start + FAST_FRAMES - 1
    }


def fit_frames_alone(
    runner: Runner,
    config: Config,
    sequence: SyntheticSequence,
    view: int = 0,
    with_camera: bool = False,
    progress: Callable[[int], None] | None = None,
) -> FittedMotion:
    """Fit every frame of a view alone; in gaps, bodies are interpolated between the fits before and after.

    Args:
        runner: fits, and keeps fits.
        config: settings.
        sequence: the person.
        view: the view.
        with_camera: give the fit the true camera.
        progress: called with the number of frames that are done.
    """
    observed = [observation_of_frame(sequence, view, frame, with_camera) for frame in range(len(sequence))]
    seen = [frame for frame, observation in enumerate(observed) if observation is not None]
    found = [one for one in observed if one is not None]
    fits = runner.fit(config, found, ["neutral"] * len(found), "frames", progress)

    place = sequence.views[view]
    vertices = np.stack([np.asarray(place.to_world(fit.vertices), np.float32) for fit in fits])
    return FittedMotion(
        in_all_frames(vertices, seen, len(sequence)).astype(np.float32),
        in_all_frames(place.to_world(np.stack([fit.joints for fit in fits])), seen, len(sequence)),
        in_all_frames(np.stack([np.float64(fit.result.betas) for fit in fits]), seen, len(sequence)),
    )


def in_all_frames(values: NDArray[np.floating], seen: Sequence[int], n_frames: int) -> FloatArray:
    """Interpolate values [S, ...] of some frames to all [F, ...]; constant before the first and after the last.

    Args:
        values: of the frames that were seen.
        seen: their numbers, ascending.
        n_frames: F.
    """
    if len(seen) == 1:
        return np.repeat(np.asarray(values, np.float64), n_frames, axis=0)
    ends = values[0], values[-1]
    found = interp1d(seen, values, axis=0, bounds_error=False, fill_value=ends)
    return np.asarray(found(np.arange(n_frames)))


def fit_jointly(
    fitter: SequenceFitter,
    sequence: SyntheticSequence,
    views: Sequence[int] = (0,),
    with_camera: bool = False,
    calibration: Sequence[View] | None = None,
) -> tuple[FittedMotion, TrackFit]:
    """Fit a sequence as a whole.

    Args:
        fitter: the fitter.
        sequence: the person.
        views: the views.
        with_camera: give the fit the calibration; more than one view need it.
        calibration: another calibration than the true one, for the views of the ring.
    """
    track = track_of(sequence, views, with_camera)
    if calibration is not None:
        track = replace(track, views=tuple(calibration[view] for view in views))
    (fit,) = fitter.fit([track])
    # Results are in the frame of the first camera; a single camera of unknown calibration is the world of its fit.
    place = track.views[0] if with_camera else sequence.views[views[0]]
    translations = np.stack([one.camera_translation for one in fit.results])[:, None]
    vertices = np.asarray(place.to_world(fitter.fitter.vertices(fit.results) + translations), np.float32)
    joints = np.asarray(place.to_world(np.stack([np.float64(one.joints) for one in fit.results])), np.float64)
    motion = FittedMotion(vertices, joints, np.stack([np.float64(one.betas) for one in fit.results]))
    return motion, fit
