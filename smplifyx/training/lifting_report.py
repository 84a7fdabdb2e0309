"""How well a lifting network tells depth, in figures and curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from smplifyx import skeleton
from smplifyx.files import atomic_path
from smplifyx.lifting.network import SWAPPABLE_LIMBS, LiftingNetwork, predict_with_flip
from smplifyx.training.lifting_people import Sighting
from smplifyx.training.lifting_trainer import LiftingHistory

#: Probability from which a fit puts limbs right.
_SURE = 0.7
_JOINTS = ("knee", "ankle", "shoulder", "elbow", "wrist")


@torch.no_grad()
def report(network: LiftingNetwork, people: Sighting) -> list[str]:
    """Lines about a network's errors on people, their joints taken from the pelvis."""
    answer = predict_with_flip(network, people.features)
    offsets = answer.joints - people.joints
    standard = (offsets * torch.exp(-answer.log_sd)).square().mean((0, 1)).sqrt()
    lines = [
        f"people           {len(offsets)}",
        f"joints           {1000 * offsets.norm(dim=2).mean():.1f} mm",
        f"depth            {1000 * offsets[..., 2].abs().mean():.1f} mm",
        *(f"depth, {name + 's':10}{_depth(offsets, name):.1f} mm" for name in _JOINTS),
        "error / told sd  " + ", ".join(f"{axis} {value:.2f}" for axis, value in zip("xyz", standard, strict=True)),
    ]
    told = answer.swapped_sides.sigmoid() > _SURE
    for limb, name in enumerate(SWAPPABLE_LIMBS):
        were = people.swapped_sides[:, limb] > 0
        found, false = int((told[:, limb] & were).sum()), int((told[:, limb] & ~were).sum())
        lines.append(
            f"exchanged {name:7}{found} of {int(were.sum())} found, {false} of {int((~were).sum())} wrongly told"
        )
    return lines


def _depth(offsets: torch.Tensor, name: str) -> float:
    rows = [skeleton.joint_index(f"{side}_{name}") - skeleton.BODY_JOINTS.start for side in skeleton.SIDES]
    return 1000 * float(offsets[:, rows, 2].abs().mean())


def plot_history(history: LiftingHistory, path: Path) -> None:
    """Draws the learning curves; needs matplotlib (the extra ``train``)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    loss, error = figure.subplots(1, 2)
    epochs = np.arange(1, len(history.validation) + 1)
    loss.plot(epochs, history.training, label="training")
    loss.plot(epochs, history.validation, label="validation")
    loss.set(title="loss", xlabel="epoch")
    loss.legend(frameon=False)
    error.plot(epochs, history.joints_mm)
    error.set(title="validation: error of joints, mm", xlabel="epoch", ylim=(0, None))
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
