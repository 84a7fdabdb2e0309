"""The classifier of faces: its network and the square picture of a person's face.

The network distinguishes men and women by Xception blocks (Chollet 2017), 112 x 112 pixels. The weights are face-
api's (docs/gender.md); ``tools/face_gender_network.py`` converts them. The face is searched near the keypoints of
the head. Without the detector's runtime, the keypoints of the face place it.
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
from torch import Tensor, nn
from torch.nn import functional

from smplifyx.detect.crops import Crop, FloatArray, Photo
from smplifyx.detect.faces import FaceFinder
from smplifyx.errors import InputError, UsageError, reason
from smplifyx.gender.classifier import ClassifierOutput
from smplifyx.gender.decision import DecisionRule
from smplifyx.keypoints import Observation
from smplifyx.skeleton import HEAD_KEYPOINT_NAMES, N_KEYPOINTS, WHOLE_FACE_KEYPOINTS, keypoint_index

#: Side of the square picture of a face, pixels.
FACE_SIDE = 112
#: Mean colour (red, green, blue) of the pictures that the network was trained on.
_MEAN = (122.782, 117.001, 104.298)
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


class _SeparableConvolution(nn.Module):
    """One filter for each channel, then a mix of the channels."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(n_in, n_in, 3, padding=1, groups=n_in, bias=False)
        self.pointwise = nn.Conv2d(n_in, n_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.pointwise(self.depthwise(x))
        return mixed


class _Block(nn.Module):
    """Separable convolutions and a shortcut around them; ``shrink`` halves the picture."""

    def __init__(self, n_in: int, n_out: int, depth: int, shrink: bool, first: bool = False) -> None:
        super().__init__()
        sizes = [n_in] + [n_out] * depth
        self.convolutions = nn.ModuleList(map(_SeparableConvolution, sizes[:-1], sizes[1:]))
        self.shortcut = nn.Conv2d(n_in, n_out, 1, stride=2) if shrink else None
        self._first = first

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for number, convolution in enumerate(self.convolutions):
            y = convolution(y if self._first and number == 0 else y.relu())
        if self.shortcut is None:
            return x + y
        shrunk: Tensor = functional.max_pool2d(_padded(y, -torch.inf), 3, 2) + self.shortcut(x)
        return shrunk


class FaceGenderNetwork(nn.Module):
    """Logits of male and female for pictures of faces."""

    def __init__(self) -> None:
        super().__init__()
        self.entry = nn.Conv2d(3, 32, 3, stride=2)
        self.blocks = nn.Sequential(
            _Block(32, 64, 2, shrink=True, first=True),
            _Block(64, 128, 2, shrink=True),
            _Block(128, 128, 3, shrink=False),
            _Block(128, 128, 3, shrink=False),
            _Block(128, 256, 2, shrink=True),
        )
        self.exit = _SeparableConvolution(256, 512)
        self.gender = nn.Linear(512, 2)

    def forward(self, faces: Tensor) -> Tensor:
        """Logits [B, 2] of male and female.

        Args:
            faces: [B, 3, 112, 112] RGB, 0..255.
        """
        x = (faces - faces.new_tensor(_MEAN)[:, None, None]) / 255.0
        x = self.exit(self.blocks(self.entry(_padded(x, 0.0)).relu())).relu()
        logits: Tensor = self.gender(x.mean((2, 3)))
        return logits


def _padded(x: Tensor, value: float) -> Tensor:
    """Pad a row below and a column to the right, as TensorFlow does for a stride of two and even sizes."""
    return functional.pad(x, (0, 1, 0, 1), value=value)


#: Conditions of a verdict; docs/gender.md describes how threshold and least size were chosen.
FACE_RULE = DecisionRule(0.85)


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
    """Place squares around faces, by the detector where its runtime is installed, else by keypoints of the face."""

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
