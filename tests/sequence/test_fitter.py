"""Whole fits of tracks: one shape, gaps, outliers, views, windows."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.interpolate import interp1d

import smplifyx
from smplifyx.errors import InputError, UsageError
from smplifyx.fitting.fitter import Fitter
from smplifyx.lifting.lifter import undo_swap
from smplifyx.sequence import SequenceFitter, TrackFit
from smplifyx.sequence.evidence import observed_with_cameras
from smplifyx.sequence.fitter import _TrackRun
from smplifyx.sequence.known import Known
from smplifyx.sequence.problem import JointObjective
from smplifyx.sequence.solve import solve, track_rows
from smplifyx.sequence.windows import window_frames
from smplifyx.sequence.world import world_joints
from smplifyx.tracking import Track, View
from tests.sequence.conftest import QUICK
from tests.sequence.moving_people import MovingPerson, moving_person, with_keypoints, without

_BODY = slice(0, 22)


def mean_error(fit: TrackFit, person: MovingPerson, frames: Sequence[int] | slice = slice(None)) -> float:
    """Mean distance of the body's joints from the truth, the pelvis at the same place, metres."""
    errors = []
    for fitted, true in zip(fit.joints_world[frames, _BODY], person.joints[frames, _BODY], strict=True):
        errors.append(np.linalg.norm((fitted - fitted[0]) - (true - true[0]), axis=1).mean())
    return float(np.mean(errors))


def acceleration(joints: np.ndarray) -> float:
    """Mean size of second differences of the body's joints, m/s^2."""
    return float(np.linalg.norm(np.diff(joints[:, _BODY], 2, axis=0), axis=2).mean() * 900.0)


@pytest.fixture(scope="module")
def person() -> MovingPerson:
    return moving_person(10, 1, noise_px=4.0)


@pytest.fixture(scope="module")
def fit(plain_fitter: Fitter, person: MovingPerson) -> TrackFit:
    return SequenceFitter(plain_fitter).fit([person.track])[0]


def test_one_observation_is_fitted_as_ever(plain_fitter: Fitter) -> None:
    track = moving_person(1, 1).track
    (alone,) = plain_fitter.fit([track.observations[0][0]])  # type: ignore[list-item]
    fit = SequenceFitter(plain_fitter).fit_track(track)
    np.testing.assert_allclose(fit.results[0].joints, alone.joints, atol=1e-4)
    np.testing.assert_allclose(fit.results[0].betas, alone.betas, atol=1e-4)
    np.testing.assert_allclose(track.views[0].to_camera(fit.joints_world[0]), alone.joints, atol=1e-4)


@pytest.mark.parametrize("seed", [0, 3])
def test_joint_objective_of_one_observation_is_that_of_a_single_fit(plain_fitter: Fitter, seed: int) -> None:
    track = moving_person(1, 1, seed=seed).track
    (alone,) = plain_fitter.fit([track.observations[0][0]])  # type: ignore[list-item]
    observed, cameras = observed_with_cameras(track, plain_fitter.config.camera, plain_fitter.config.people)
    run = _TrackRun(plain_fitter, track, observed, cameras, Known())
    run.solve()
    solver, smoothness = plain_fitter.solver, run._smoothness.without_weight()
    solution = solve(solver, JointObjective(solver, run._data(), run.poses, smoothness), tolerance=1e-9)
    assert solution.loss == pytest.approx(alone.loss, rel=1e-5)
    # Two optimisers: along the line of sight fingers stop up to 0.1 mm apart within the tolerance.
    joints = world_joints(solver, solution.poses)[0]
    np.testing.assert_allclose(joints, track.views[0].to_world(alone.joints), atol=3e-4)


def test_all_frames_have_one_shape_and_move_smoothly(
    plain_fitter: Fitter, person: MovingPerson, fit: TrackFit
) -> None:
    assert all(np.array_equal(one.betas, fit.betas) for one in fit.results)
    frame_by_frame = plain_fitter.fit([row[0] for row in person.track.observations if row[0] is not None])
    alone = np.stack([person.track.views[0].to_world(one.joints) for one in frame_by_frame])
    assert acceleration(fit.joints_world) < 0.3 * acceleration(alone)
    assert not fit.bridged.any() and (fit.view_weights == 1).all()
    assert all(one.status == "ok" for one in fit.results)


def test_world_and_camera_agree(person: MovingPerson, fit: TrackFit) -> None:
    view = person.track.views[0]
    for frame, one in enumerate(fit.results):
        np.testing.assert_allclose(view.to_camera(fit.joints_world[frame].astype(float)), one.joints, atol=1e-4)
        posed = one.body()(**one.parameters)
        np.testing.assert_allclose(posed.joints[0].numpy(), one.joints, atol=1e-4)
    assert np.isfinite(fit.reprojection_px).all() and fit.reprojection_px.max() < 30.0


