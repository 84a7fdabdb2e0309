"""How much a fit's starts disagree: other poses that meet the keypoints about as well."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from smplifyx.body import skeleton

#: A start whose loss is higher by this share of the best counts 1 / e of it.
_LOSS_SHARE = 0.2
#: Mean distance between the joints of two poses from which they count as different (metres).
_DIFFERENT = 0.06
#: Where no start differs.
_NO_RIVAL = 1.0
_BODY = slice(skeleton.BODY_JOINTS.start - 1, skeleton.BODY_JOINTS.stop)


@dataclass(frozen=True)
class Ambiguity:
    """What the starts of P people say about each other.

    Attributes:
        spread: [P] mean distance of the starts' joints from the best start's, each weighed by its loss (metres).
        gap: [P] how much higher the loss of the best different pose is, as a share of the lowest; at most 1.
    """

    spread: Tensor
    gap: Tensor

    @classmethod
    def none(cls, n_people: int, like: Tensor) -> Ambiguity:
        """Of people with one start."""
        return cls(like.new_zeros(n_people), like.new_full((n_people,), _NO_RIVAL))

    def worse(self, other: Ambiguity) -> Ambiguity:
        """The larger of two ambiguities, person by person."""
        return Ambiguity(torch.maximum(self.spread, other.spread), torch.minimum(self.gap, other.gap))


@torch.no_grad()
def ambiguity(joints: Tensor, loss: Tensor, person: Tensor, best: Tensor) -> Ambiguity:
    """How far the starts of each person are apart.

    Args:
        joints: [R, J, 3] of all starts, camera frame.
        loss: [R] their losses; those that are not finite do not count.
        person: [R] whose start each is.
        best: [P] the row of each person's best start.
    """
    body = joints[:, _BODY]
    centred = body - body.mean(1, keepdim=True)
    reference = best[person]
    distance = (centred - centred[reference]).norm(dim=2).mean(1)
    lowest = loss[reference]
    rise = ((loss - lowest) / lowest.clamp(min=1e-9)).clamp(min=0.0)
    counts = torch.isfinite(rise) & torch.isfinite(distance)
    weight = torch.where(counts, torch.exp(-rise / _LOSS_SHARE), 0.0)
    distance = torch.where(counts, distance, 0.0)
    zeros = loss.new_zeros(len(best))
    total = zeros.index_add(0, person, weight).clamp(min=1e-9)
    spread = zeros.index_add(0, person, weight * distance) / total
    rival = torch.where(counts & (distance > _DIFFERENT), rise, _NO_RIVAL).clamp(max=_NO_RIVAL)
    gap = loss.new_full((len(best),), _NO_RIVAL).scatter_reduce(0, person, rival, "amin")
    return Ambiguity(spread, gap)
