from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smplifyx.body.search import OPEN_BODY_DIR
from smplifyx.config import Override, load_config
from smplifyx.evaluation import runner
from smplifyx.evaluation.ablations import FULL, TABLE_2, Trial, fit_frames, with_trial_camera
from smplifyx.evaluation.ehf_layout import read_benchmark
from smplifyx.evaluation.error_sources import error_sources, fitted_rotations
from smplifyx.evaluation.runner import Runner, fit_with_body, model_keypoints
from smplifyx.evaluation.scores import Truths, rows_of
from smplifyx.evaluation.trials import fit_and_score
from smplifyx.evaluation.vertex_sets import vertex_sets
from smplifyx.evaluation.view_scenes import _SEATED_UNIT as SEATED_UNIT
from smplifyx.evaluation.view_scenes import balancing_scenes, observation_of_view, seated_scene
from smplifyx.evaluation.views import fit_views, view_rows
from smplifyx.fitting.fitter import Fitter
from smplifyx.synthetic.documents import observation_of
from smplifyx.synthetic.people import SyntheticOptions, synthetic_people
from tests.evaluation.ehf_folder import write_ehf
from tests.evaluation.view_folders import balancing_folder, seated_folder

NEUTRAL = next(variant for variant in TABLE_2 if variant.key == "neutral")
QUICK = [
    Override("body.models_dir", str(OPEN_BODY_DIR)),
    Override("optimizer.max_iterations", "15"),
    Override("starts.headings", "1"),
    Override("starts.depth_flips", "0"),
]


@pytest.fixture(scope="module")
def frames(tmp_path_factory, open_body):
    folder = tmp_path_factory.mktemp("ehf")
    write_ehf(folder, open_body)
    return read_benchmark(folder, "male")


@pytest.fixture(scope="module")
def trial():
    return Trial("quick", NEUTRAL, load_config(None, QUICK), "true")


@pytest.fixture(scope="module")
def fits(tmp_path_factory, frames, trial):
    folder = tmp_path_factory.mktemp("fits")
    return folder, fit_frames(Runner(folder), trial, frames)


@pytest.fixture()
def no_fitting(monkeypatch):
    def refuse(*arguments):
        raise AssertionError("a fit that exists was made again")

    monkeypatch.setattr(Fitter, "fit_batches", refuse)


def test_fits_come_in_the_order_of_the_frames(fits, frames):
    assert [fit.frame.name for fit in fits[1]] == ["01", "02"]
    for fit, frame in zip(fits[1], frames, strict=True):
        assert tuple(fit.result.focal_length) == pytest.approx(frame.camera.intrinsics.focal_length)
        assert fit.result.gender == "neutral"


def test_fits_are_used_again(fits, frames, trial, no_fitting):
    told = []
    again = fit_frames(Runner(fits[0]), trial, frames, progress=told.append)
    assert told == [2]
    for first, second in zip(fits[1], again, strict=True):
        np.testing.assert_array_equal(first.vertices, second.vertices)


@pytest.mark.parametrize(
    "change",
    [
        {"camera": "paper"},
        {"variant": FULL},
        {"config": load_config(None, [*QUICK, Override("priors.body_pose", "l2")])},
        {"variant": replace(NEUTRAL, keypoints="body")},
    ],
)
def test_other_settings_are_other_fits(fits, frames, trial, change, no_fitting):
    with pytest.raises(AssertionError, match="made again"):
        fit_frames(Runner(fits[0]), replace(trial, **change), frames)


def test_other_3d_points_of_a_detector_are_another_fit(fits, frames, trial, no_fitting):
    observations = [frame.observation() for frame in frames]
    digests = {
        Runner(fits[0])._kept("", trial.config, replace(observations[0], points_3d=points), Path(__file__))
        for points in (None, np.zeros((25, 4)), np.ones((25, 4)))
    }
    assert len(digests) == 3


def test_other_code_makes_other_fits(fits, frames, trial, no_fitting, monkeypatch):
    monkeypatch.setattr(runner, "code_digest", lambda: "changed")
    with pytest.raises(AssertionError, match="made again"):
        fit_frames(Runner(fits[0]), trial, frames)


def test_cameras(frames, trial):
    observation = frames[0].observation()
    cases = {"true": 1498.22, "paper": 5000.0, "config": 1.2 * 1600}
    for camera, focal_length in cases.items():
        found = with_trial_camera(frames[0], observation, replace(trial, camera=camera))
        assert found.camera.focal_length[0] == pytest.approx(focal_length, rel=1e-5)