def test_results_of_a_view_are_the_same_bodies(plain_fitter: Fitter) -> None:
    person = moving_person(3, 2)
    fit = SequenceFitter(plain_fitter).fit_track(person.track)
    for frame, one in enumerate(fit.results_in_view(1)):
        seen = person.track.views[1].to_camera(fit.joints_world[frame].astype(float))
        np.testing.assert_allclose(one.joints, seen, atol=1e-4)
        np.testing.assert_allclose(one.body()(**one.parameters).joints[0].numpy(), seen, atol=1e-4)
        observed = person.track.observations[frame][1]
        assert observed is not None
        errors = np.linalg.norm(one.projected_keypoints_2d[:25] - observed.keypoints[:25, :2], axis=1)
        assert one.reprojection_error_px == pytest.approx(errors.mean(), rel=0.05)


def test_views_find_the_place_in_the_world(plain_fitter: Fitter) -> None:
    person = moving_person(4, 3)
    fit = SequenceFitter(plain_fitter).fit_track(person.track)
    assert np.linalg.norm(fit.joints_world[:, _BODY] - person.joints[:, _BODY], axis=2).mean() < 0.03


def test_a_gap_is_bridged(plain_fitter: Fitter, person: MovingPerson, fit: TrackFit) -> None:
    gap = range(4, 7)
    bridged = SequenceFitter(plain_fitter).fit_track(without(person, gap).track)
    assert bridged.bridged.nonzero()[0].tolist() == list(gap) and not bridged.outlier_frames.any()
    assert all(("bridged" in one.flags) == (frame in gap) for frame, one in enumerate(bridged.results))
    assert all(one.status == "ok" for one in bridged.results)
    joints, others = bridged.joints_world, [frame for frame in range(10) if frame not in gap]
    between = interp1d(others, joints[others], axis=0)(np.arange(10))
    interpolation = replace(bridged, joints_world=between.astype(np.float32))
    frozen = replace(bridged, joints_world=np.where(np.isin(range(10), gap)[:, None, None], joints[3], joints))
    assert mean_error(bridged, person, gap) < mean_error(interpolation, person, gap) + 0.003
    assert mean_error(bridged, person, gap) < mean_error(fit, person, gap) + 0.01
    assert np.linalg.norm((joints - between)[gap], axis=2).mean() < 0.01
    assert np.linalg.norm((joints - frozen.joints_world)[gap], axis=2).mean() > 0.05


def test_an_outlier_is_rejected_and_does_not_drag_its_neighbours(
    plain_fitter: Fitter, person: MovingPerson, fit: TrackFit
) -> None:
    other = moving_person(10, 1, seed=7).track.observations[0][0]
    assert other is not None
    spoilt = with_keypoints(
        person, 5, other.keypoints + np.array([150.0, 40.0, 0.0], np.float32) * (other.keypoints[:, 2:] > 0)
    )
    with_outlier = SequenceFitter(plain_fitter).fit_track(spoilt.track)
    assert with_outlier.outlier_frames.nonzero()[0].tolist() == [5]
    assert {"bridged", "outlier_frame"} <= set(with_outlier.results[5].flags)
    assert np.isfinite(with_outlier.reprojection_px).all()
    near = np.linalg.norm(with_outlier.joints_world[[3, 4, 6, 7]] - fit.joints_world[[3, 4, 6, 7]], axis=2)
    assert near.mean() < 0.05


@pytest.mark.parametrize("odd", [0, 2])
def test_a_view_that_disagrees_is_told(plain_fitter: Fitter, odd: int) -> None:
    person = moving_person(3, 4)
    for frame in range(3):
        observed = person.track.observations[frame][odd]
        assert observed is not None
        person = with_keypoints(person, frame, observed.keypoints + np.array([100.0, 0.0, 0.0], np.float32), odd)
    fit = SequenceFitter(plain_fitter).fit_track(person.track)
    others = [view for view in range(4) if view != odd]
    assert fit.view_weights[:, odd].max() == 0 and fit.view_weights[:, others].min() == 1
    for view in range(4):
        assert all(("view_disagrees" in one.flags) == (view == odd) for one in fit.results_in_view(view))
    assert np.linalg.norm(fit.joints_world[:, _BODY] - person.joints[:, _BODY], axis=2).mean() < 0.03


def test_each_view_has_its_own_swapped_sides_and_flags(plain_fitter: Fitter) -> None:
    person = moving_person(3, 3)
    right = [row[1] for row in person.track.observations]
    rows = [list(row) for row in person.track.observations]
    for row in rows:
        assert row[0] is not None and row[1] is not None
        row[0] = replace(row[0], flags=("hand_dropped",))
        row[1] = replace(row[1], keypoints=undo_swap(row[1].keypoints, np.array([True, False])))
    fit = SequenceFitter(plain_fitter).fit_track(replace(person.track, observations=rows))
    assert fit.swapped_sides[:, 1, 0].any() and not fit.swapped_sides[:, [0, 2]].any()
    for view in range(3):
        for frame, one in enumerate(fit.results_in_view(view)):
            assert ("hand_dropped" in one.flags) == (view == 0)
            assert ("swapped_arms" in one.flags) == fit.swapped_sides[frame, view, 0]
            if fit.swapped_sides[frame, 1, 0]:
                assert one.reprojection_error_px < 10.0 and "high_reprojection_error" not in one.flags
            if view == 1 and fit.swapped_sides[frame, 1, 0]:
                np.testing.assert_array_equal(one.keypoints_2d, right[frame].keypoints)  # type: ignore[union-attr]


