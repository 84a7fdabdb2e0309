"""Classifiers: our network against a plain evaluation, ONNX files against their formula."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from smplifyx.errors import InputError
from smplifyx.gender import GenderCheckpoint, GenderNetwork, NetworkClassifier, OnnxClassifier
from smplifyx.gender.network import normalized

DATA = Path(__file__).parent / "data"
#: What the files mean_colour_*.onnx compute from the mean of each channel.
WEIGHT, BIAS = np.array([[1.5, -0.5, 0.25], [-1.0, 2.0, 0.5]]), np.array([0.1, -0.2])


@pytest.fixture
def crops():
    def make(side):
        return np.random.default_rng(0).integers(0, 256, (3, side, side, 3), dtype=np.uint8) // np.uint8([1, 2, 3])

    return make


def test_probabilities_are_tempered_and_the_distance_is_computed(checkpoint, crops):
    classifier = NetworkClassifier(checkpoint)
    outputs = classifier.classify(crops(classifier.side))
    with torch.no_grad():
        features = checkpoint.network.features(normalized(torch.as_tensor(crops(64))))
        expected = torch.softmax(checkpoint.network.logits(features) / 1.5, 1)
    np.testing.assert_allclose(outputs.probabilities, expected, atol=1e-5)
    np.testing.assert_allclose(outputs.distance, checkpoint.features.distance(features), rtol=1e-4)
    assert classifier.rule.threshold == 0.8
    assert classifier.rule.distance_limit == 3.0


def test_the_out_of_distribution_output_is_a_probability(checkpoint, crops):
    network = GenderNetwork(4, detects_out_of_distribution=True).eval()
    settings = replace(checkpoint.settings, out_of_distribution_limit=0.25)
    classifier = NetworkClassifier(GenderCheckpoint(network, settings))
    with torch.no_grad():
        features = network.features(normalized(torch.as_tensor(crops(64))))
        expected = torch.sigmoid(features @ network.out_of_distribution.weight[0] + network.out_of_distribution.bias)
    outputs = classifier.classify(crops(64))
    np.testing.assert_allclose(outputs.out_of_distribution, expected, atol=1e-5)
    assert not outputs.distance.any()
    assert classifier.rule.out_of_distribution_limit == 0.25
    assert not NetworkClassifier(checkpoint).classify(crops(64)).out_of_distribution.any()
    with pytest.raises(ValueError, match="no out-of-distribution output"):
        checkpoint.network.out_of_distribution_logits(features)


def test_outputs_do_not_depend_on_the_batch(checkpoint, crops):
    classifier = NetworkClassifier(checkpoint)
    together = classifier.classify(crops(64))
    alone = [classifier.classify(crop[None]) for crop in crops(64)]
    np.testing.assert_allclose(
        together.probabilities, np.concatenate([one.probabilities for one in alone]), atol=1e-5
    )


@pytest.mark.parametrize("output", ["logits", "probabilities"])
def test_an_onnx_file_gives_probabilities_whatever_its_output(crops, output):
    classifier = OnnxClassifier(DATA / f"mean_colour_{output}.onnx")
    means = normalized(torch.as_tensor(crops(224))).mean((2, 3)).numpy()
    powers = np.exp(means @ WEIGHT.T + BIAS)
    outputs = classifier.classify(crops(224))
    np.testing.assert_allclose(outputs.probabilities, powers / powers.sum(1, keepdims=True), atol=1e-5)
    assert not outputs.distance.any()
    assert classifier.rule.threshold == 0.9


def test_other_onnx_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        OnnxClassifier(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(InputError, match=r"text\.onnx") as raised:
        OnnxClassifier(tmp_path / "text.onnx")
    assert ".cpp" not in str(raised.value)  # where in OpenCV's source it failed helps no user
    with pytest.raises(InputError, match="expected 1 x 2"):
        OnnxClassifier(DATA / "three_outputs.onnx")
