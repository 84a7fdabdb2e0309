from dataclasses import replace

import numpy as np
import pytest

from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import OPEN_BODY_DIR, find_body_model
from smplifyx.config import Override, load_config
from smplifyx.evaluation import runner as benchmark_fits
from smplifyx.evaluation.ablations import FULL, TABLE_2
from smplifyx.evaluation.benchmark_rows import Truths, rows_of
from smplifyx.evaluation.ehf_layout import read_benchmark
from smplifyx.evaluation.error_sources import error_sources, fitted_rotations
from smplifyx.evaluation.runner import BenchmarkFitter, FitStore, Trial
from smplifyx.evaluation.vertex_sets import vertex_sets
from smplifyx.fitting.fitter import Fitter
from tests.evaluation.ehf_folder import write_ehf

NEUTRAL = next(variant for variant in TABLE_2 if variant.key == "neutral")
QUICK = [
    Override("body.models_dir", str(OPEN_BODY_DIR)),
    Override("optimizer.max_iterations", "15"),
    Override("starts.headings", "1"),
    Override("starts.depth_flips", "0"),
]


@pytest.fixture(scope="module")
def data():
    return load_body_model_data(find_body_model("smplx", "neutral", OPEN_BODY_DIR))


@pytest.fixture(scope="module")
def frames(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("ehf")
    write_ehf(folder, data)
    return read_benchmark(folder, "male")


@pytest.fixture(scope="module")
def trial():
    return Trial("quick", NEUTRAL, load_config(None, QUICK), "true")


@pytest.fixture(scope="module")
def fits(tmp_path_factory, frames, trial):
    folder = tmp_path_factory.mktemp("fits")
    return folder, BenchmarkFitter(FitStore(folder)).fit(trial, frames)


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
    again = BenchmarkFitter(FitStore(fits[0])).fit(trial, frames, progress=told.append)
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
        BenchmarkFitter(FitStore(fits[0])).fit(replace(trial, **change), frames)


def test_other_code_makes_other_fits(fits, frames, trial, no_fitting, monkeypatch):
    monkeypatch.setattr(benchmark_fits, "code_digest", lambda: "changed")
    with pytest.raises(AssertionError, match="made again"):
        BenchmarkFitter(FitStore(fits[0])).fit(trial, frames)


def test_cameras(frames, trial):
    observation = frames[0].observation()
    cases = {"true": 1498.22, "paper": 5000.0, "config": 1.2 * 1600}
    for camera, focal_length in cases.items():
        found = benchmark_fits.with_trial_camera(frames[0], observation, replace(trial, camera=camera))
        assert found.camera.focal_length[0] == pytest.approx(focal_length, rel=1e-5)


def test_rows_and_error_sources(fits, data, trial):
    """With the whole true pose only the shape is left, and the truth itself has no error."""
    truths = Truths(data, {})
    rows = rows_of(trial, fits[1], truths, vertex_sets(data))
    assert [row["person"] for row in rows] == ["01", "02"]
    assert all(float(row["v2v"]) > 0.0 and float(row["pve"]) > 0.0 for row in rows)
    own = {fit.frame.name: fitted_rotations(fit.result) for fit in fits[1]}
    table = error_sources(fits[1], truths, own, {"neutral": data})
    for row in rows:
        values = [line["v2v"] for line in table if line["person"] == row["person"]]
        assert values == pytest.approx([row["v2v"]] * len(values), abs=0.01)  # its own pose replaces nothing
