"""Tools that fit the shipped pose priors and the error predictor, on small data of known distribution."""

from __future__ import annotations

import numpy as np
import pytest

from smplifyx.priors import HELD_OUT_SUBJECTS
from smplifyx.skeleton import joint_index
from tools import build_pose_prior
from tools.fit_error_predictor import regressed


@pytest.fixture
def mocap(tmp_path):
    """Poses around a standing one in six clips, two of them of a held-out subject."""
    random = np.random.default_rng(0)
    names = [f"{subject}_{k:02d}" for subject in ("01", "02", HELD_OUT_SUBJECTS[0]) for k in (1, 2)]
    per_clip = 200
    deviations = np.linspace(0.02, 0.1, 63)
    standing = np.zeros((21, 3))
    for side, sign in (("left", -1), ("right", 1)):
        standing[joint_index(f"{side}_shoulder") - 1, 2] = sign * np.radians(75)
    path = tmp_path / "mocap.npz"
    np.savez(
        path,
        body_pose=np.float32(standing.ravel() + random.normal(size=(len(names) * per_clip, 63)) * deviations),
        clip_index=np.repeat(np.arange(len(names)), per_clip),
        clip_names=np.array(names),
        frame=np.tile(np.arange(per_clip), len(names)),
        fps=np.float32(10),
    )
    return path


def test_pose_priors_are_written_and_judged_on_held_out_subjects(mocap, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(build_pose_prior, "N_MIXTURE_POSES", 2000)
    build_pose_prior.main([str(mocap), "--output", str(tmp_path)])
    with np.load(tmp_path / "body_pose_gaussian.npz") as file:
        assert file["mean"].shape == (63,)
        spread = np.sqrt(np.diag(file["covariance"]))
        assert spread[-1] > 1.4 * spread[0]
    with np.load(tmp_path / "body_pose_mixture.npz") as file:
        arrays = {name: file[name] for name in file.files}
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}
    assert {len(array) for array in arrays.values()} == {build_pose_prior.N_COMPONENTS}
    printed = capsys.readouterr().out
    assert "gaussian" in printed and "mixture" in printed and "held-out" in printed


def test_error_predictor_recovers_a_log_linear_error() -> None:
    random = np.random.default_rng(1)
    features = [{"residual": float(a), "bend": float(b)} for a, b in random.normal(size=(400, 2))]
    errors = np.exp([3.0 + 0.5 * one["residual"] - 0.2 * one["bend"] for one in features])
    predictor = regressed(features, errors)
    assert predictor.weights["residual"] == pytest.approx(0.5, rel=0.05)
    assert predictor.weights["bend"] == pytest.approx(-0.2, rel=0.05)
    assert predictor.expected_error({"residual": 0.0, "bend": 0.0}) == pytest.approx(np.exp(3.0), rel=0.05)
