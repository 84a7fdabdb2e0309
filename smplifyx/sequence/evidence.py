"""The observations of a track as targets of rows, and how far each of them counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smplifyx.camera import Camera, resolve_cameras
from smplifyx.config import CameraConfig, PeopleConfig, SequenceConfig
from smplifyx.errors import InputError
from smplifyx.fitting.batch import FitTargets
from smplifyx.keypoints import Observation
from smplifyx.sequence.consensus import consensus_residuals, with_consensus
from smplifyx.sequence.problem import TrackData
from smplifyx.sequence.track_fit import view_camera
from smplifyx.skeleton import BODY_KEYPOINTS
from smplifyx.tracking import Track

#: Standard deviation of the joints of a bridged frame about those between its neighbours (metres).
_BRIDGE_SD = 0.005
#: Residual (in 1/1000 of the person's size) below which no observation is an outlier, and no view disagrees.
_GOOD_RESIDUAL = 20.0
#: A view disagrees when its typical residual is more than this many times that of all views.
_DISAGREEMENT = 2.0
#: A view whose weight would be less is left out.
_LEAST_WEIGHT = 0.7

#: Body keypoints of an observation, at least.
_FEWEST_KEYPOINTS = 3
#: Residual up to which an observation that did not take part is tried: its body is a guess from its neighbours.
_TRIED_RESIDUAL = 60.0
#: Fewer views are not left out one by one.
FEWEST_VIEWS = 3

FloatArray = NDArray[np.float64]


def observed_with_cameras(
    track: Track, settings: CameraConfig, people: PeopleConfig
) -> tuple[list[tuple[int, int, Observation]], list[Camera]]:
    """Frame, view and observation of all that is observed, with cameras; and the camera of each view.

    A view has one camera: its own, or that of its first observation. Observations of too few body keypoints count as
    none.

    Raises:
        InputError: there is none.
    """
    observed = [
        (frame, view, one)
        for frame, row in enumerate(track.observations)
        for view, one in enumerate(row)
        if one is not None and _n_seen(one, people) >= _FEWEST_KEYPOINTS
    ]
    if not observed:
        problem = f"expected an observation with {_FEWEST_KEYPOINTS} body keypoints or more, found none"
        raise InputError(None, problem, f"track {track.number}")
    with_views = [replace(one, camera=track.views[view].camera or one.camera) for _, view, one in observed]
    resolved = resolve_cameras(with_views, settings)
    cameras = []
    for view in range(len(track.views)):
        own = [one.camera for (_, of, _), one in zip(observed, resolved, strict=True) if of == view]
        cameras.append(own[0] if own and own[0] is not None else view_camera(track, view)[0])
    resolved = [
        replace(one, camera=cameras[view]) if cameras[view].image_size == one.image_size else one
        for (_, view, _), one in zip(observed, resolved, strict=True)
    ]
    return [(frame, view, one) for (frame, view, _), one in zip(observed, resolved, strict=True)], cameras


def _n_seen(observation: Observation, people: PeopleConfig) -> int:
    return int((observation.keypoints[BODY_KEYPOINTS, 2] >= people.min_confidence).sum())


@dataclass(frozen=True)
class Evidence:
    """The targets of all rows [F V], and the weights of the observations.

    Attributes:
        data: targets and views.
        observed: [F, V] whether a view observed a frame.
        sizes: [F V] pixels of a person of the stature that makes the unit of length, as the fits of single
            observations take it; NaN where there is none.
    """

    data: TrackData
    observed: NDArray[np.bool_]
    sizes: Tensor

    @classmethod
    def of(
        cls,
        track: Track,
        observed: Sequence[tuple[int, int, Observation]],
        targets: FitTargets,
        cameras: Sequence[Camera],
    ) -> Evidence:
        """Spread the targets of the observations over all rows.

        Args:
            track: the track.
            observed: its observations, by frame and view.
            targets: their targets, in this order.
            cameras: of the views.
        """
        n_views = len(track.views)
        seen = np.zeros((len(track), n_views), bool)
        number = np.zeros((len(track), n_views), np.int64)
        for place, (frame, view, _) in enumerate(observed):
            seen[frame, view], number[frame, view] = True, place
        rows = targets.index(torch.as_tensor(number.ravel(), device=targets.keypoints.device))
        like = rows.focal_length
        own = torch.as_tensor(seen.ravel(), device=like.device)
        focal = torch.tensor([camera.focal_length for camera in cameras]).to(like).repeat(len(track), 1)
        centre = torch.tensor([camera.center for camera in cameras]).to(like).repeat(len(track), 1)
        rows = replace(
            rows,
            confidence=torch.where(own[:, None], rows.confidence, 0.0),
            focal_length=torch.where(own[:, None], rows.focal_length, focal),
            principal_point=torch.where(own[:, None], rows.principal_point, centre),
            upright_stance=torch.where(own, rows.upright_stance, 0.0),
            sqrt_precision=rows.sqrt_precision * own[:, None, None, None],
            swapped_sides=rows.swapped_sides & own[:, None],
        )
        sizes = torch.where(own, 1000.0 / rows.pixel_scale, torch.nan)
        return cls(TrackData(rows, track.views), seen, sizes)

    def of_frames(self, frames: Tensor) -> Evidence:
        """The same of some frames [N]."""
        sizes = self.sizes.unflatten(0, self.observed.shape)[frames].flatten()
        return Evidence(self.data.of_frames(frames), self.observed[frames.cpu().numpy()], sizes)

    def scaled(self, depth: Tensor) -> Evidence:
        """The same for a person at certain depths [F V] (metres): the unit of length follows them.

        It is that of the fits of single observations on average, so that one alone has its own.
        """
        targets = self.data.targets
        size = targets.focal_length.mean(1) / depth.abs().clamp_min(0.1).to(targets.focal_length)
        size = size * (self.sizes / size).nanmedian()
        return replace(self, data=replace(self.data, targets=replace(targets, pixel_scale=1000.0 / size)))

    def weighted(self, weights: FloatArray, joints: Tensor | None = None) -> TrackData:
        """The targets, with weights of the observations.

        Args:
            weights: [F, V] from 0 to 1.
            joints: [F, 21, 3] of the body from the pelvis, in the axes of the first view, metres: frames without any
                weight are held near them.
        """
        targets, n_views = self.data.targets, self.data.n_views
        each = torch.as_tensor(weights.ravel(), device=targets.confidence.device).to(targets.confidence)
        # The lifted joints of all views are predictions of the same pose.
        share = each.unflatten(0, (-1, n_views)).square().sum(1).clamp_min(1.0).rsqrt().repeat_interleave(n_views)
        used = replace(
            targets,
            confidence=targets.confidence * each[:, None],
            upright_stance=targets.upright_stance * each,
            sqrt_precision=targets.sqrt_precision * (each * share)[:, None, None, None],
        )
        if joints is not None:
            none = torch.as_tensor(weights.sum(1) == 0, device=each.device)
            bridged = torch.nonzero(none)[:, 0] * n_views
            identity = torch.eye(3).to(used.sqrt_precision) / _BRIDGE_SD
            lifted, precision = used.lifted.clone(), used.sqrt_precision.clone()
            lifted[bridged], precision[bridged] = joints[none].to(lifted), identity
            used = replace(used, lifted=lifted, sqrt_precision=precision)
        return replace(self.data, targets=used)

    def with_consensus(self, weights: FloatArray) -> Evidence:
        """The same with less confidence in keypoints that other views with a weight [F, V] contradict."""
        agreed = self.weighted(np.float64(weights > 0))
        confidence = with_consensus(agreed.targets, agreed.views).confidence
        return replace(self, data=replace(self.data, targets=replace(self.data.targets, confidence=confidence)))

    def residuals(self, projected: Tensor, keypoints: list[int]) -> FloatArray:
        """Confidence-weighted mean distance [F, V] of the body's keypoints, in 1/1000 of the person's size.

        Args:
            projected: [F V, N, 2] pixels.
            keypoints: the N canonical numbers.
        """
        targets = self.data.targets
        body = [place for place, number in enumerate(keypoints) if number < BODY_KEYPOINTS.stop]
        numbers = [keypoints[place] for place in body]
        weight = targets.confidence[:, numbers].double()
        distance = (projected[:, body] - targets.keypoints[:, numbers]).double().norm(dim=2)
        mean = (weight * torch.nan_to_num(distance, nan=1e6)).sum(1) / weight.sum(1)
        scaled = (mean * targets.pixel_scale).cpu().numpy().reshape(self.observed.shape)
        return np.where(self.observed, scaled, np.nan)


def agreement(evidence: Evidence, config: SequenceConfig) -> FloatArray:
    """Weights [F, V] of observations by the views' agreement with each other; 1 for fewer than three views.

    The agreement is measured again without views that are left out, which they would spoil.
    """
    kept = np.ones(evidence.observed.shape[1], bool)
    while True:
        observed = evidence.observed & kept
        data = evidence.weighted(observed.astype(np.float64))
        weights = judged_weights(consensus_residuals(data.targets, data.views), observed, config)
        left_out = kept & (weights.sum(0) == 0) & (observed.sum(0) > 0)
        if not left_out.any() or kept.sum() <= FEWEST_VIEWS:
            return weights
        kept &= ~left_out


def judged_weights(
    residuals: FloatArray,
    observed: NDArray[np.bool_],
    config: SequenceConfig,
    untried: NDArray[np.bool_] | None = None,
) -> FloatArray:
    """Weights [F, V] of observations by their residuals [F, V].

    An observation counts nothing when its residual is ``outlier_limit`` times the typical one, and a view counts less
    when all of its residuals are large. ``untried`` [F, V] marks those that took no part in the fit.
    """
    if not np.isfinite(residuals).any():
        return observed.astype(np.float64)
    typical = np.array([np.nanmedian(column) if np.isfinite(column).any() else np.nan for column in residuals.T])
    common = float(np.nanmedian(typical))
    ratio = np.maximum(common, _GOOD_RESIDUAL / _DISAGREEMENT) * _DISAGREEMENT / np.maximum(typical, 1e-9)
    of_view = np.where(np.isfinite(typical), np.minimum(ratio, 1.0), 1.0) if len(typical) > 1 else np.ones(1)
    of_view = np.where(of_view < _LEAST_WEIGHT, 0.0, of_view)
    limit = np.maximum(config.outlier_limit * common, _GOOD_RESIDUAL)
    if untried is not None:
        limit = np.where(untried, np.maximum(limit, _TRIED_RESIDUAL), limit)
    with np.errstate(invalid="ignore"):
        fine = observed & ~(residuals * of_view > limit)
    return np.where(fine, of_view, 0.0)


def certain_frames(agreed: FloatArray, observed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[F] frames in which three views or more agree with each other, whatever their neighbours say.

    Args:
        agreed: [F, V] weights by the views' agreement.
        observed: [F, V] whether there is an observation.
    """
    return np.asarray((agreed * observed > 0).sum(1) >= FEWEST_VIEWS)


def revised_weights(
    residuals: FloatArray,
    observed: NDArray[np.bool_],
    weights: FloatArray,
    agreed: FloatArray,
    config: SequenceConfig,
    is_first: bool,
) -> FloatArray:
    """Weights [F, V] of observations after a solution.

    After the first solution, observations that took no part are tried. Later they can only be rejected, as those that
    come and go would be judged for ever. Frames in which three views agree are never rejected.

    Args:
        residuals: [F, V] of the solution.
        observed: [F, V] whether there is an observation.
        weights: [F, V] that the solution had.
        agreed: [F, V] their weights after the comparison of the views.
        config: settings.
        is_first: whether this is the first solution.
    """
    untried = (weights == 0) & is_first
    revised = np.minimum(judged_weights(residuals, observed, config, untried), agreed)
    revised = np.where(certain_frames(agreed, observed)[:, None], agreed, revised)
    return revised if is_first else np.minimum(revised, weights)
