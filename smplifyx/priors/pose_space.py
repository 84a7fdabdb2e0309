"""Elbows and knees bend one way (Bogo et al. 2016, eq. 4; Pavlakos et al. 2019, section 3.2)."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from smplifyx import skeleton
from smplifyx.errors import InputError, reason
from smplifyx.rotations import axis_angle_to_matrix, matrix_to_axis_angle

#: (joint, axis, sign): a positive ``sign * angle`` about that axis is unnatural hyperextension.
_HINGES = (("left_elbow", 1, 1.0), ("right_elbow", 1, -1.0), ("left_knee", 0, -1.0), ("right_knee", 0, -1.0))
_SIGNS = [sign for *_, sign in _HINGES]


def _entries() -> list[int]:
    """Where the matrix entries [4, hinge] of the twist about each hinge lie in 21 flattened matrices."""
    entries: list[list[int]] = [[], [], [], []]
    for name, axis, _ in _HINGES:
        start = 9 * (skeleton.joint_index(name) - skeleton.BODY_JOINTS.start)
        i, j = (axis + 1) % 3, (axis + 2) % 3
        for column, (row, other) in zip(entries, ((j, i), (i, j), (i, i), (j, j)), strict=True):
            column.append(start + 3 * row + other)
    return [entry for column in entries for entry in column]


_ENTRIES = _entries()


def hyperextension(rotations: Tensor) -> Tensor:
    """How far [B, 4] left and right elbow and knee bend against their joints, radians; negative when they flex.

    The angle is the twist about the hinge: what is left of the rotation after a swing that has no part about it. It
    is smooth in the matrix unless that swing is half a turn, and equals the axis-angle component of the published
    formula when the joint turns about its hinge alone.

    Args:
        rotations: [B, 21, 3, 3] of the body joints.
    """
    ji, ij, ii, jj = rotations.flatten(1)[:, _ENTRIES].unflatten(1, (4, len(_HINGES))).unbind(1)
    return (ji - ij).atan2(ii + jj) * rotations.new_tensor(_SIGNS)


def joint_limit_energy(rotations: Tensor) -> Tensor:
    """Energy [B] that grows exponentially when an elbow or a knee bends against its joint.

    Args:
        rotations: [B, 21, 3, 3] of the body joints.
    """
    return hyperextension(rotations).exp().square().sum(1)


N_BODY_POSE = 63


class DecodedPose:
    """``rotations`` [B, 21, 3, 3] of the body joints, and their ``axis_angle`` [B, 63] (radians) on demand.

    Args:
        rotations: [B, 21, 3, 3].
        axis_angle: [B, 63] where it is known already; angles may then exceed pi.
    """

    def __init__(self, rotations: Tensor, axis_angle: Tensor | None = None) -> None:
        self.rotations = rotations
        self._axis_angle = axis_angle

    @property
    def axis_angle(self) -> Tensor:
        """[B, 63] radians."""
        if self._axis_angle is None:
            self._axis_angle = matrix_to_axis_angle(self.rotations).flatten(1)
        return self._axis_angle


class BodyPosePrior(nn.Module):
    """A linear pose space: pose = mean + basis z, with energy scale |z|^2.

    Optimising z instead of the pose puts the prior's own metric into the optimiser, which is worth many iterations.
    A learned decoder takes this class's place by overriding :meth:`decode`, :meth:`encode` and :meth:`energy`.

    Args:
        mean: [63] axis-angle pose of z = 0.
        basis: [63, 63] invertible.
        scale: factor of the energy; 0 switches the prior off.
    """

    #: How many of the first parameters are the code of a learned decoder, which results keep.
    n_embedding = 0

    mean: Tensor
    basis: Tensor
    inverse_basis: Tensor

    def __init__(self, mean: Tensor, basis: Tensor, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("basis", basis.T.contiguous(), persistent=False)
        self.register_buffer("inverse_basis", torch.linalg.inv(basis).T.contiguous(), persistent=False)

    @property
    def n_parameters(self) -> int:
        """Length of z."""
        return self.basis.shape[0]

    def decode(self, z: Tensor) -> DecodedPose:
        """Body pose of the parameters z [B, n_parameters]."""
        axis_angle = torch.addmm(self.mean, z, self.basis)
        return DecodedPose(axis_angle_to_matrix(axis_angle.unflatten(1, (-1, 3))), axis_angle)

    def encode(self, axis_angle: Tensor) -> Tensor:
        """Parameters z [B, n_parameters] of a body pose [B, 63] in axis-angle."""
        return (axis_angle - self.mean) @ self.inverse_basis

    def energy(self, z: Tensor) -> Tensor:
        """Energy [B] of the parameters z."""
        return self.scale * (z * z).sum(1)


def load_gaussian(path: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Mean [63] and covariance [63, 63] of a body-pose Gaussian, radians, in float64."""
    if path is None:
        path = Path(str(resources.files("smplifyx") / "data" / "priors" / "body_pose_gaussian.npz"))
    try:
        with np.load(path, allow_pickle=False) as file:
            mean, covariance = np.float64(file["mean"]), np.float64(file["covariance"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            path, f"not a body-pose Gaussian (arrays mean [63], covariance [63, 63]): {reason(error)}"
        ) from error
    if mean.shape != (N_BODY_POSE,) or covariance.shape != (N_BODY_POSE, N_BODY_POSE):
        raise InputError(
            path, f"expected mean [63] and covariance [63, 63], found {mean.shape} and {covariance.shape}", "mean"
        )
    return mean, covariance
