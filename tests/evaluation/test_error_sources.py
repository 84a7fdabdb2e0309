from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from smplifyx.body.search import OPEN_BODY_DIR
from smplifyx.config import Override, load_config
from smplifyx.evaluation.ablations import HANDS_ALONE, BenchmarkFit, Trial, fit_hands
from smplifyx.evaluation.ehf_layout import Frame, ehf_camera, read_benchmark
from smplifyx.evaluation.error_sources import hand_rows, hand_table, joint_rows, joint_table, mirrored_limbs
from smplifyx.evaluation.metrics import pa_mpjpe
from smplifyx.evaluation.runner import Runner
from smplifyx.evaluation.scores import FrameTruth
from smplifyx.fitting.fitter import Fitter
from smplifyx.skeleton import joint_index
from tests.evaluation.ehf_folder import write_ehf

FRAME = Frame("01", Path("a"), Path("b"), Path("c"), ehf_camera(), "male")
KNEE, WRIST, ELBOW = joint_index("left_knee"), joint_index("right_wrist"), joint_index("right_elbow")


@dataclass
class Known:
    """Stands in for the truths of a benchmark."""

    joints: np.ndarray

    def of(self, frame):
        return FrameTruth(np.zeros((1, 3)), self.joints)


@pytest.fixture()
def true():
    joints = np.random.default_rng(0).normal(0.0, 0.3, (55, 3))
    joints[0] = 0.0
    return joints + np.array([0.0, 0.0, 4.0])


def fit_of(joints, unseen=()):
    keypoints = np.ones((135, 3))
    keypoints[list(unseen)] = 0.0
    return BenchmarkFit(SimpleNamespace(keypoints_2d=keypoints), np.zeros((1, 3)), joints, FRAME)


def test_errors_along_and_across_the_line_of_sight(true):
    sight = true[KNEE] / np.linalg.norm(true[KNEE])
    across = np.cross(sight, [0.0, 1.0, 0.0])
    fitted = true.copy()
    fitted[KNEE] += 0.06 * sight + 0.08 * across / np.linalg.norm(across)
    row = next(row for row in joint_rows([fit_of(fitted + 1.0)], Known(true)) if row["joint"] == "left_knee")
    assert (row["depth"], row["across"], row["error"]) == pytest.approx((60.0, 80.0, 100.0))


def test_seen_and_unseen_joints_are_told_apart(true):
    fitted = true.copy()
    fitted[WRIST] += [0.0, 0.0, 0.3]
    table = joint_table(joint_rows([fit_of(fitted, unseen=[4])], Known(true)))  # 4 is OpenPose's right wrist
    wrists = {line["seen"]: line for line in table if line["joint"] == "wrist"}
    assert (wrists["yes"]["number"], wrists["no"]["number"]) == (1, 1)
    assert wrists["yes"]["error, mean"] == pytest.approx(0.0)
    assert wrists["no"]["error, mean"] == pytest.approx(300.0)


def test_limbs_mirrored_in_depth(true):
    true[WRIST] = true[ELBOW] + [0.15, 0.0, 0.2]
    fitted = true.copy()
    fitted[WRIST] = true[ELBOW] + [0.15, 0.0, -0.2]
    lines = {line["limb"]: line for line in mirrored_limbs([fit_of(fitted)], Known(true))}
    assert [lines[limb]["mirrored"] for limb in ("thigh", "shin", "upper arm", "forearm")] == [0, 0, 0, 1]
    assert lines["forearm"]["angle, mean"] == pytest.approx(np.degrees(np.arctan2(0.2, 0.15)))  # of two arms
    assert lines["thigh"]["angle, mean"] == pytest.approx(0.0, abs=1e-5)


def test_hands_are_compared_with_their_own_side():
    true = np.random.default_rng(0).normal(size=(55, 3))
    fitted = true.copy()
    fitted[40] += [0.01, 0.0, 0.0]  # a finger of the right hand
    truths = SimpleNamespace(of=lambda frame: FrameTruth(np.zeros((1, 3)), true))
    whole = [BenchmarkFit(SimpleNamespace(), np.zeros((1, 3)), fitted, FRAME)]
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


def test_hands_are_fitted_and_kept(tmp_path, monkeypatch, open_body):
    (person,) = write_ehf(tmp_path / "ehf", open_body, 1)
    config = load_config("fit_mano", [Override("body.models_dir", str(OPEN_BODY_DIR))])
    trial, runner = Trial("fit_mano", HANDS_ALONE, config, "true"), Runner(tmp_path / "fits")
    frames = read_benchmark(tmp_path / "ehf")
    hands = fit_hands(runner, trial, frames)
    assert set(hands) == {("01", "left"), ("01", "right")}
    for side, first in (("left", 25), ("right", 40)):
        true = person.joints[[20 if side == "left" else 21, *range(first, first + 15)]]
        assert hands["01", side].shape == (16, 3)
        assert pa_mpjpe(hands["01", side][None], true[None])[0] < 5.0  # exact keypoints, true camera
    monkeypatch.setattr(Fitter, "fit_batches", None)
    np.testing.assert_array_equal(fit_hands(runner, trial, frames)["01", "left"], hands["01", "left"])