@pytest.mark.parametrize(("n_frames", "size"), [(30, 30), (31, 30), (100, 30), (1000, 150)])
def test_windows_cover_all_and_overlap(n_frames: int, size: int) -> None:
    windows = window_frames(n_frames, size)
    assert windows[0].start == 0 and windows[-1].stop == n_frames
    assert all(len(one) == min(size, n_frames) for one in windows)
    overlaps = [first.stop - second.start for first, second in itertools.pairwise(windows)]
    assert all(0.2 * size <= overlap < size for overlap in overlaps)


def test_rows_in_parts_are_those_of_the_whole(plain_fitter: Fitter) -> None:
    track = moving_person(9, 2).track
    observed, cameras = observed_with_cameras(track, plain_fitter.config.camera, plain_fitter.config.people)
    run = _TrackRun(plain_fitter, track, observed, cameras, Known())
    arguments = plain_fitter.solver, run._data(), run.poses, run._smoothness
    whole, parts = (track_rows(*arguments, size) for size in (9, 4))
    assert whole.person.tolist() == parts.person.tolist() == [row // 2 for row in range(18)]
    torch.testing.assert_close(parts.x, whole.x)
    torch.testing.assert_close(parts.loss, whole.loss, rtol=1e-4, atol=1e-3)


@pytest.mark.slow
def test_windows_of_a_long_track_agree() -> None:
    person = moving_person(24, 2)
    whole = SequenceFitter("smplx", overrides={**QUICK}).fit_track(person.track)
    windows = SequenceFitter("smplx", overrides={**QUICK, "sequence.window": 20}).fit_track(person.track)
    assert np.isnan(whole.window_disagreement_mm) and 0 < windows.window_disagreement_mm < 20
    assert all(np.array_equal(one.betas, windows.betas) for one in windows.results)
    assert np.linalg.norm(whole.joints_world - windows.joints_world, axis=2).mean() < 0.02


def test_hands_alone_are_refused() -> None:
    with pytest.raises(UsageError, match="whole body"):
        SequenceFitter("mano", side="left")


def test_single_camera_without_calibration(plain_fitter: Fitter) -> None:
    track = moving_person(3, 1).track
    rows = [[None if one is None else replace(one, camera=None) for one in row] for row in track.observations]
    fit = SequenceFitter(plain_fitter).fit_track(Track(4, range(7, 10), rows, [View()]))
    assert len(fit) == 3 and fit.results[0].camera_source == "fallback"
    np.testing.assert_allclose(fit.joints_world, [one.joints for one in fit.results], atol=1e-5)
    assert isinstance(fit, smplifyx.TrackFit)


def test_a_frame_with_hardly_a_keypoint_is_bridged_and_a_track_without_is_refused(plain_fitter: Fitter) -> None:
    person = moving_person(8, 1)
    observed = person.track.observations[4][0]
    assert observed is not None
    one = observed.keypoints.copy()
    one[1:] = 0.0
    fit = SequenceFitter(plain_fitter).fit_track(with_keypoints(person, 4, one).track)
    assert fit.bridged.nonzero()[0].tolist() == [4] and not fit.outlier_frames.any()
    for frame in range(8):
        person = with_keypoints(person, frame, one)
    with pytest.raises(InputError, match=r"track 0.*3 body keypoints"):
        SequenceFitter(plain_fitter).fit_track(person.track)


def test_ends_without_a_used_observation_are_cut_off(fit: TrackFit) -> None:
    bridged = np.array([True, True, True, False, True, False, False, False, False, True])
    spoilt = replace(fit, bridged=bridged)
    assert spoilt.trimmed(3) is spoilt and replace(fit, bridged=np.ones(10, bool)).trimmed(0).bridged.all()
    for longest, kept in ((2, slice(3, 10)), (0, slice(3, 9))):
        cut = spoilt.trimmed(longest)
        assert cut.track.frames == fit.track.frames[kept] and len(cut) == len(fit.results[kept])
        assert cut.track.observations == fit.track.observations[kept]
        assert cut.results == fit.results[kept] and cut.view_flags == fit.view_flags[kept]
        for name in ("joints_world", "translation_world", "bridged", "view_weights", "reprojection_px"):
            np.testing.assert_array_equal(getattr(cut, name), getattr(spoilt, name)[kept])
