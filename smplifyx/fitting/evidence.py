"""Observations as tensors: one row a person, keypoints in the canonical layout."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True)
class FitTargets:
    """What the objective compares with.

    Attributes:
        keypoints: [B, 135, 2] pixels.
        confidence: [B, 135] in 0..1; 0 where nothing was seen.
        focal_length: [B, 2] pixels.
        principal_point: [B, 2] pixels.
        pixel_scale: [B] factor from pixels to the objective's units, in which a person is about 1000 tall.
        stands: [B] 1 for people who seem to stand, 0 for the others.
        exchanged: [B, 2] whether left and right of arms and legs were exchanged, as the detector seemed to have done.
        lifted: [B, 21, 3] where the body joints are expected, see :class:`~smplifyx.lifting.network.LiftedJoints`.
        sqrt_precision: [B, 21, 3, 3] how surely; zero where nothing is expected.
    """

    keypoints: Tensor
    confidence: Tensor
    focal_length: Tensor
    principal_point: Tensor
    pixel_scale: Tensor
    upright_stance: Tensor
    swapped_sides: Tensor
    lifted: Tensor
    sqrt_precision: Tensor

    def index(self, rows: Tensor) -> FitTargets:
        """The evidence of some rows."""
        return FitTargets(*(getattr(self, field.name)[rows] for field in fields(self)))

    def joined(self, other: FitTargets) -> FitTargets:
        """These rows followed by others."""
        names = [field.name for field in fields(self)]
        return FitTargets(*(torch.cat([getattr(self, name), getattr(other, name)]) for name in names))
