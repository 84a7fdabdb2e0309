"""Fitted people as motions in one scene: metres, y up, z towards the viewer, the photo's camera in the origin."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from smplifyx.body.body import Body
from smplifyx.body.data import BodyModelData
from smplifyx.body.model import articulate
from smplifyx.camera import TURN_ABOUT_X
from smplifyx.errors import InputError
from smplifyx.result import FitResult
from smplifyx.rotations import axis_angle_to_matrix

#: Frames that are posed at a time; bounds the memory.
_CHUNK = 16
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class PersonKey:
    """A person of a photo: ``number`` counts from 0; ``side`` is that of a hand that was fitted alone, or empty."""

    number: int
    side: str = ""

    @property
    def file_name(self) -> str:
        """Name without suffix, as in the output of a fit: ``000``, ``000_left``."""
        return f"{self.number:03d}" + (f"_{self.side}" if self.side else "")

    @property
    def node_name(self) -> str:
        """Name in a scene: ``person_0``, ``person_0_left_hand``."""
        return f"person_{self.number}" + (f"_{self.side}_hand" if self.side else "")


@dataclass(frozen=True)
class Motion:
    """One person in T frames with one shape; a photo is a motion of one frame.

    Attributes:
        key: the person.
        results: the fit of each frame.
        frames: number of each frame [T], ascending; frames without the person are left out.
    """

    key: PersonKey
    results: tuple[FitResult, ...]
    frames: tuple[int, ...]

    def __post_init__(self) -> None:
        bodies = {(one.model_type, one.model_name, one.gender) for one in self.results}
        if len(bodies) != 1:
            found = " and ".join(sorted(" ".join(body) for body in bodies)) or "no result"
            raise InputError(
                None, f"expected one body model in all frames, found {found}; fit with --gender", self.key.node_name
            )

    @property
    def first(self) -> FitResult:
        """The fit of the first frame."""
        return self.results[0]

    @property
    def body(self) -> Body:
        """The body model."""
        return self.first.body()

    @property
    def data(self) -> BodyModelData:
        """The arrays of the body model."""
        return self.body.data

    @cached_property
    def betas(self) -> np.ndarray:
        """The shape [S] of all frames: the median of their fits."""
        return np.median([one.betas for one in self.results], axis=0).astype(np.float32)

    @cached_property
    def expressions(self) -> np.ndarray:
        """Expression coefficients [T, E]; E is 0 for bodies without a face."""
        return np.stack([one.expression for one in self.results])

    @cached_property
    def rest_joints(self) -> np.ndarray:
        """Joints [J, 3] in T-pose, with the shape and the mean expression of the motion."""
        return self._rest_joints(self.betas, self.expressions.mean(axis=0))

    @cached_property
    def template(self) -> np.ndarray:
        """Vertices [V, 3] in T-pose, with the shape of the motion and a neutral face."""
        return self._shaped(np.zeros((1, self.expressions.shape[1]), np.float32))[:, 0].numpy().reshape(-1, 3)

    @cached_property
    def rotations(self) -> np.ndarray:
        """Rotation of each joint relative to its parent [T, J, 3, 3]; that of the root is in the scene."""
        poses = torch.as_tensor(np.stack([one.full_pose for one in self.results]), dtype=torch.float64)
        rotations = axis_angle_to_matrix(poses).numpy()
        rotations[:, 0] = TURN_ABOUT_X[:, None] * rotations[:, 0]
        return rotations

    @cached_property
    def root_positions(self) -> np.ndarray:
        """Positions of the root joint in the scene [T, 3], as fitted."""
        roots = [self._rest_joints(one.betas, one.expression)[0] + one.camera_translation for one in self.results]
        return np.stack(roots) * TURN_ABOUT_X

    @cached_property
    def joints(self) -> np.ndarray:
        """Joints in the scene [T, J, 3], each frame with its own shape, as fitted."""
        return np.stack([one.joints for one in self.results]) * TURN_ABOUT_X

    def fitted_vertices(self, frame: int) -> np.ndarray:
        """Vertices [V, 3] in the scene, exactly as fitted."""
        return self.results[frame].vertices * TURN_ABOUT_X

    def pose_features(self) -> Tensor:
        """Coefficients [T, R] of the body model's pose blend shapes."""
        model = self.body.model
        turned = torch.as_tensor(self.rotations[:, 1:], dtype=model.template.dtype)
        features = (turned - torch.eye(3, dtype=turned.dtype)).flatten(1)
        return features if model.pose_projection is None else features @ model.pose_projection

    def posed(
        self, frames: Sequence[int], weights: Tensor | None = None, offsets: Tensor | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Pose the shape of the motion by its skin, without pose correctives of its own.

        Args:
            frames: positions in ``frames`` [N].
            weights: skinning weights [V, J]; None for those of the body model.
            offsets: added to the vertices at rest [N, 3 V], metres.

        Returns:
            Joints [N, J, 3] and vertices [N, V, 3] in the scene.
        """
        model = self.body.model
        weights = model.skinning_weights if weights is None else weights
        rest = torch.as_tensor(self.rest_joints)
        joints, vertices = [], []
        for start in range(0, len(frames), _CHUNK):
            rows = list(frames[start : start + _CHUNK])
            shaped = self._shaped(self.expressions[rows])
            if offsets is not None:
                shaped = shaped + offsets[start : start + _CHUNK].T
            rotations = torch.as_tensor(self.rotations[rows], dtype=shaped.dtype)
            posed = articulate(model.tree, weights, rotations, rest.expand(len(rows), -1, -1), shaped)
            shift = torch.as_tensor(self.root_positions[rows], dtype=shaped.dtype) - rest[0]
            joints.append((posed.joints + shift[:, None]).numpy())
            vertices.append((posed.vertices + shift[:, None]).numpy())
        return np.concatenate(joints), np.concatenate(vertices)

    def joint_transforms(self, rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """World rotations [N, J, 3, 3] and translations [N, J, 3] that take points at rest to the given pose.

        Args:
            rotations: of each joint relative to its parent [N, J, 3, 3]. The root stays where it is at rest.
        """
        model = self.body.model
        local, rest = torch.as_tensor(rotations, dtype=torch.float32), torch.as_tensor(self.rest_joints)
        nothing = rest.new_zeros(0, len(rotations))
        posed = articulate(
            model.tree, model.skinning_weights[:0], local, rest.expand(len(rotations), -1, -1), nothing
        )
        world = posed.rotations.numpy()
        return world, posed.joints.numpy() - np.einsum("njab,jb->nja", world, self.rest_joints)

    def _rest_joints(self, betas: np.ndarray, expression: np.ndarray) -> np.ndarray:
        coefficients = (torch.as_tensor(betas)[None], torch.as_tensor(expression)[None])
        return self.body.model.rest_joints(*coefficients)[0].numpy()

    def _shaped(self, expressions: np.ndarray) -> Tensor:
        """Vertices at rest [3 V, N] for expressions [N, E]."""
        betas = torch.as_tensor(self.betas).expand(len(expressions), -1)
        coefficients = torch.cat([betas, torch.as_tensor(expressions)], 1)
        model = self.body.model
        return torch.addmm(model.template[:, None], model.blend_shapes.T, coefficients.T)


def motions_of_frames(frames: Iterable[dict[PersonKey, FitResult]]) -> list[Motion]:
    """Join the people of consecutive frames by their numbers.

    Raises:
        InputError: a person changes the body model.
    """
    tracks: dict[PersonKey, list[tuple[int, FitResult]]] = {}
    for number, people in enumerate(frames):
        for key, result in people.items():
            tracks.setdefault(key, []).append((number, result))
    motions = []
    for key in sorted(tracks, key=lambda one: (one.number, one.side)):
        numbers, results = zip(*tracks[key], strict=True)
        motions.append(Motion(key, results, numbers))
    return motions


def natural_order(name: str) -> list[tuple[int, int, str]]:
    """Sort key of names in which numbers count as numbers: ``frame_9`` comes before ``frame_10``."""
    parts = _DIGITS.split(name)
    return [(1, int(part), part) if part.isdigit() else (0, 0, part) for part in parts]
