"""Hands fitted alone with MANO beside the hands of whole bodies (the comparison of the SMPLify-X paper)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from smplifyx import skeleton
from smplifyx.body.search import find_body_model
from smplifyx.evaluation.benchmark_rows import Row, Truths
from smplifyx.evaluation.ehf_layout import Frame
from smplifyx.evaluation.metrics import pa_mpjpe
from smplifyx.evaluation.runner import (
    BenchmarkFit,
    FitStore,
    Progress,
    Trial,
    load_model,
    with_trial_camera,
)
from smplifyx.evaluation.statistics import difference_interval, mean_interval
from smplifyx.fitting.fitter import Fitter
from smplifyx.keypoints import Loaded, Observation, PersonSelection, split_hands
from smplifyx.result import load_result

FloatArray = NDArray[np.float64]
Hand = tuple[str, str]

#: The wrist and the fifteen finger joints, in MANO's order.
_JOINTS = {
    "left": [skeleton.joint_index("left_wrist"), *range(*skeleton.LEFT_HAND_JOINTS.indices(skeleton.N_JOINTS))],
    "right": [skeleton.joint_index("right_wrist"), *range(*skeleton.RIGHT_HAND_JOINTS.indices(skeleton.N_JOINTS))],
}


class HandFitter:
    """Fits every hand by itself.

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
    ) -> dict[Hand, FloatArray]:
        """Joints [16, 3] of each hand that the detector reported, by frame name and side.

        Args:
            trial: how; its configuration's model is MANO.
            frames: whose hands.
            keypoints: other keypoint files than the frames' own.
            progress: told about finished hands.

        Raises:
            InputError: a file is damaged, or there is no MANO model.
        """
        selection = PersonSelection(min_keypoints=trial.config.people.min_keypoints, part="hands")
        people = {frame.name: frame.observation(keypoints and keypoints(frame)) for frame in frames}
        found: dict[Hand, FloatArray] = {}
        for side in _JOINTS:
            todo = [
                (frame, hand)
                for frame in frames
                for hand in split_hands(Loaded((people[frame.name],)), selection).observations
                if hand.side == side
            ]
            found |= {(frame.name, side): joints for frame, joints in self._fit_side(trial, side, todo)}
            if progress is not None:
                progress(len(todo))
        return found

    def _fit_side(
        self, trial: Trial, side: str, todo: Sequence[tuple[Frame, Observation]]
    ) -> list[tuple[Frame, FloatArray]]:
        path = find_body_model("mano", "neutral", trial.config.body.models_dir, side=side)
        observed = [with_trial_camera(frame, hand, trial) for frame, hand in todo]
        files = [self._store.path(trial, frame, hand, path) for (frame, _), hand in zip(todo, observed, strict=True)]
        missing = [number for number, file in enumerate(files) if not file.is_file()]
        fitter = Fitter(load_model(path, "neutral"), config=trial.config, device=self._device)
        results = (result for batch in fitter.fit_batches([observed[k] for k in missing]) for result in batch)
        for k, result in zip(missing, results, strict=True):
            result.save(files[k])
        return [(frame, np.float64(load_result(file).joints)) for (frame, _), file in zip(todo, files, strict=True)]


def hand_rows(
    level: float, alone: Mapping[Hand, FloatArray], whole: Sequence[BenchmarkFit], truths: Truths
) -> list[Row]:
    """A row a hand that both ways fitted: errors of its 16 joints after similarity alignment, millimetres.

    Args:
        level: of the keypoints' noise.
        alone: joints of hands fitted alone.
        whole: whole bodies fitted to the same keypoints.
        truths: the true bodies.
    """
    rows: list[Row] = []
    for fit in whole:
        true = truths.of(fit.frame).joints
        for side, joints in _JOINTS.items():
            hand = alone.get((fit.frame.name, side))
            if hand is None:
                continue
            errors = {
                "whole body": pa_mpjpe(fit.joints[None, joints], true[None, joints]),
                "alone": pa_mpjpe(hand[None], true[None, joints]),
            }
            row: Row = {"noise": level, "person": fit.frame.name, "side": side}
            rows.append(row | {name: float(error[0]) for name, error in errors.items()})
    return rows


def hand_table(rows: Sequence[Row]) -> list[dict[str, str | float]]:
    """Means by noise level, and the difference hand by hand."""
    table: list[dict[str, str | float]] = []
    for level in sorted({float(row["noise"]) for row in rows}):
        group = [row for row in rows if row["noise"] == level]
        whole, alone = ([float(row[name]) for row in group] for name in ("whole body", "alone"))
        line: dict[str, str | float] = {"noise": level, "hands": len(group)}
        for name, interval in (
            ("whole body", mean_interval(whole)),
            ("alone", mean_interval(alone)),
            ("alone minus whole body", difference_interval(alone, whole)),
        ):
            line |= {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
        table.append(line)
    return table
