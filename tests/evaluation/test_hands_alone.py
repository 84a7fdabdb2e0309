from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import OPEN_BODY_DIR, find_body_model
from smplifyx.config import Override, load_config
from smplifyx.evaluation.ablations import HANDS_ALONE
from smplifyx.evaluation.benchmark_rows import FrameTruth
from smplifyx.evaluation.ehf_layout import Frame, ehf_camera, read_benchmark
from smplifyx.evaluation.hands_alone import HandFitter, hand_rows, hand_table
from smplifyx.evaluation.metrics import pa_mpjpe
from smplifyx.evaluation.runner import BenchmarkFit, FitStore, Trial
from smplifyx.fitting.fitter import Fitter
from tests.evaluation.ehf_folder import write_ehf

FRAME = Frame("01", Path("a"), Path("b"), Path("c"), ehf_camera(), "male")


def test_hands_are_compared_with_their_own_side():
    true = np.random.default_rng(0).normal(size=(55, 3))
    fitted = true.copy()
    fitted[40] += [0.01, 0.0, 0.0]  # a finger of the right hand
    truths = SimpleNamespace(of=lambda frame: FrameTruth(np.zeros((1, 3)), true))
    whole = [BenchmarkFit(FRAME, SimpleNamespace(), np.zeros((1, 3)), fitted)]
    left = 2.0 * true[[20, *range(25, 40)]] + 5.0
    right = true[[21, *range(40, 55)]] + np.random.default_rng(1).normal(0.0, 0.01, (16, 3))
    rows = hand_rows(1.0, {("01", "left"): left, ("01", "right"): right, ("02", "left"): left}, whole, truths)
    assert [row["side"] for row in rows] == ["left", "right"]
    assert (rows[0]["whole body"], rows[0]["alone"]) == pytest.approx((0.0, 0.0), abs=1e-6)
    hand = [21, *range(40, 55)]
    assert rows[1]["whole body"] == pytest.approx(pa_mpjpe(fitted[None, hand], true[None, hand])[0])
    assert rows[1]["alone"] > rows[1]["whole body"] > 0.0


def test_table_goes_by_level_and_hand():
    rows = [
        {"noise": level, "whole body": 5.0 + k, "alone": 5.0 + k + level} for level in (2.0, 0.0) for k in range(3)
    ]
    lines = hand_table(rows)
    assert [(line["noise"], line["hands"]) for line in lines] == [(0.0, 3), (2.0, 3)]
    assert lines[1]["alone minus whole body"] == lines[1]["alone minus whole body_low"] == 2.0


def test_hands_are_fitted_and_kept(tmp_path, monkeypatch):
    data = load_body_model_data(find_body_model("smplx", "neutral", OPEN_BODY_DIR))
    (person,) = write_ehf(tmp_path / "ehf", data, 1)
    config = load_config("fit_mano", [Override("body.models_dir", str(OPEN_BODY_DIR))])
    trial, fitter = Trial("fit_mano", HANDS_ALONE, config, "true"), HandFitter(FitStore(tmp_path / "fits"))
    frames = read_benchmark(tmp_path / "ehf")
    hands = fitter.fit(trial, frames)
    assert set(hands) == {("01", "left"), ("01", "right")}
    for side, first in (("left", 25), ("right", 40)):
        true = person.joints[[20 if side == "left" else 21, *range(first, first + 15)]]
        assert hands["01", side].shape == (16, 3)
        assert pa_mpjpe(hands["01", side][None], true[None])[0] < 5.0  # exact keypoints, true camera
    monkeypatch.setattr(
        Fitter, "fit_batches", lambda self, people: pytest.fail("fitted again") if people else iter(())
    )
    np.testing.assert_array_equal(fitter.fit(trial, frames)["01", "left"], hands["01", "left"])
