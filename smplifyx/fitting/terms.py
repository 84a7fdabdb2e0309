"""The terms of the objective: energies of posed bodies with weights, stated as equations in docs/method.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

import torch
from torch import Tensor

from smplifyx.config import Config, Stage
from smplifyx.constants import constant
from smplifyx.errors import UsageError
from smplifyx.fitting.state import BodyState
from smplifyx.fitting.upright_stance import trunk_tilt_energy, upright_stance_energy
from smplifyx.lifting.lifter import lifting_energy
from smplifyx.priors import joint_limit_energy
from smplifyx.skeleton import (
    BODY_KEYPOINTS,
    CONTOUR_KEYPOINTS,
    FACE_KEYPOINTS,
    LEFT_HAND_KEYPOINTS,
    RIGHT_HAND_KEYPOINTS,
)

#: A weight in one stage: a number, or one for each component of an energy [B, C].
Weight = float | tuple[float, ...]
Energy = Callable[[BodyState], Tensor]


@dataclass(frozen=True)
class Term:
    """One term of the objective: it adds ``weight**2 * energy(state)`` to the loss of each hypothesis.

    Attributes:
        name: name in results and, for the default terms, in the settings.
        weight: for all stages, or one number for each stage; None: from the settings.
        energy: gives the energies [B] of posed bodies; or [B, C] with a weight for each component.
        requires: parameter groups of which a stage must move at least one, otherwise the term is left out; empty:
            the term is part of every stage.
    """

    name: str
    weight: float | Sequence[float] | None
    energy: Energy
    requires: tuple[str, ...] = ()

    def applies(self, groups: Collection[str]) -> bool:
        """True if the term depends on one of these parameter groups."""
        return not self.requires or any(group in groups for group in self.requires)


@dataclass(frozen=True)
class KeypointEnergy:
    """Confidence-weighted robust reprojection error of some keypoints (canonical indices)."""

    keypoints: tuple[int, ...]

    def __call__(self, state: BodyState) -> Tensor:
        """Energies [B]."""
        confidence = state.observed.confidence * self.mask(state.view.keypoints, state.joints)
        return (confidence.square()[..., None] * state.keypoint_errors).sum((1, 2))

    def mask(self, keypoints: Sequence[int], like: Tensor) -> Tensor:
        """[N] 1 for those of the given keypoints that are part of this energy, else 0."""
        chosen = set(self.keypoints)
        return constant(tuple(float(keypoint in chosen) for keypoint in keypoints), like)


BODY = KeypointEnergy(tuple(range(BODY_KEYPOINTS.start, BODY_KEYPOINTS.stop)))
HANDS = KeypointEnergy(tuple(range(LEFT_HAND_KEYPOINTS.start, RIGHT_HAND_KEYPOINTS.stop)))
FACE = KeypointEnergy(tuple(range(FACE_KEYPOINTS.start, CONTOUR_KEYPOINTS.stop)))


def pose_prior(state: BodyState) -> Tensor:
    """Energy [B] of the body-pose prior."""
    return state.view.parameters.prior.energy(state.parameters["body_pose"])


def joint_limits(state: BodyState) -> Tensor:
    """Energy [B] of elbows and knees that bend the wrong way."""
    assert state.inputs.body_pose is not None
    return joint_limit_energy(state.inputs.body_pose.rotations)


@dataclass(frozen=True)
class Squares:
    """Squares of some parameter groups, as far as a model has them.

    Attributes:
        groups: the groups.
        is_sum: False gives the squares of the one group [B, C] instead of their sum [B].
    """

    groups: tuple[str, ...]
    is_sum: bool = True

    def __call__(self, state: BodyState) -> Tensor:
        """Energies [B] or [B, C]."""
        squares = torch.cat([state.parameters[name] for name in self.groups if name in state.parameters], 1).square()
        return squares.sum(1) if self.is_sum else squares


def trunk_tilt(state: BodyState) -> Tensor:
    """Energy [B] of a trunk that leans in depth."""
    return trunk_tilt_energy(state.joints)


def upright_stance(state: BodyState) -> Tensor:
    """Energy [B] of trunk and legs of standing people that lean in depth."""
    return state.observed.upright_stance * upright_stance_energy(state.joints)


def lifting(state: BodyState) -> Tensor:
    """Energy [B] of body joints away from the lifted ones."""
    return lifting_energy(state.joints, state.observed.lifted, state.observed.sqrt_precision)


def collision_energy(state: BodyState) -> Tensor:
    """Energy [B] of self-collisions; the objective leaves the term out where they are not computed."""
    assert state.collision is not None and state.rows is not None
    return state.collision(state.bones, state.rows)


def depth_change(state: BodyState) -> Tensor:
    """Squared change [B] of the camera translation in depth, metres^2."""
    return (state.parameters["translation"][:, 2] * state.initial.translation[:, 2]).square()


#: Holds the depth at its initial value, in the camera stage alone.
CAMERA_DEPTH = Term("camera_depth", 100.0, depth_change)


def default_terms() -> list[Term]:
    """The terms of the objective after the camera stage; their weights come from the settings.

    A stage's setting has the name of its term; the weights of ``trunk_tilt`` and ``upright_stance`` are settings of
    the section ``objective``, that of ``lifting`` is ``lifting.weight``, and ``body_keypoints`` has the weight 1.
    """
    return [
        Term("body_keypoints", None, BODY, ("body_pose",)),
        Term("hand_keypoints", None, HANDS, ("left_hand", "right_hand")),
        Term("face_keypoints", None, FACE, ("expression", "jaw_pose", "leye_pose", "reye_pose")),
        Term("body_pose", None, pose_prior, ("body_pose",)),
        Term("joint_limits", None, joint_limits, ("body_pose",)),
        Term("neck_pose", None, Squares(("neck_pose",)), ("neck_pose",)),
        Term("shape", None, Squares(("betas",)), ("betas",)),
        Term("expression", None, Squares(("expression",)), ("expression",)),
        Term("hand_pose", None, Squares(("left_hand", "right_hand")), ("left_hand", "right_hand")),
        Term("jaw_pose", None, Squares(("jaw_pose",), is_sum=False), ("jaw_pose",)),
        Term("eye_pose", None, Squares(("leye_pose", "reye_pose")), ("leye_pose", "reye_pose")),
        Term("trunk_tilt", None, trunk_tilt, ("body_pose",)),
        Term("upright_stance", None, upright_stance, ("body_pose",)),
        Term("lifting", None, lifting, ("body_pose",)),
        Term("collision", None, collision_energy, ("body_pose",)),
    ]


def stage_weights(terms: Sequence[Term], config: Config) -> list[dict[str, Weight]]:
    """The weight of each term in each stage of a configuration.

    Raises:
        UsageError: two terms have the same name, a term has weights for another number of stages, or a term without
            a weight is unknown to the settings.
    """
    twice = [name for name, count in Counter(term.name for term in terms).items() if count > 1]
    if twice:
        raise UsageError(f"expected terms with different names, found {twice[0]!r} twice")
    return [{term.name: _weight(term, number, config) for term in terms} for number in range(len(config.stages))]


def _weight(term: Term, number: int, config: Config) -> Weight:
    weight = term.weight
    if weight is None:
        known = _weights_of_settings(config, config.stages[number])
        if term.name not in known:
            raise UsageError(f"term {term.name!r} has no weight; expected one, or a name of {', '.join(known)}")
        return known[term.name]
    if isinstance(weight, Sequence):
        if len(weight) != len(config.stages):
            raise UsageError(
                f"term {term.name!r} has {len(weight)} weights; expected one, or one for each of "
                f"{len(config.stages)} stages"
            )
        return float(weight[number])
    return float(weight)


def _weights_of_settings(config: Config, stage: Stage) -> Mapping[str, Weight]:
    return {
        "body_keypoints": 1.0,
        "hand_keypoints": stage.hand_keypoints,
        "face_keypoints": stage.face_keypoints,
        "body_pose": stage.body_pose,
        "joint_limits": stage.joint_limits,
        "neck_pose": stage.neck_pose,
        "shape": stage.shape,
        "expression": stage.expression,
        "hand_pose": stage.hand_pose,
        "jaw_pose": stage.jaw_pose,
        "eye_pose": stage.eye_pose,
        "trunk_tilt": config.objective.trunk_tilt,
        "upright_stance": config.objective.upright_stance,
        "lifting": config.lifting.weight if config.lifting.enabled else 0.0,
        "collision": stage.collision if config.collision.enabled else 0.0,
    }


#: Settings outside of the stages that hands and heads do not use.
_BODY_SETTINGS = (
    "priors.body_pose", "lifting.weight", "lifting.undo_swaps", "objective.trunk_tilt", "objective.upright_stance",
    "starts.headings", "starts.depth_flips", "starts.side_view_threshold",
)  # fmt: skip


def unused_settings(config: Config, groups: Collection[str]) -> list[str]:
    """Settings that differ from their defaults and have no effect on a body model.

    Args:
        config: the settings.
        groups: the parameter groups of the body model.
    """
    default, unused = Stage(), []
    if "body_pose" not in groups:
        unused = [name for name in _BODY_SETTINGS if attrgetter(name)(config) != attrgetter(name)(Config())]
    for term in default_terms():
        if hasattr(default, term.name) and not term.applies(groups):
            for number, stage in enumerate(config.stages, 1):
                if getattr(stage, term.name) != getattr(default, term.name):
                    unused.append(f"stages.{number}.{term.name}")
    return unused


def squared_weight(weight: Weight, like: Tensor) -> float | Tensor:
    """The factor of an energy: a number, or one [C] for each of its components."""
    if isinstance(weight, tuple):
        return torch.tensor(weight, dtype=like.dtype, device=like.device).square()
    return weight**2


def weighted(energy: Tensor, squared: float | Tensor) -> Tensor:
    """Loss [B] of an energy [B] or [B, C]."""
    return energy * squared if energy.ndim == 1 else (energy * squared).sum(1)


def is_zero(weight: Weight) -> bool:
    """True for a weight that switches its term off."""
    return not any(weight) if isinstance(weight, tuple) else weight == 0.0
