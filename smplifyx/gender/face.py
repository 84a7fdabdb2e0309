"""The square picture of a person's face, and the classifier of faces.

The face is searched near the keypoints of the head. Without the detector's runtime, the keypoints of the face
place it.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from smplifyx.detect.crops import Crop, FloatArray, Photo
from smplifyx.detect.faces import FaceFinder
from smplifyx.errors import InputError, UsageError, reason
from smplifyx.gender.classifier import ClassifierOutput
from smplifyx.gender.decision import DecisionRule
from smplifyx.gender.face_network import FACE_SIDE, FaceGenderNetwork
from smplifyx.keypoints import Observation
from smplifyx.skeleton import HEAD_KEYPOINT_NAMES, N_KEYPOINTS, WHOLE_FACE_KEYPOINTS, keypoint_index

#: Conditions of a verdict; docs/gender.md tells how threshold and least size were chosen.
FACE_RULE = DecisionRule(0.85)
#: Smallest longer side of a detected face, pixels.
MIN_FACE = 17.0
#: Side of the square picture, in longer sides of the detected face.
_MARGIN = 1.3
_HEAD = [keypoint_index(name) for name in HEAD_KEYPOINT_NAMES]
_SHOULDERS = [keypoint_index(name) for name in ("right_shoulder", "left_shoulder")]
_FACE = [*range(N_KEYPOINTS)[WHOLE_FACE_KEYPOINTS]]
_MIN_CONFIDENCE, _MIN_HEAD_POINTS, _MIN_FACE_POINTS = 0.2, 2, 40
#: Least width of a head, in distances of the shoulders.
_HEAD_BY_SHOULDERS = 0.25


@dataclass(frozen=True)
class Head:
    """The head's place by its keypoints: ``center`` [2] and ``width``, pixels."""

    center: FloatArray
    width: float

    @classmethod
    def of(cls, keypoints: NDArray[np.float32]) -> Head | str:
        """Return the head of canonical keypoints [135, 3], or the reason why no face can be searched."""
        head = keypoints[_HEAD]
        head = head[head[:, 2] > _MIN_CONFIDENCE, :2].astype(float)
        if len(head) < _MIN_HEAD_POINTS:
            return "not seen"
        width = float(np.ptp(head, axis=0).max())
        shoulders = keypoints[_SHOULDERS]
        if (shoulders[:, 2] > _MIN_CONFIDENCE).all():
            width = max(width, _HEAD_BY_SHOULDERS * float(np.hypot(*(shoulders[0, :2] - shoulders[1, :2]))))
        return cls(head.mean(0), width) if width > 1.0 else "too small"


class FaceLocator:
    """Places squares around faces, by the detector where its runtime is installed, else by keypoints of the face."""

    def __init__(self) -> None:
        self._finder: FaceFinder | None
        try:
            self._finder = FaceFinder()
        except UsageError:
            self._finder = None

    def __call__(self, photo: Photo, person: Observation) -> Crop | str:
        """Return the square around the face of a person, in the pixels of ``photo``, or why there is none.

        Args:
            photo: the photo, possibly decoded at a reduced size.
            person: a person of the photo.
        """
        factor = photo.size[0] / person.image_size[0]
        if self._finder is None:
            center, side = _face_by_keypoints(person.keypoints)
            center, side = center * factor, side * factor
        else:
            head = Head.of(person.keypoints)
            if isinstance(head, str):
                return head
            found = self._finder(photo, head.center * factor, head.width * factor)
            center, side = (np.zeros(2), 0.0) if found is None else (found.center, float(found.size.max()))
        if not side:
            return "not seen"
        if side < MIN_FACE * factor:
            return f"too small: {side / factor:.0f} pixels"
        return Crop((float(center[0]), float(center[1])), _MARGIN * side)


def _face_by_keypoints(keypoints: NDArray[np.float32]) -> tuple[FloatArray, float]:
    """Center [2] and side of the face in pixels; a side of 0 where too few of its points are seen.

    The box of the points is as large as the detector's, within 2 % of its side, and lies 4 % lower (medians of 20
    photos).
    """
    face = keypoints[_FACE]
    face = face[face[:, 2] > _MIN_CONFIDENCE, :2].astype(float)
    if len(face) < _MIN_FACE_POINTS:
        return np.zeros(2), 0.0
    low, high = face.min(0), face.max(0)
    return (low + high) / 2, float((high - low).max())


def shipped_face_weights() -> Path:
    """Return the path of the weights of faces that ship with the package."""
    return Path(str(resources.files("smplifyx") / "data" / "gender" / "face.safetensors"))


def load_face_network(path: Path) -> FaceGenderNetwork:
    """Read the weights of a network of faces.

    Raises:
        InputError: there is no such file, or it is damaged or holds something else.
    """
    network = FaceGenderNetwork()
    try:
        network.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    except (SafetensorError, OSError, RuntimeError) as error:
        raise InputError(path, f"expected the weights of the gender classifier of faces; {reason(error)}") from error
    return network.eval()


class FaceClassifier:
    """The shipped classifier of faces.

    Args:
        device: of the arithmetic.

    Raises:
        InputError: the weights are damaged.
    """

    side, rule = FACE_SIDE, FACE_RULE

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._device = torch.device(device)
        self._network = load_face_network(shipped_face_weights()).to(self._device)

    @torch.inference_mode()
    def classify(self, crops: NDArray[np.uint8]) -> ClassifierOutput:
        """Classify faces [B, 112, 112, 3], blue first; each together with its mirror image."""
        red_first = np.ascontiguousarray(crops[..., ::-1])
        faces = torch.as_tensor(red_first, device=self._device).permute(0, 3, 1, 2).float()
        logits = (self._network(faces) + self._network(faces.flip(3))) / 2
        probabilities = torch.softmax(logits.double().cpu(), 1).numpy()
        return ClassifierOutput(probabilities, *np.zeros((2, len(crops))))
