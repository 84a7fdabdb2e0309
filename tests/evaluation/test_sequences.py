"""Evaluations of sequences: scores of motions whose errors are known, tables, and whole runs on small fits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smplifyx.errors import UsageError
from smplifyx.evaluation.calibrated_scenes import fit_scenes, triangulation_rows
from smplifyx.evaluation.metrics import Alignment, pa_v2v
from smplifyx.evaluation.multiview_trials import (
    moved_camera,
    with_another_person,
    with_missing_frames,
    with_wrong_sides,
)
from smplifyx.evaluation.sequence_cost import cost_rows, measure_cost
from smplifyx.evaluation.sequence_report import (
    ALONE,
    FIGURES,
    TOGETHER,
    TRUTH,
    figures_table,
    kinds_table,
    mean_rows,
    plot_fast,
)
from smplifyx.evaluation.sequence_scores import (
    FittedMotion,
    fast_curves,
    fast_motion_figures,
    frame_errors,
    frame_kinds,
    motion_figures,
    shape_errors,
)
from smplifyx.evaluation.sequence_trials import (
    SequenceBenchmark,
    fast_sequences,
    fit_jointly,
    in_all_frames,
    make_motions,
    make_sequences,
)
from smplifyx.evaluation.view_scenes import seated_scene
from smplifyx.fitting.fitter import Fitter
from smplifyx.sequence import SequenceFitter
from smplifyx.skeleton import keypoint_index
from tests.evaluation.view_folders import seated_folder
from tests.random_body import random_body_model

BENCHMARK = SequenceBenchmark(count=1, n_frames=17)


@pytest.fixture(scope="module")
def sequence(random_body):
    return make_sequences(BENCHMARK, random_body, n_views=8)[0]


def truth(sequence, shift=0.0):
    """The truth as a fit, moved along x."""
    offset = np.array([shift, 0.0, 0.0])
    vertices = (sequence.vertices + offset).astype(np.float32)
    return FittedMotion(vertices, sequence.joints + offset, np.zeros((len(sequence), 10)))


def test_the_truth_has_no_error(random_body, sequence):
    errors = frame_errors(sequence, truth(sequence), random_body)
    figures = motion_figures(sequence, truth(sequence), errors)
    for name in ("pa_v2v_mm", "v2v_pelvis_mm", "world_mm", "acceleration_mm", "acceleration_world_mm"):
        assert figures[name] == pytest.approx(0.0, abs=1e-2)
    assert fast_motion_figures(sequence, truth(sequence))["speed_percent"] == pytest.approx(100.0)


def test_curves_of_a_jump(tmp_path):
    joints = np.zeros((20, 22, 3))
    joints[:, :, 1] = np.where(np.arange(20) == 10, 0.3, 0.0)[:, None]
    joints[:, 20, 0] = 0.1 * np.arange(20)
    curves = fast_curves(joints, 20)
    assert curves.rise.max() == pytest.approx(0.3) and len(curves.speed) == 20
    np.testing.assert_allclose(curves.speed, 3.0)
    pytest.importorskip("matplotlib", reason="draws the picture")
    assert plot_fast({"jump": {TRUTH: curves, ALONE: curves, TOGETHER: curves}}, tmp_path / "fast.png")
    assert (tmp_path / "fast.png").stat().st_size > 1000


def test_a_shifted_person_is_wrong_in_the_world_only(random_body, sequence):
    errors = frame_errors(sequence, truth(sequence, 0.05), random_body)
    np.testing.assert_allclose(errors.world, 50.0, atol=1e-6)
    np.testing.assert_allclose(errors.pa_v2v, 0.0, atol=1e-2)
    np.testing.assert_allclose(errors.v2v_root, 0.0, atol=1e-2)


def test_errors_are_those_of_single_frames(random_body, sequence):
    rng = np.random.default_rng(0)
    noisy = (sequence.vertices + rng.normal(0.0, 0.01, sequence.vertices.shape)).astype(np.float32)
    fit = replace(truth(sequence), vertices=noisy)
    errors = frame_errors(sequence, fit, random_body)
    np.testing.assert_allclose(errors.pa_v2v, pa_v2v(noisy, sequence.vertices), rtol=1e-6)


def test_jitter_is_acceleration_error_and_fluctuates_as_asked(random_body, sequence):
    jitter = np.zeros((len(sequence), 1, 3))
    jitter[::2, 0, 1] = 0.01
    jitter = jitter * (np.arange(55) > 0)[:, None]
    fit = replace(truth(sequence), joints=sequence.joints + jitter)
    figures = motion_figures(sequence, fit, frame_errors(sequence, fit, random_body))
    assert figures["acceleration_mm"] == pytest.approx(20.0 * 21 / 22)
    assert figures["acceleration_m_s2"] == pytest.approx(18.0 * 21 / 22)


def test_shape_errors_are_zero_for_the_true_shape_and_grow(random_body):
    betas = np.random.default_rng(0).normal(size=10)
    rest = random_body.v_template + random_body.shapedirs @ betas + [0.0, 0.3, 0.0]
    found = shape_errors(np.stack([betas, 0.5 * betas, 0.0 * betas]), rest, random_body)
    assert found[0] == pytest.approx(0.0, abs=1e-9)
    assert found[2] == pytest.approx(2.0 * found[1]) and found[1] > 0
    aligned = shape_errors(betas[None], 1.1 * rest, random_body, Alignment.SIMILARITY)
    assert aligned == pytest.approx(0.0, abs=1e-9) and shape_errors(betas[None], 1.1 * rest, random_body) > 1.0


def test_frames_beside_a_fault_are_told_apart():
    assert frame_kinds(["", "", "", "limb", "", "", ""]) == (
        "clean", "beside a fault", "beside a fault", "limb", "beside a fault", "beside a fault", "clean",
    )  # fmt: skip


def test_gaps_of_frames_fitted_alone_are_interpolated():
    values = np.array([[2.0], [4.0], [10.0]])
    np.testing.assert_allclose(in_all_frames(values, [1, 2, 5], 7)[:, 0], [2, 2, 4, 6, 8, 10, 10])
    np.testing.assert_allclose(in_all_frames(values[:1], [3], 4)[:, 0], 2.0)


def test_tables(sequence, random_body):
    rows = [
        {"fit": way, **dict.fromkeys(FIGURES, value)}
        for way, value in ((ALONE, 10.0), (ALONE, 30.0), (TOGETHER, 10.0))
    ]
    table = figures_table(rows)
    assert table[0][ALONE] == 20.0 and table[0]["change"] == "-50 %"
    errors = frame_errors(sequence, truth(sequence), random_body)
    errors = replace(errors, kinds=("limb", *["clean"] * (len(sequence) - 1)), pa_v2v=np.arange(float(len(sequence))))
    kinds = {str(line["frames"]): line for line in kinds_table({ALONE: [errors]})}
    assert kinds["limb"]["number"] == 1 and kinds["limb"][ALONE] == 0.0
    assert kinds["clean"][ALONE] == pytest.approx(np.arange(1, len(sequence)).mean())
    means = mean_rows([{"views": 1, "x": 1.0}, {"views": 1, "x": 3.0}, {"views": 2, "x": 5.0}], ["views"])
    assert [line["x"] for line in means] == [2.0, 5.0]


def test_faults_of_a_view(sequence):
    left, right = keypoint_index("left_wrist"), keypoint_index("right_wrist")
    swapped = with_wrong_sides(sequence, 2).keypoints_2d
    np.testing.assert_array_equal(swapped[2][:, left], sequence.keypoints_2d[2][:, right])
    np.testing.assert_array_equal(swapped[1], sequence.keypoints_2d[1])
    missing = with_missing_frames(sequence, 2).keypoints_2d
    assert not missing[2, 1::2].any()
    np.testing.assert_array_equal(missing[2, ::2], sequence.keypoints_2d[2, ::2])
    other = with_another_person(sequence, 2).keypoints_2d
    assert (other[2, :, :25] != sequence.keypoints_2d[2, :, :25]).any(axis=(1, 2)).all()


def test_a_moved_camera_is_a_degree_off(sequence):
    moved = moved_camera(sequence.views, 2)
    old, new = (np.asarray(views[2].rotation) for views in (sequence.views, moved))
    angle = np.degrees(np.arccos((np.trace(new @ old.T) - 1.0) / 2.0))
    assert angle == pytest.approx(1.0, abs=1e-6)
    places = [-np.asarray(view.rotation).T @ np.asarray(view.translation) for view in (sequence.views[2], moved[2])]
    assert np.linalg.norm(places[0] - places[1]) == pytest.approx(0.03)


def test_fits_are_in_the_world(random_body, config, sequence):
    fit, track = fit_jointly(SequenceFitter(Fitter(random_body, config=config)), sequence, (2, 0), True)
    assert fit.vertices.shape == sequence.vertices.shape and len(track) == len(sequence)
    np.testing.assert_allclose(fit.joints[:, :22], track.joints_world[:, :22], atol=1e-3)


def test_a_real_scene_is_compared_with_its_triangulation(random_body, config, tmp_path):
    scene = fit_scenes(
        SequenceFitter(Fitter(random_body, config=config)), "seated", [seated_scene(seated_folder(tmp_path, 0.143))]
    )
    (row,) = triangulation_rows(scene)
    assert row["joints"] == np.isfinite(scene.truth[0]).all(axis=1).sum()
    # Fits of two iterations to a body without sense are far off, which the figures have to say.
    assert row["joints_mm"] > row["joints_aligned_mm"] > 0


def test_motions_without_motion_capture_and_with_short_clips(tmp_path):
    first, second = (make_motions(replace(BENCHMARK, count=2)) for _ in range(2))
    np.testing.assert_array_equal(first[1].body_pose, second[1].body_pose)
    assert not np.allclose(first[0].body_pose, first[1].body_pose)
    arrays = {"body_pose": np.zeros((5, 63)), "frame": np.arange(5), "clip_index": np.zeros(5, int)}
    np.savez(tmp_path / "short.npz", **arrays, clip_names=["16_01"])
    with pytest.raises(UsageError, match="17 frames"):
        make_motions(replace(BENCHMARK, mocap=str(tmp_path / "short.npz")))
    assert fast_sequences(BENCHMARK, random_body_model()) == {}


@pytest.mark.slow
def test_cost_counts_frames_one_by_one_and_views(config):
    figures = [measure_cost(config, 3, n_views, 0, 1) for n_views in (0, 2)]
    assert all(one.seconds > 0 and one.evaluations > 0 and one.peak_memory_mib > 0 for one in figures)
    rows = cost_rows(figures)
    assert [row["views"] for row in rows] == ["frame by frame", 2]
