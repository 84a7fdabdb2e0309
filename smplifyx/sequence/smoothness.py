"""Smoothness in time: a robust energy of the second differences of joints, rotations and face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from smplifyx.config import SequenceConfig
from smplifyx.fitting.parameters import ParameterLayout
from smplifyx.skeleton import BODY_JOINTS

#: Frames per second that the weights refer to: others have as much energy a second.
_RATE = 30.0
#: Parameters of the face that change smoothly.
_FACE_GROUPS = ("expression", "jaw_pose", "leye_pose", "reye_pose")


@dataclass(frozen=True)
class Motion:
    """All that is smooth about the bodies of F frames; world axes.

    Attributes:
        joints: [F, J, 3] metres.
        rotations: [F, J, 3, 3] of the joints.
        x: [F, D] parameters.
    """

    joints: Tensor
    rotations: Tensor
    x: Tensor


@dataclass(frozen=True)
class Curvature:
    """Factors of squared second differences in the Gauss-Newton matrix, for F - 2 triples of frames.

    Attributes:
        points: [F - 2, J].
        turns: [F - 2, B] of the body's rotations.
        face: [F - 2, 1].
    """

    points: Tensor
    turns: Tensor
    face: Tensor


class Smoothness:
    """The energy of a motion, ``sum of w^2 rho(a)`` over accelerations a.

    Joints of the body count in the world, those of hands and face from the wrists and the head. ``rho`` is quadratic
    for accelerations below its scale and grows linearly above (Charbonnier), so that a fast move costs little more
    than it must, and an outlying frame is held by its neighbours.

    Args:
        parents: parent of each joint.
        layout: the columns of x.
        config: weights and scales.
        fps: frames per second.
    """

    def __init__(self, parents: Sequence[int], layout: ParameterLayout, config: SequenceConfig, fps: float) -> None:
        self._parents, self._layout, self._config, self._fps = parents, layout, config, fps
        self._share = _RATE / fps
        self.anchors = [_anchor(parents, joint) for joint in range(len(parents))]
        groups = [name for name in _FACE_GROUPS if layout.sizes.get(name)]
        self.face = layout.indices(groups) if groups else torch.zeros(0, dtype=torch.int64)
        self.body = slice(0, BODY_JOINTS.stop)

    def without_weight(self) -> Smoothness:
        """The same with weights of zero."""
        config = replace(self._config, joint_smoothness=0.0, rotation_smoothness=0.0, face_smoothness=0.0)
        return Smoothness(self._parents, self._layout, config, self._fps)

    def loss(self, motion: Motion) -> Tensor:
        """The energy with its weights, differentiable; 0 for fewer than three frames."""
        total = motion.joints.new_zeros(())
        for feature, weight, scale in self._features(motion):
            square = self._squared_accelerations(feature)
            total = (
                total + weight**2 * self._share * (2.0 * scale**2 * ((1.0 + square / scale**2).sqrt() - 1.0)).sum()
            )
        return total

    def curvature(self, motion: Motion) -> Curvature:
        """The factors of the Gauss-Newton matrix."""
        factors = []
        for feature, weight, scale in self._features(motion):
            slope = (1.0 + self._squared_accelerations(feature) / scale**2).rsqrt()
            factors.append(2.0 * weight**2 * self._share * self._fps**4 * slope)
        return Curvature(*factors)

    def _features(self, motion: Motion) -> list[tuple[Tensor, float, float]]:
        """Smooth values [F, N, C], their weight, and the scale of their accelerations."""
        config = self._config
        turns = motion.rotations[:, self.body].flatten(2) / 2.0**0.5
        face = motion.x[:, self.face.to(motion.x.device)][:, None]
        return [
            (self.relative(motion.joints), config.joint_smoothness, config.joint_acceleration),
            (turns, config.rotation_smoothness, config.rotation_acceleration),
            (face, config.face_smoothness, config.face_acceleration),
        ]

    def relative(self, joints: Tensor) -> Tensor:
        """Joints [F, J, ...]: those of the body as they are, others from the body's joint that carries them."""
        body = joints.shape[1] - sum(anchor is not None for anchor in self.anchors)
        carried = joints[:, body:] - joints[:, [anchor for anchor in self.anchors if anchor is not None]]
        return torch.cat([joints[:, :body], carried], 1)

    def _squared_accelerations(self, feature: Tensor) -> Tensor:
        """[F - 2, N] per second^4."""
        change = (feature[2:] - 2.0 * feature[1:-1] + feature[:-2]) * self._fps**2
        return change.square().sum(2)


def _anchor(parents: Sequence[int], joint: int) -> int | None:
    """The joint of the body that carries a joint of hand or face; None for a joint of the body."""
    if joint < BODY_JOINTS.stop:
        return None
    while joint >= BODY_JOINTS.stop:
        joint = parents[joint]
    return joint
