"""Classifiers of crops: our network, or an ONNX file that OpenCV runs."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from smplifyx.errors import InputError, reason
from smplifyx.gender.decision import CLASSES, DecisionRule
from smplifyx.gender.network import GenderCheckpoint, load_checkpoint, normalized, shipped_checkpoint

#: Side of the square picture of the paper's classifier, pixels.
PAPER_SIDE = 224


class ClassifierOutput(NamedTuple):
    """Output for a batch of crops.

    Attributes:
        probabilities: [B, 2] of male and female.
        distance: [B] of the features from those of the training pictures; 0 if unknown.
        out_of_distribution: [B] probability of being out of distribution; 0 without such an output.
    """

    probabilities: NDArray[np.float64]
    distance: NDArray[np.float64]
    out_of_distribution: NDArray[np.float64]


class GenderClassifier(Protocol):
    """A classifier of crops of people."""

    @property
    def side(self) -> int:
        """Side of the square crops, pixels."""

    @property
    def rule(self) -> DecisionRule:
        """Conditions of a verdict."""

    def classify(self, crops: NDArray[np.uint8]) -> ClassifierOutput:
        """Classify crops [B, side, side, 3], blue first."""


class NetworkClassifier:
    """A classifier trained by ``smplifyx train gender``.

    Args:
        checkpoint: the trained network.
        device: of the arithmetic.
    """

    def __init__(self, checkpoint: GenderCheckpoint, device: torch.device | str = "cpu") -> None:
        self._device = torch.device(device)
        self._network = checkpoint.network.eval().to(self._device)
        self._features, self._settings = checkpoint.features, checkpoint.settings

    @property
    def side(self) -> int:
        """Side of the square crops, pixels."""
        return self._settings.side

    @property
    def rule(self) -> DecisionRule:
        """Threshold and limits stored with the weights."""
        settings = self._settings
        return DecisionRule(settings.threshold, settings.distance_limit, settings.out_of_distribution_limit)

    @torch.inference_mode()
    def classify(self, crops: NDArray[np.uint8]) -> ClassifierOutput:
        """Classify crops [B, side, side, 3], blue first."""
        features = self._network.features(normalized(torch.as_tensor(crops, device=self._device)))
        logits = self._network.logits(features).double().cpu()
        probabilities = torch.softmax(logits / self._settings.temperature, 1)
        distance = out_of_distribution = torch.zeros(len(crops), dtype=torch.float64)
        if self._features is not None:
            distance = self._features.distance(features.cpu()).double()
        if self._network.out_of_distribution is not None:
            logits = self._network.out_of_distribution_logits(features).double().cpu()
            out_of_distribution = torch.sigmoid(logits)
        return ClassifierOutput(probabilities.numpy(), distance.numpy(), out_of_distribution.numpy())


class OnnxClassifier:
    """A classifier in an ONNX file.

    Its input is float32 [B, 3, 224, 224]: red, green, blue from 0 to 1, normalised with ImageNet's mean and standard
    deviation. Its output is [B, 2], male and female, as logits or as probabilities; rows of numbers from 0 to 1 with
    sum 1 are probabilities.

    Args:
        path: the file; OpenCV must know its operators.

    Raises:
        InputError: the file is unusable, or its output is not two numbers per picture.
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
        """Classify crops [B, 224, 224, 3], blue first."""
        # One by one, because many files are exported for a single picture.
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


def load_classifier(path: Path | None = None, device: torch.device | str = "cpu") -> GenderClassifier:
    """Load a classifier.

    Args:
        path: ``.onnx``, or a checkpoint of ``smplifyx train gender``; None: the one that ships with the package.
        device: of the arithmetic; ONNX files run on the CPU.

    Raises:
        InputError: the file is unusable.
    """
    if path is not None and path.suffix.lower() == ".onnx":
        return OnnxClassifier(path)
    return NetworkClassifier(load_checkpoint(path or shipped_checkpoint()), device)
