"""Whole fits of synthetic people with the shipped body: truth recovered, bad rows alone, flags set."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

import smplifyx
from smplifyx.body.model import BodyModel
from smplifyx.config import Config, ConfigError, Override, load_config
from smplifyx.errors import UsageError
from smplifyx.evaluation.scores import score
from smplifyx.fitting import Fitter
from smplifyx.keypoints import box_diagonal
from smplifyx.result import FitResult
from smplifyx.skeleton import keypoint_index
from smplifyx.synthetic.documents import observation_of
from smplifyx.synthetic.noise import DetectorNoise
from smplifyx.synthetic.people import SyntheticOptions, SyntheticPerson, synthetic_people


@pytest.fixture(scope="module")
def people(open_body) -> list[SyntheticPerson]:
    noise = DetectorNoise(occlusion=False, swap_rate=0.0, hand_miss_rate=0.0)
    return list(synthetic_people(open_body, 8, SyntheticOptions(seed=3, truncated_share=0.0, noise=noise)))


@pytest.fixture(scope="module")
def fitter(open_body) -> Fitter:
    return Fitter(open_body, config=Config())


@pytest.fixture(scope="module")
def results(fitter, people) -> list[FitResult]:
    return fitter.fit([observation_of(person, with_camera=True) for person in people])


def test_unusable_arguments_are_refused(open_body):
    with pytest.raises(UsageError, match="float32 or float64, found 'float16'"):
        Fitter(open_body, dtype="float16")
    with pytest.raises(UsageError, match="batch_size of 1 or more, found 0"):
        Fitter(open_body, batch_size=0)


def test_known_people_are_recovered(fitter, people, results):
    scores = [
        score(person, fitter.vertices([result])[0] + result.camera_translation, result.joints)
        for person, result in zip(people, results, strict=True)
    ]
    assert np.median([one["pa_v2v_mm"] for one in scores]) < 45.0
    assert np.median([one["pa_hands_mm"] for one in scores]) < 9.0
    assert max(one["pa_v2v_mm"] for one in scores) < 110.0
    assert all(result.status == "ok" for result in results)


def test_the_projection_in_the_results_is_that_of_the_joints(results):
    """Wrists are joints: their stored projection follows from stored joints and camera alone."""
    for result in results:
        wrist = result.joints[20]
        expected = wrist[:2] / wrist[2] * result.focal_length + result.principal_point
        np.testing.assert_allclose(result.projected_keypoints_2d[7], expected, atol=0.05)


def test_the_stored_parameters_alone_give_the_stored_joints_and_the_vertices(open_body, fitter, results):
    """The rotations are rebuilt by SciPy from the stored axis-angles, in the order of the joints."""
    model = BodyModel.from_data(open_body)
    for result in results:
        pose = [
            result.global_orient, result.body_pose, result.jaw_pose, result.leye_pose, result.reye_pose,
            result.left_hand_pose, result.right_hand_pose,
        ]  # fmt: skip
        rotations = Rotation.from_rotvec(np.concatenate(pose).reshape(55, 3)).as_matrix()
        arrays = (result.betas, result.expression, rotations, result.camera_translation)
        output = model(*(torch.as_tensor(array, dtype=torch.float32)[None] for array in arrays))
        np.testing.assert_allclose(output.joints[0], result.joints, rtol=0, atol=1e-3)
        vertices = fitter.vertices([result])[0] + result.camera_translation
        np.testing.assert_allclose(output.vertices[0], vertices, rtol=0, atol=1e-4)


def test_the_stored_hand_components_give_the_stored_hand_pose(open_body, results):
    for result in results:
        for side in ("left", "right"):
            components, mean = (getattr(open_body, f"{side}_hand_{kind}") for kind in ("components", "mean"))
            pose = getattr(result, f"{side}_hand_pca") @ components[:12] + mean
            ours = Rotation.from_rotvec(getattr(result, f"{side}_hand_pose").reshape(15, 3)).as_matrix()
            np.testing.assert_allclose(Rotation.from_rotvec(pose.reshape(15, 3)).as_matrix(), ours, atol=1e-4)


def test_fewer_hand_components_are_stored_as_twelve(open_body, people):
    config = Config()
    config = replace(
        config,
        body=replace(config.body, n_hand_components=6),
        stages=config.stages[-1:],
        starts=replace(config.starts, select_after_stage=1, depth_flips=0),
    )
    (result,) = Fitter(open_body, config=config).fit([observation_of(people[0], with_camera=True)])
    for side in ("left", "right"):
        components = getattr(result, f"{side}_hand_pca")
        assert components.shape == (12,) and components[:6].any() and not components[6:].any()
        assert getattr(result, f"{side}_hand_pose").shape == (45,)
    with pytest.raises(ConfigError, match="at most 12"):
        load_config(None, [Override("body.n_hand_components", "13")])


@pytest.mark.slow
def test_the_same_input_gives_the_same_result(fitter, people, results):
    again = fitter.fit([observation_of(person, with_camera=True) for person in people])
    for one, other in zip(results, again, strict=True):
        np.testing.assert_array_equal(one.body_pose, other.body_pose)
        assert one.loss == other.loss


def _assert_same_path(one: FitResult, other: FitResult) -> None:
    """To the bit: a row in single precision does not depend on the others."""
    np.testing.assert_array_equal(one.stage_losses, other.stage_losses)
    assert one.loss == other.loss


@pytest.fixture(scope="module")
def brief(open_body) -> Fitter:
    return Fitter(open_body, overrides={"optimizer.max_iterations": 10})


@pytest.fixture(scope="module")
def undisturbed(brief, people) -> list[FitResult]:
    return brief.fit([observation_of(person, with_camera=True) for person in people[:3]])


def test_a_person_of_nan_fails_alone(brief, people, undisturbed):
    observations = [observation_of(person, with_camera=True) for person in people[:3]]
    observations[1].keypoints[:10, 0] = np.nan  # an observation made with NaN is refused
    fitted = brief.fit(observations)
    assert fitted[1].status == "failed"
    assert "not_finite" in fitted[1].flags
    for index in (0, 2):
        assert fitted[index].status == "ok"
        _assert_same_path(fitted[index], undisturbed[index])


def test_a_person_without_any_keypoint_does_not_stop_the_others(brief, people, undisturbed):
    observations = [observation_of(person, with_camera=True) for person in people[:3]]
    observations[0] = replace(observations[0], keypoints=np.zeros((135, 3), dtype=np.float32))
    fitted = brief.fit(observations)
    assert "few_keypoints" in fitted[0].flags
    for index in (1, 2):
        _assert_same_path(fitted[index], undisturbed[index])


@pytest.mark.parametrize(("prior", "dtype"), [("vposer", "float64"), ("gmm", "float32")])
def test_double_precision_and_the_mixture_converge(open_body, people, prior, dtype):
    settings = {"priors.body_pose": prior, "collision.enabled": False, "starts.depth_flips": 0}
    people = [observation_of(person, with_camera=True) for person in people[:2]]
    for result in Fitter(open_body, overrides=settings, dtype=dtype).fit(people):
        assert result.converged and "not_converged" not in result.flags


def _quick_config(**lifting: object) -> Config:
    """One stage without collisions and flips."""
    config = Config()
    return replace(
        config,
        stages=(replace(config.stages[2], max_iterations=5),),
        starts=replace(config.starts, select_after_stage=1, depth_flips=0),
        collision=replace(config.collision, enabled=False),
        lifting=replace(config.lifting, **lifting),
    )


def test_the_callback_gets_each_stage_of_each_batch_and_the_terms_add_up(open_body, people):
    fitter, seen = Fitter(open_body, config=_quick_config(), batch_size=2), []
    results = fitter.fit([observation_of(person, with_camera=True) for person in people[:3]], seen.append)
    assert [(one.people, one.stage, one.n_stages) for one in seen] == [(range(2), 1, 1), (range(2, 3), 1, 1)]
    for one in seen:
        for position, total in zip(one.people, sum(one.losses.values()), strict=True):
            assert total == pytest.approx(results[position].loss, rel=1e-4)
    for result in results:
        assert sum(result.losses.values()) == pytest.approx(result.loss, rel=1e-4)
        assert {"body_keypoints", "body_pose", "shape", "lifting"} <= set(result.losses)


def test_the_terms_of_a_whole_fit_add_up(results):
    for result in results:
        assert sum(result.losses.values()) == pytest.approx(result.loss, rel=1e-4)
        assert {"hand_keypoints", "face_keypoints", "collision"} <= set(result.losses)
        stages = result.stage_term_losses
        np.testing.assert_allclose(sum(stages.values()), result.stage_losses, rtol=1e-4)
        assert {name: stages[name][-1] for name in result.losses} == pytest.approx(result.losses)
        assert not stages["face_keypoints"][:-1].any()  # in the last stage alone


def test_meshes_of_several_results_are_those_of_each(fitter, results):
    together = fitter.vertices(results)
    assert together.shape == (len(results), fitter.data.n_vertices, 3)
    for mesh, result in zip(together, results, strict=True):
        np.testing.assert_allclose(mesh, fitter.vertices([result])[0], atol=1e-5)
    assert fitter.vertices([]).shape == (0, fitter.data.n_vertices, 3)


def test_without_lifting_nothing_of_it_is_loaded_and_its_weight_changes_no_start(open_body, people, monkeypatch):
    observation = observation_of(people[0], with_camera=True)
    starts = [
        Fitter(open_body, config=_quick_config(weight=weight)).initial_hypotheses([observation])
        for weight in (0.0, 4.0)
    ]
    torch.testing.assert_close(starts[0].initial.orientation, starts[1].initial.orientation)
    monkeypatch.setattr("smplifyx.fitting.fitter.load_lifting", lambda path: pytest.fail("loaded"))
    (result,) = Fitter(open_body, config=_quick_config(enabled=False)).fit([observation])
    assert "lifting" not in result.losses and not any("swapped" in flag for flag in result.flags)


def test_settings_without_effect_are_named(open_body):
    assert Fitter(open_body).unused_settings == ()
    fitter = Fitter(open_body, overrides={"stages.2.neck_pose": 3.0})
    assert fitter.unused_settings == ("stages.2.neck_pose",)
    hand = Fitter("mano", side="left", overrides={"stages.all.body_pose": 3.0, "objective.trunk_tilt": 9.0})
    of_stages = [f"stages.{number}.body_pose" for number in (1, 2, 3)]
    assert hand.unused_settings == ("objective.trunk_tilt", *of_stages)
    head = Fitter("flame")
    assert head.unused_settings == ()


def test_no_people_no_results(fitter):
    assert fitter.fit([]) == []


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.slow
def test_the_camera_moves_after_its_stage_only_when_it_may(open_body, people, free):
    config = Config()
    config = replace(
        config,
        camera=replace(config.camera, optimize_translation=free),
        starts=replace(config.starts, depth_flips=0, headings=1, select_after_stage=1),
    )
    observations = [observation_of(person, with_camera=True) for person in people]
    one_stage, all_stages = (
        Fitter(open_body, config=replace(config, stages=stages)).fit(observations)
        for stages in (config.stages[:1], config.stages)
    )
    for early, late in zip(one_stage, all_stages, strict=True):
        moved = np.abs(early.camera_translation - late.camera_translation).max()
        assert (moved > 1e-4) == free


def test_flags_of_the_keypoints_and_the_worst_one_are_flags_of_the_result(fitter, people):
    """One wrong knee hardly changes the mean error, and has a flag of its own."""
    observation = observation_of(people[0], with_camera=True)
    keypoints = observation.keypoints.copy()
    knee = keypoint_index("left_knee")
    keypoints[knee] = (*(keypoints[knee, :2] + 0.5 * box_diagonal(keypoints)), 0.9)
    (result,) = fitter.fit([replace(observation, keypoints=keypoints, flags=("hand_dropped",))])
    assert {"hand_dropped", "outlying_keypoint"} <= set(result.flags)
    (plain,) = fitter.fit([observation])
    assert not {"hand_dropped", "outlying_keypoint"} & set(plain.flags)


def test_a_person_without_a_visible_keypoint_fails_and_has_no_expected_error():
    unseen = smplifyx.Observation(np.zeros((135, 3)), (640, 480))
    (result,) = smplifyx.Fitter(overrides={"stages.all.max_iterations": 2, "starts.depth_flips": 0}).fit([unseen])
    assert result.status == "failed"
    assert "no_keypoints" in result.flags
    assert np.isnan(result.expected_error_mm)


def test_threads_share_a_fitter(fitter, people, results):
    """They wait for each other, as the buffers of a fit are the fitter's."""
    observations = [observation_of(person, with_camera=True) for person in people[:3]]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda one: fitter.fit([one])[0], observations))
    for one, expected in zip(found, results[:3], strict=True):
        assert one.loss == expected.loss and np.array_equal(one.joints, expected.joints)
