"""The shipped Gaussians: expectation maximisation on a known mixture, and the files of the tool."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from smplifyx.priors import HELD_OUT_SUBJECTS
from smplifyx.skeleton import joint_index
from tools import build_pose_prior
from tools.build_pose_prior import fit_mixture, log_densities


def test_a_known_mixture_is_found_again():
    rng = np.random.default_rng(0)
    means = np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 1.0], [0.0, -3.0, 2.0]])
    covariance = np.array([[0.5, 0.2, 0.0], [0.2, 0.4, 0.0], [0.0, 0.0, 0.1]])
    share = np.array([0.5, 0.3, 0.2])
    which = rng.choice(3, 5000, p=share)
    poses = means[which] + rng.multivariate_normal(np.zeros(3), covariance, 5000)
    found = fit_mixture(poses, 3, 0.01, rng)
    order = [int(np.argmin(np.linalg.norm(found.means - mean, axis=1))) for mean in means]
    np.testing.assert_allclose(found.means[order], means, atol=0.06)
    np.testing.assert_allclose(found.weights[order], share, atol=0.02)
    np.testing.assert_allclose(found.covariances[order], np.stack([covariance] * 3), atol=0.06)
    expected = np.log(found.weights[0]) + multivariate_normal(found.means[0], found.covariances[0]).logpdf(poses[:9])
    np.testing.assert_allclose(log_densities(found, poses[:9])[:, 0], expected)


@pytest.fixture
def mocap(tmp_path):
    """Poses around a standing one in six clips, two of them of a held-out subject."""
    random = np.random.default_rng(0)
    names = [f"{subject}_{k:02d}" for subject in ("01", "02", HELD_OUT_SUBJECTS[0]) for k in (1, 2)]
    per_clip = 60
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
    monkeypatch.setattr(build_pose_prior, "N_MIXTURE_POSES", 400)
    monkeypatch.setattr(build_pose_prior, "N_COMPONENTS", 3)
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