def test_rows_and_error_sources(fits, open_body, trial):
    """With the whole true pose only the shape is left, and the truth itself has no error."""
    truths = Truths(open_body, {})
    rows = rows_of(trial, fits[1], truths, vertex_sets(open_body))
    assert [row["person"] for row in rows] == ["01", "02"]
    assert all(float(row["v2v"]) > 0.0 and float(row["pve"]) > 0.0 for row in rows)
    own = {fit.frame.name: fitted_rotations(fit.result) for fit in fits[1]}
    table = error_sources(fits[1], truths, own, {"neutral": open_body})
    for row in rows:
        values = [line["v2v"] for line in table if line["person"] == row["person"]]
        assert values == pytest.approx([row["v2v"]] * len(values), abs=0.01)  # its own pose replaces nothing


REAL = Path(__file__).parents[2].parent / "shared" / "real"


@pytest.fixture(scope="module")
def config():
    return load_config(None, [Override("optimizer.max_iterations", "2")])


def test_keypoints_project_where_the_fitter_says(random_body, config):
    people = list(synthetic_people(random_body, 3, SyntheticOptions(seed=1, truncated_share=0.0)))
    observations = [observation_of(person, with_camera=True) for person in people]
    fits = fit_with_body(random_body, config, observations)
    assert len(fits) == 3
    for person, fit in zip(people, fits, strict=True):
        keypoints = model_keypoints(random_body, config, fit)
        before_lens = keypoints[:118, 2] > 0.2
        pixels = person.focal_length * keypoints[:, :2] / keypoints[:, 2:] + person.principal_point
        expected = fit.result.projected_keypoints_2d
        np.testing.assert_allclose(pixels[:118][before_lens], expected[:118][before_lens], rtol=1e-3, atol=0.5)


def test_rows_name_people_and_cameras_matter(random_body, config):
    people = list(synthetic_people(random_body, 2, SyntheticOptions(seed=1)))
    rows = fit_and_score(random_body, config, people, true_camera=True)
    assert [row["person"] for row in rows] == ["person_0000", "person_0001"]
    guessed = fit_and_score(random_body, config, people)
    assert rows[0]["depth_percent"] != guessed[0]["depth_percent"]


@pytest.fixture(scope="module", params=["made", "real"])
def scenes(request, tmp_path_factory):
    """The scenes of several views: a stick figure; the sample data where they are beside the repository."""
    if request.param == "real":
        if not REAL.is_dir():
            pytest.skip("the shared sample data are not beside the repository")
        return [*balancing_scenes(REAL / "pose2sim_single"), seated_scene(REAL / "mvsmplfitting_17kp")]
    folder = tmp_path_factory.mktemp("views")
    return [*balancing_scenes(balancing_folder(folder / "b")), seated_scene(seated_folder(folder / "s", SEATED_UNIT))]


def test_scenes_are_triangulated(scenes):
    assert [len(scene.cameras) for scene in scenes] == [4, 4, 4, 6]
    for scene in scenes:
        assert scene.truth.valid.sum() >= 17
        assert np.nanmedian(scene.truth.errors_px) < 9.0
        assert all(path.is_file() for path in (*scene.images, *scene.keypoint_files))


def test_true_cameras_fit_to_the_photos(scenes):
    for scene in scenes:
        for view in range(len(scene.cameras)):
            observation = observation_of_view(scene, view, true_camera=True)
            assert observation.camera.image_size in (None, observation.image_size)


def test_every_view_gets_a_row(random_body, config, scenes):
    rows = view_rows(fit_views(random_body, config, scenes[3:], true_camera=True))
    assert [row["view"] for row in rows] == [f"Camera0{k}" for k in range(6)]
    assert all(np.isfinite(row["pa_mpjpe_mm"]) for row in rows)


def test_people_of_all_bodies_are_fitted_in_one_call(random_body):
    """Each with the body that is named for it, in the order of the observations."""
    overrides = [*QUICK[:1], Override("optimizer.max_iterations", "2"), Override("collision.enabled", "false")]
    people = synthetic_people(random_body, 3, SyntheticOptions(seed=2))
    observations = [observation_of(person, with_camera=True) for person in people]
    bodies = ["male", "female", "male"]
    done = []
    fits = Runner().fit(load_config(None, overrides), observations, bodies, progress=done.append)
    assert [fit.result.gender for fit in fits] == bodies
    assert sum(done) == 3 and done[0] == 0
    for fit, observation in zip(fits, observations, strict=True):
        np.testing.assert_allclose(fit.result.focal_length, observation.camera.focal_length)
        np.testing.assert_allclose(fit.result.image_size, observation.image_size)
