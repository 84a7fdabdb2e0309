"""Knowledge of a person and a scene besides keypoints: the stature, and the floor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from smplifyx.body.data import BodyModelData
from smplifyx.errors import UsageError
from smplifyx.skeleton import joint_index

#: Weights of differences from the stature and of feet below the floor, 1 / metres.
_STATURE_WEIGHT, _FLOOR_WEIGHT = 3000.0, 1000.0
#: Joints that stay above the floor, and their least height (metres).
_FEET = {"left_foot": 0.02, "right_foot": 0.02, "left_ankle": 0.05, "right_ankle": 0.05}
#: Statures of people, metres.
_STATURES = (0.4, 2.6)


@dataclass(frozen=True)
class Stature:
    """The known stature, and that of a body at rest as an affine function of its shape.

    Attributes:
        wanted: the known one, metres.
        template: of the mean body.
        directions: [S] change with each shape coefficient.
    """

    wanted: float
    template: float
    directions: Tensor

    @classmethod
    def of(cls, data: BodyModelData, wanted: float) -> Stature:
        """The stature of a model's bodies, between the highest and the lowest vertex of the mean body.

        Raises:
            UsageError: no person has the wanted stature.
        """
        if not _STATURES[0] <= wanted <= _STATURES[1]:
            raise UsageError(f"expected a height in metres, {_STATURES[0]} to {_STATURES[1]}, found {wanted}")
        up = np.asarray(data.v_template)[:, 1]
        top, bottom = int(up.argmax()), int(up.argmin())
        directions = np.asarray(data.shapedirs)[top, 1] - np.asarray(data.shapedirs)[bottom, 1]
        return cls(wanted, float(up[top] - up[bottom]), torch.as_tensor(directions, dtype=torch.float64))

    def difference(self, betas: Tensor) -> Tensor:
        """Difference from the known stature for shapes [..., S], metres."""
        return self.template - self.wanted + betas @ self.directions.to(betas)

    def matched(self, betas: Tensor) -> Tensor:
        """The nearest shape [S] of the known stature."""
        along = self.directions.to(betas)
        return betas - along * self.difference(betas) / along.square().sum()


@dataclass(frozen=True)
class Known:
    """Knowledge besides keypoints.

    Attributes:
        stature: of the person; None where it is unknown.
        floor: [4] (n, d) with n x + d = 0 for points of the floor, the unit normal n upwards; None without.
    """

    stature: Stature | None = None
    floor: Tensor | None = None

    @classmethod
    def of(cls, data: BodyModelData, height: float | None, floor: Sequence[float] | None) -> Known:
        """Check the numbers.

        Raises:
            UsageError: no stature of a person, or no plane.
        """
        stature = None if height is None else Stature.of(data, height)
        if floor is None:
            return cls(stature)
        plane = torch.as_tensor(np.asarray(floor, np.float64))
        if plane.shape != (4,) or not torch.isfinite(plane).all() or abs(float(plane[:3].norm()) - 1.0) > 1e-3:
            raise UsageError(f"expected a floor of four numbers with a unit normal, found {list(floor)}")
        return cls(stature, plane)

    def shape_loss(self, betas: Tensor, n_frames: int) -> Tensor:
        """Loss of a shape [S] by its stature, counted for each frame."""
        if self.stature is None:
            return betas.new_zeros(())
        return n_frames * _STATURE_WEIGHT**2 * self.stature.difference(betas).square()

    def shape_curvature(self, n_frames: int) -> Tensor | float:
        """Second derivatives [S, S] of this loss."""
        if self.stature is None:
            return 0.0
        along = self.stature.directions
        return 2.0 * n_frames * _STATURE_WEIGHT**2 * along[:, None] * along

    def floor_loss(self, joints: Tensor) -> Tensor:
        """Loss of joints [F, J, 3] of feet that are below the floor; world, metres."""
        if self.floor is None:
            return joints.new_zeros(())
        plane = self.floor.to(joints)
        feet = joints[:, [joint_index(name) for name in _FEET]]
        below = joints.new_tensor(list(_FEET.values())) - (feet @ plane[:3] + plane[3])
        return _FLOOR_WEIGHT**2 * below.clamp_min(0.0).square().sum()
