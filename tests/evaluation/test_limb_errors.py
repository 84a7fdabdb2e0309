from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from smplifyx.evaluation.benchmark_rows import FrameTruth
from smplifyx.evaluation.ehf_layout import Frame, ehf_camera
from smplifyx.evaluation.error_sources import joint_rows, joint_table, mirrored_limbs
from smplifyx.evaluation.runner import BenchmarkFit
from smplifyx.skeleton import joint_index

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
    return BenchmarkFit(FRAME, SimpleNamespace(keypoints_2d=keypoints), np.zeros((1, 3)), joints)


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
