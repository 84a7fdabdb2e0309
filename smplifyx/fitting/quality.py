"""Expected error of a fit, predicted from the fit itself: residuals, invisible parts, competing poses, depth.

The predictor is a linear model of the logarithm of the error, trained on synthetic people. It ranks fits by their
quality; its millimetres hold for people like the synthetic ones.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smplifyx import skeleton
from smplifyx.errors import InputError, reason
from smplifyx.result import FitResult
from smplifyx.skeleton import BODY_KEYPOINT_NAMES, LEFT_HAND_KEYPOINTS, RIGHT_HAND_KEYPOINTS

FloatArray = NDArray[np.float64]

_PARTS = {
    "head": [
        i for i, name in enumerate(BODY_KEYPOINT_NAMES) if name.split("_")[-1] in ("nose", "eye", "ear", "neck")
    ],
    "arms": [
        i for i, name in enumerate(BODY_KEYPOINT_NAMES) if name.split("_")[-1] in ("shoulder", "elbow", "wrist")
    ],
    "legs": [i for i, name in enumerate(BODY_KEYPOINT_NAMES) if name.split("_")[-1] in ("hip", "knee", "ankle")],
    "hands": [*range(LEFT_HAND_KEYPOINTS.start, RIGHT_HAND_KEYPOINTS.stop)],
}
_LIMBS = {
    "trunk": (("pelvis", "neck"),),
    "arms": tuple(
        (f"{side}_{a}", f"{side}_{b}")
        for side in ("left", "right")
        for a, b in (("shoulder", "elbow"), ("elbow", "wrist"))
    ),
    "legs": tuple(
        (f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in (("hip", "knee"), ("knee", "ankle"))
    ),
}
_LIMB_JOINTS = {
    name: np.array([[skeleton.joint_index(a), skeleton.joint_index(b)] for a, b in bones])
    for name, bones in _LIMBS.items()
}
#: Typical residual of a good fit, relative to the person's size.
_GOOD_RESIDUAL = 0.01
#: Typical standard deviation of a well-determined depth (metres).
_GOOD_DEPTH = 0.05


@dataclass(frozen=True)
class QualityFeatures:
    """Quantities of a fit that its result does not hold.

    Attributes:
        size: of the person in the picture, pixels.
        pose_energy: of the body-pose prior.
        spread: see :class:`~smplifyx.fitting.hypotheses.Ambiguity`, metres.
        gap: likewise, 0 to 1.
        depth_sd: mean standard deviation of the lifted joints (metres); 0 without lifting.
        depth_energy: squared Mahalanobis distance of the fitted joints from the lifted ones.
    """

    size: float
    pose_energy: float
    spread: float
    gap: float
    depth_sd: float = 0.0
    depth_energy: float = 0.0


def quality_features(result: FitResult, inputs: QualityFeatures) -> dict[str, float]:
    """The inputs of the predictor by name; all finite for a finite fit."""
    features: dict[str, float] = {}
    seen = (result.keypoints_2d[:, 2] > 0) & np.isfinite(result.projected_keypoints_2d).all(1)
    distance = np.linalg.norm(result.keypoints_2d[:, :2] - result.projected_keypoints_2d, axis=1) / inputs.size
    for part, keypoints in _PARTS.items():
        visible = np.array([i for i in keypoints if seen[i]], dtype=int)
        features[f"residual_{part}"] = (
            float(np.log1p(distance[visible].mean() / _GOOD_RESIDUAL)) if len(visible) else 0
        )
        features[f"unseen_{part}"] = 1.0 - len(visible) / len(keypoints)
    for limb, joints in _LIMB_JOINTS.items():
        bones = result.joints[joints[:, 1]] - result.joints[joints[:, 0]]
        tilt = np.abs(bones[:, 2]) / np.maximum(np.linalg.norm(bones, axis=1), 1e-9)
        features[f"depth_{limb}"] = float(tilt.mean())
        if len(tilt) > 1:
            features[f"most_depth_{limb}"] = float(tilt.max())
    features["nearness"] = float(inputs.size / max(result.focal_length.mean(), 1.0))
    features["pose_energy"] = float(np.log1p(inputs.pose_energy))
    features["shape_energy"] = float(np.log1p(np.square(result.betas).sum()))
    features["spread"] = float(np.log1p(inputs.spread / 0.02))
    features["gap"] = inputs.gap
    features["depth_sd"] = float(np.log1p(inputs.depth_sd / _GOOD_DEPTH))
    features["depth_energy"] = float(np.log1p(inputs.depth_energy))
    return features


@dataclass(frozen=True)
class ErrorPredictor:
    """A linear model of the logarithm of the error.

    Attributes:
        weights: by feature, for the feature as it is.
        intercept: logarithm of the error (millimetres) where all features are 0.
    """

    weights: dict[str, float]
    intercept: float

    def expected_error(self, features: dict[str, float]) -> float:
        """Expected vertex error after similarity alignment, millimetres."""
        exponent = self.intercept + sum(weight * features[name] for name, weight in self.weights.items())
        return float(np.exp(np.clip(exponent, 0.0, 8.0)))


@functools.cache
def shipped_error_predictor() -> ErrorPredictor:
    """The model that ships with the package."""
    return load_error_predictor(Path(str(resources.files("smplifyx") / "data" / "error_predictor.json")))


def load_error_predictor(path: Path) -> ErrorPredictor:
    """Read a model.

    Raises:
        InputError: the file is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return ErrorPredictor({str(k): float(v) for k, v in content["weights"].items()}, float(content["intercept"]))
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise InputError(path, f"not a model of the expected error: {reason(error)}") from error
