"""Classifiers of crops: our network, or an ONNX file that OpenCV runs."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from smplifyx.errors import InputError, reason
from smplifyx.gender.checkpoint import GenderCheckpoint
from smplifyx.gender.decision import DecisionRule
from smplifyx.gender.network import CLASSES, normalized

#: Side of the square picture of the paper's classifier, pixels.
PAPER_SIDE = 224


class ClassifierOutput(NamedTuple):
    """About crops.

    Attributes:
        probabilities: `[B, 2]` of male and female.
        foreignness: `[B]` distance to the training pictures; 0 where it is not known.
        foreign_probability: `[B]` of being foreign, in the network's own opinion; 0 where it has none.
    """

    probabilities: NDArray[np.float64]
    foreignness: NDArray[np.float64]
    foreign_probability: NDArray[np.float64]


class GenderClassifier(Protocol):
    """What can be asked about crops."""

    @property
    def side(self) -> int:
        """Side of the square crops, pixels."""

    @property
    def rule(self) -> DecisionRule:
        """When an answer counts."""

    def classify(self, crops: NDArray[np.uint8]) -> ClassifierOutput:
        """Answers for crops `[B, side, side, 3]`, blue first."""


class NetworkClassifier:
    """Our network.

    Args:
        checkpoint: the trained network.
        device: where it runs.
    """

    def __init__(self, checkpoint: GenderCheckpoint, device: torch.device | str = "cpu") -> None:
        self._device = torch.device(device)
        self._network = checkpoint.network.eval().to(self._device)
        self._known, self._settings = checkpoint.known, checkpoint.settings

    @property
    def side(self) -> int:
        """Side of the square crops, pixels."""
        return self._settings.side

    @property
    def rule(self) -> DecisionRule:
        """The threshold and the limits that were stored with the weights."""
        settings = self._settings
        return DecisionRule(settings.threshold, settings.foreign_limit, settings.foreign_probability_limit)

    @torch.inference_mode()
    def classify(self, crops: NDArray[np.uint8]) -> ClassifierOutput:
        """Answers for crops `[B, side, side, 3]`, blue first."""
        features = self._network.features(normalized(torch.as_tensor(crops, device=self._device)))
        logits = self._network.logits(features).double().cpu()
        probabilities = torch.softmax(logits / self._settings.temperature, 1)
        foreignness = foreign = torch.zeros(len(crops), dtype=torch.float64)
        if self._known is not None:
            foreignness = self._known.foreignness(features.cpu()).double()
        if self._network.foreign is not None:
            foreign = torch.sigmoid(self._network.foreign_logits(features).double().cpu())
        return ClassifierOutput(probabilities.numpy(), foreignness.numpy(), foreign.numpy())


class OnnxClassifier:
    """A classifier in an ONNX file.

    Its input is float32 `[B, 3, 224, 224]`: red, green, blue from 0 to 1 with ImageNet's mean taken off and divided
    by its spread. Its output is `[B, 2]`, male and female, as logits or as probabilities; rows of numbers from 0 to 1
    that add up to 1 are probabilities.

    Args:
        path: the file; OpenCV must know its operators.

    Raises:
        InputError: the file is unusable, or gives something else than two numbers a picture.
    """

    side = PAPER_SIDE
    rule = DecisionRule()

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InputError(path, "no such file; expected an ONNX file")
        self._path = path
        try:
            self._network = cv2.dnn.readNetFromONNX(str(path))
        except cv2.error as error:
            raise InputError(path, f"OpenCV cannot read it as ONNX: {error.err or reason(error)}") from error
        self.classify(np.zeros((1, self.side, self.side, 3), np.uint8))

    def classify(self, crops: NDArray[np.uint8]) -> ClassifierOutput:
        """Answers for crops `[B, 224, 224, 3]`, blue first."""
        # One by one, as many files are exported for a single picture.
        outputs = np.array([self._outputs(crop) for crop in crops]).reshape(-1, len(CLASSES))
        are_probabilities = (outputs >= 0).all(1) & (np.abs(outputs.sum(1) - 1.0) < 1e-4)
        powers = np.exp(outputs - outputs.max(1, keepdims=True, initial=-np.inf))
        softmax = powers / powers.sum(1, keepdims=True)
        return ClassifierOutput(np.where(are_probabilities[:, None], outputs, softmax), *np.zeros((2, len(crops))))

    def _outputs(self, crop: NDArray[np.uint8]) -> NDArray[np.float64]:
        try:
            self._network.setInput(normalized(torch.as_tensor(crop[None])).numpy())
            outputs = np.asarray(self._network.forward(), np.float64)
        except cv2.error as error:
            raise InputError(
                self._path, f"OpenCV cannot run it on 1 x 3 x 224 x 224: {error.err or reason(error)}"
            ) from error
        if outputs.size != len(CLASSES):
            raise InputError(self._path, f"its output has shape {outputs.shape}; expected 1 x 2, male and female")
        return outputs.reshape(-1)
