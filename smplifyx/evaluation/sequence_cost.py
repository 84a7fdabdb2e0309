"""Time and memory of fits of sequences, beside fits of the same frames one by one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from smplifyx.body.search import find_body_model
from smplifyx.config import Config
from smplifyx.evaluation.runner import load_model
from smplifyx.evaluation.sequence_trials import N_RING, VIEWS
from smplifyx.evaluation.speed import counted_evaluations
from smplifyx.evaluation.tables import Row
from smplifyx.evaluation.usage import peak_memory_mib
from smplifyx.fitting.fitter import Fitter
from smplifyx.sequence import SequenceFitter
from smplifyx.synthetic.motion import mild_motion
from smplifyx.synthetic.poses import mild_poses
from smplifyx.synthetic.sequences import SequenceOptions, synthetic_sequence, track_of


@dataclass(frozen=True)
class CostFigures:
    """Cost of one fit in a process of its own.

    Attributes:
        n_frames, n_views: size of the track; 0 views stand for its frames one by one, from one view.
        seconds: of the processor, all frames together.
        evaluations: of the objective, summed over frames.
        peak_memory_mib: largest memory of the process.
    """

    n_frames: int
    n_views: int
    seconds: float
    evaluations: int
    peak_memory_mib: float


def measure_cost(config: Config, n_frames: int, n_views: int, seed: int, threads: int) -> CostFigures:
    """Fit a made-up motion of some length, seen by some cameras, after a fit that does not count.

    Args:
        config: settings.
        n_frames: frames.
        n_views: views; 0 for the frames one by one, from one view.
        seed: of the person.
        threads: of torch.
    """
    torch.set_num_threads(threads)
    data = load_model(find_body_model("smplx", "neutral", config.body.models_dir), "neutral")
    motion = mild_motion(mild_poses(seed=seed), n_frames, np.random.default_rng(seed))
    sequence = synthetic_sequence(data, motion, 0, SequenceOptions(seed, N_RING if n_views else 1))
    fitter = Fitter(data, config=config)
    views = VIEWS[max(n_views, 1)]
    frames = [one for row in track_of(sequence, views[:1]).observations for one in row if one is not None]
    fitter.fit(frames[:1])
    track = track_of(sequence, views)
    with counted_evaluations() as count:
        started = time.process_time()
        if n_views:
            SequenceFitter(fitter).fit([track])
        else:
            fitter.fit(frames)
        seconds = time.process_time() - started
    return CostFigures(n_frames, n_views, seconds, count.rows, peak_memory_mib())


def cost_rows(figures: Sequence[CostFigures]) -> list[Row]:
    """A row a fit; the frames one by one come first where they were measured."""
    return [
        {
            "frames": one.n_frames,
            "views": one.n_views or "frame by frame",
            "processor seconds a frame": f"{one.seconds / one.n_frames:.2f}",
            "evaluations a frame": f"{one.evaluations / one.n_frames:.0f}",
            "peak memory, MiB": f"{one.peak_memory_mib:.0f}",
        }
        for one in figures
    ]
