from pathlib import Path

import numpy as np
import pytest

from smplifyx.config import Override, load_config
from smplifyx.evaluation.runner import fit_and_score, fit_people, observation_of
from smplifyx.evaluation.views import balancing_scenes, fit_views, seated_scene, view_rows
from smplifyx.synthetic.people import SyntheticOptions, synthetic_people
from tests.random_body import random_body_model

REAL = Path(__file__).parents[2].parent / "shared" / "real"
needs_samples = pytest.mark.skipif(not REAL.is_dir(), reason="the shared sample data are not beside the repository")


@pytest.fixture(scope="module")
def config():
    return load_config(None, [Override("optimizer.max_iterations", "2")])


@pytest.fixture(scope="module")
def data():
    return random_body_model()


def test_keypoints_project_where_the_fitter_says(data, config):
    people = list(synthetic_people(data, 3, SyntheticOptions(seed=1, truncated_share=0.0)))
    observations = [observation_of(person, with_camera=True) for person in people]
    fits = fit_people(data, config, observations)
    assert len(fits) == 3
    for person, fit in zip(people, fits, strict=True):
        before_lens = fit.keypoints[:118, 2] > 0.2
        pixels = person.focal_length * fit.keypoints[:, :2] / fit.keypoints[:, 2:] + person.principal_point
        expected = fit.result.projected_keypoints_2d
        np.testing.assert_allclose(pixels[:118][before_lens], expected[:118][before_lens], rtol=1e-3, atol=0.5)


def test_rows_name_people_and_cameras_matter(data, config):
    people = list(synthetic_people(data, 2, SyntheticOptions(seed=1)))
    rows = fit_and_score(data, config, people, true_camera=True)
    assert [row["person"] for row in rows] == ["person_0000", "person_0001"]
    guessed = fit_and_score(data, config, people)
    assert rows[0]["depth_percent"] != guessed[0]["depth_percent"]


@needs_samples
def test_scenes_are_triangulated():
    scenes = [*balancing_scenes(REAL / "pose2sim_single"), seated_scene(REAL / "mvsmplfitting_17kp")]
    assert [len(scene.cameras) for scene in scenes] == [4, 4, 4, 6]
    for scene in scenes:
        assert scene.truth.valid.sum() >= 17
        assert np.nanmedian(scene.truth.errors_px) < 9.0
        assert all(path.is_file() for path in (*scene.images, *scene.keypoint_files))


@needs_samples
def test_every_view_gets_a_row(data, config):
    rows = view_rows(fit_views(data, config, [seated_scene(REAL / "mvsmplfitting_17kp")], true_camera=True))
    assert [row["view"] for row in rows] == [f"Camera0{k}" for k in range(6)]
    assert all(np.isfinite(row["pa_mpjpe_mm"]) for row in rows)
