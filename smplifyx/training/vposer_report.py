"""Figures of a trained pose network on poses that it has never seen, and its learning curves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from torch import Tensor

from smplifyx.files import atomic_path
from smplifyx.priors.vposer import VPoser
from smplifyx.training.motion_capture import MotionCapture
from smplifyx.training.surface import PoseSurface
from smplifyx.training.vposer_losses import rotation_angle
from smplifyx.training.vposer_network import Posterior, VPoserNetwork
from smplifyx.training.vposer_trainer import History, pose_batch

FloatArray = NDArray[np.float64]

_N_POSES = 2000
_N_PERMUTATIONS = 999
_PER_LINE = 8


@dataclass(frozen=True)
class PoseCoder:
    """The two halves of an autoencoder of poses.

    Attributes:
        encode: from body poses [B, 63] (radians) to the posterior of their codes; ``sd`` is 0 where it is unknown.
        decode: from codes [B, Z] to rotations [B, 21, 3, 3].
    """

    encode: Callable[[Tensor], Posterior]
    decode: Callable[[Tensor], Tensor]

    @classmethod
    def of_network(cls, network: VPoserNetwork) -> PoseCoder:
        """Of a network as it was trained."""
        return cls(network.encode, network.decode)

    @classmethod
    def of_prior(cls, prior: VPoser) -> PoseCoder:
        """Of the form that fits use, whose encoder knows the means of the posteriors alone."""

        def encode(axis_angle: Tensor) -> Posterior:
            mean = prior.encode(axis_angle)
            return Posterior(mean, torch.zeros_like(mean))

        return cls(encode, lambda z: prior.decode(z).rotations)


@dataclass(frozen=True)
class TwoSampleTest:
    """Whether two samples come from one distribution, by their energy distance (Szekely & Rizzo 2013).

    Attributes:
        distance: E|X - Y| minus half of E|X - X'| + E|Y - Y'|; 0 for equal distributions.
        null_distance: its 95th percentile when the points are dealt to the samples at random.
        p_value: share of such deals with as large a distance. Frames of one recording resemble each other, which
            makes this smaller than independent poses would.
    """

    distance: float
    null_distance: float
    p_value: float


def energy_test(
    x: FloatArray, y: FloatArray, rng: np.random.Generator, n_permutations: int = _N_PERMUTATIONS
) -> TwoSampleTest:
    """Permutation test of samples [N, Z] and [M, Z]."""
    points = np.concatenate([x, y])
    signs = np.concatenate([np.full(len(x), 1.0 / len(x)), np.full(len(y), -1.0 / len(y))])
    deals = np.stack([signs, *(rng.permutation(signs) for _ in range(n_permutations))], axis=1)
    # With these signs, -0.5 s'Ds is the energy distance of the samples, D the distances between all points.
    values = -0.5 * np.einsum("id,id->d", deals, cdist(points, points) @ deals)
    distance, null = float(values[0]), values[1:]
    # A deal's rounding must not decide whether it equals the true one.
    as_large = int((null >= distance - 1e-12).sum())
    return TwoSampleTest(distance, float(np.percentile(null, 95)), (1 + as_large) / (1 + n_permutations))


@dataclass(frozen=True)
class VPoserReport:
    """Reconstruction by the mean code, and the distribution of the codes.

    Attributes:
        n_poses: how many poses were looked at.
        angle_deg: mean angle between true and decoded joint rotations.
        vertex_mm: mean distance of surface points, the pelvis fixed.
        worst_angle_deg: the 95th percentile, over poses, of their mean angle.
        random_codes: whether codes were drawn from the posteriors, or are their means.
        mean: [Z] of the codes; 0 for a standard normal.
        variance: [Z] of the codes; 1 for a standard normal.
        squared_norm: mean |z|^2, which is Z for a standard normal.
        normality: the codes against as many draws of a standard normal.
    """

    n_poses: int
    angle_deg: float
    vertex_mm: float
    worst_angle_deg: float
    random_codes: bool
    mean: FloatArray
    variance: FloatArray
    squared_norm: float
    normality: TwoSampleTest

    def lines(self) -> list[str]:
        """One line a figure, then means and variances of all dimensions."""
        test = self.normality
        return [
            f"{self.n_poses} poses",
            f"angle_deg        {self.angle_deg:.2f}, 95th percentile {self.worst_angle_deg:.2f}",
            f"vertex_mm        {self.vertex_mm:.1f}",
            f"codes            {'drawn from the posteriors' if self.random_codes else 'means of the posteriors'}",
            f"mean             {self.mean.min():.2f} to {self.mean.max():.2f}",
            f"variance         {self.variance.min():.2f} to {self.variance.max():.2f}",
            f"squared_norm     {self.squared_norm:.1f} of {len(self.mean)} dimensions",
            f"energy_distance  {test.distance:.4f} from a standard normal "
            f"({test.null_distance:.4f} at most in 95 of 100 cases if it were one), p = {test.p_value:.3f}",
            *_listed("means", self.mean),
            *_listed("variances", self.variance),
        ]


def _listed(name: str, values: FloatArray) -> list[str]:
    texts = [f"{value:6.2f}" for value in values]
    rows = [" ".join(texts[start : start + _PER_LINE]) for start in range(0, len(texts), _PER_LINE)]
    return [f"{name if number == 0 else '':<16} {row}" for number, row in enumerate(rows)]


@torch.no_grad()
def report(coder: PoseCoder, surface: PoseSurface, data: MotionCapture, seed: int = 0) -> VPoserReport:
    """Figures for poses drawn from ``data`` by its weights."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(data.held), _N_POSES, p=data.weights)
    batch = pose_batch(data.body_pose[chosen])
    posterior = coder.encode(batch.axis_angle)
    decoded = coder.decode(posterior.mean)
    angle = np.degrees(rotation_angle(decoded, batch.rotations).numpy()).mean(1)
    distance = (surface(decoded) - surface(batch.rotations)).norm(dim=-1)
    codes = posterior.mean.numpy() + posterior.sd.numpy() * rng.normal(size=posterior.sd.shape)
    return VPoserReport(
        n_poses=_N_POSES,
        angle_deg=float(angle.mean()),
        vertex_mm=1000.0 * distance.mean().item(),
        worst_angle_deg=float(np.percentile(angle, 95)),
        random_codes=bool(posterior.sd.any()),
        mean=codes.mean(0),
        variance=codes.var(0),
        squared_norm=float(np.square(codes).sum(1).mean()),
        normality=energy_test(codes, rng.normal(size=codes.shape), rng),
    )


def plot_history(history: History, path: Path) -> None:
    """Draws the learning curves; needs matplotlib (the extra ``train``)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.2), layout="constrained")
    loss, errors, divergence = figure.subplots(1, 3)
    epochs = np.arange(1, len(history.validation) + 1)
    loss.plot(epochs, history.training, label="training")
    loss.plot(epochs, history.validation, label="validation")
    loss.axvline(history.best_epoch + 1, color="0.7", linestyle=":", label="best")
    loss.set(title="loss", xlabel="epoch", yscale="log")
    errors.plot(epochs, history.surface_mm, label="surface, mm")
    errors.plot(epochs, history.rotation_deg, label="rotation, degrees")
    errors.set(title="validation errors, random codes", xlabel="epoch", ylim=(0, None))
    divergence.plot(epochs, history.divergence, label="divergence, nats")
    divergence.set(title="validation divergence", xlabel="epoch", ylim=(0, None))
    for axes in (loss, errors, divergence):
        axes.legend(frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
