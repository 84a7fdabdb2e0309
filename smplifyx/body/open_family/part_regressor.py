"""Joints of a part as weighted means of the part's own surface points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smplifyx.body.data import FloatArray
from smplifyx.body.open_body.joint_regressor import RegressionTargets, fit_row

#: Surface points, nearest first, that may take part.
_N_NEAREST = 400
#: Standard deviations of the expressions that the joints must follow too.
_EXPRESSION_STRENGTH = 10.0


@dataclass(frozen=True)
class BodyPart:
    """The part of the whole body that the regressor belongs to (E expressions).

    Attributes:
        template: [N, 3] its mean shape, metres.
        joints: [J, 3] the body's joints for the mean shape, which the regressor meets exactly.
        expressions: [E, N, 3] displacements of the vertices.
        joint_expressions: [E, J, 3] displacements of the body's joints.
    """

    template: FloatArray
    joints: FloatArray
    expressions: FloatArray
    joint_expressions: FloatArray

    def expressive_faces(self) -> RegressionTargets:
        """The mean shape with strong expressions, one at a time."""
        strengths = np.array([_EXPRESSION_STRENGTH, -_EXPRESSION_STRENGTH])[:, None, None, None]
        vertices = self.template + strengths * self.expressions
        joints = self.joints + strengths * self.joint_expressions
        return RegressionTargets(vertices.reshape(-1, *self.template.shape), joints.reshape(-1, *self.joints.shape))


def fit_part_regressor(people: RegressionTargets, part: BodyPart) -> FloatArray:
    """[J, N] rows that sum to one, follow the joints of people, and meet those of the mean shape exactly.

    Non-negative shares are fitted to people first; the least change that meets the mean shape's joints may then make
    some of them slightly negative.

    Args:
        people: parts of people, vertices [P, N, 3] and joints [P, J, 3].
        part: the body's own.
    """
    faces = part.expressive_faces()
    regressor = np.zeros((len(part.joints), len(part.template)))
    for joint, (row, location) in enumerate(zip(regressor, part.joints, strict=True)):
        distances = np.linalg.norm(part.template - location, axis=1)
        near = np.argsort(distances, kind="stable")[:_N_NEAREST]
        vertices = np.concatenate([people.vertices[:, near], faces.vertices[:, near]]).astype(np.float64)
        targets = np.concatenate([people.joints[:, joint], faces.joints[:, joint]])
        row[near] = fit_row(vertices, targets, distances[near])
        # Spread over all points near by, the change is small for each of them.
        system = np.concatenate([part.template[near].T, np.ones((1, len(near)))])
        row[near] += np.linalg.pinv(system) @ (np.append(location, 1.0) - system @ row[near])
    return regressor
