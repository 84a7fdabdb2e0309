"""Figures of a trained pose network on poses that it has never seen, and its learning curves."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import kstest

from smplifyx.training.motion_capture import MotionCapture
from smplifyx.training.surface import PoseSurface
from smplifyx.training.vposer_losses import rotation_angle
from smplifyx.training.vposer_network import VPoserNetwork
from smplifyx.training.vposer_trainer import History, pose_batch

_N_POSES = 2000


@dataclass(frozen=True)
class VPoserReport:
    """Reconstruction by the mean code, and the distribution of random codes of the posterior.

    Attributes:
        n_poses: how many poses were looked at.
        angle_deg: mean angle between true and decoded joint rotations.
        vertex_mm: mean distance of surface points, the pelvis fixed.
        worst_angle_deg: the 95th percentile, over poses, of their mean angle.
        mean_range: smallest and largest mean of a code's dimension; 0 for a standard normal.
        variance_range: smallest and largest variance; 1 for a standard normal.
        ks_statistic: mean Kolmogorov-Smirnov distance of a dimension from the standard normal, 0 to 1.
        squared_norm: mean |z|^2, which is the length of the code for a standard normal.
    """

    n_poses: int
    angle_deg: float
    vertex_mm: float
    worst_angle_deg: float
    mean_range: tuple[float, float]
    variance_range: tuple[float, float]
    ks_statistic: float
    squared_norm: float

    def lines(self) -> list[str]:
        """One line a figure."""

        def shown(value: object) -> str:
            numbers = value if isinstance(value, tuple) else (value,)
            return " to ".join(f"{number:.4g}" for number in numbers)

        return [f"{field.name:<16} {shown(getattr(self, field.name))}" for field in fields(self)]


@torch.no_grad()
def report(network: VPoserNetwork, surface: PoseSurface, data: MotionCapture, seed: int = 0) -> VPoserReport:
    """Figures for poses drawn from ``data`` by its weights."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(data.held), _N_POSES, p=data.weights)
    batch = pose_batch(data.body_pose[chosen])
    posterior = network.encode(batch.axis_angle)
    decoded = network.decode(posterior.mean)
    angle = np.degrees(rotation_angle(decoded, batch.rotations).numpy()).mean(1)
    distance = (surface(decoded) - surface(batch.rotations)).norm(dim=-1)
    codes = posterior.mean.numpy() + posterior.sd.numpy() * rng.normal(size=posterior.sd.shape)
    return VPoserReport(
        n_poses=_N_POSES,
        angle_deg=float(angle.mean()),
        vertex_mm=1000.0 * distance.mean().item(),
        worst_angle_deg=float(np.percentile(angle, 95)),
        mean_range=_range(codes.mean(0)),
        variance_range=_range(codes.var(0)),
        ks_statistic=float(np.mean([kstest(column, "norm").statistic for column in codes.T])),
        squared_norm=float(np.square(codes).sum(1).mean()),
    )


def _range(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values.min()), float(values.max())


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
    figure.savefig(path, dpi=120)
