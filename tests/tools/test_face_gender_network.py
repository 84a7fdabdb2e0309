"""Conversion of the gender classifier of faces from TensorFlow.js weights."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from smplifyx.gender.face import FaceGenderNetwork, shipped_face_weights
from tools.face_gender_network import convert, network_state, original_probabilities, read_weights

#: Folder of the unpacked npm package (`npm pack @vladmandic/face-api@1.7.15`).
PACKAGE = os.environ.get("FACE_API_PACKAGE", "")
needs_package = pytest.mark.skipif(not PACKAGE, reason="FACE_API_PACKAGE does not name the unpacked npm package")


def test_quantised_and_plain_weights_are_read(tmp_path):
    manifest, content = tmp_path / "manifest.json", tmp_path / "weights.bin"
    entries = [
        {
            "name": "a",
            "shape": [2, 3],
            "dtype": "float32",
            "quantization": {"scale": 0.5, "min": -10, "dtype": "uint8"},
        },
        {"name": "b", "shape": [2], "dtype": "float32"},
    ]
    manifest.write_text(json.dumps([{"weights": entries}]))
    content.write_bytes(bytes([0, 1, 2, 3, 4, 255]) + np.array([1.5, -2.5], np.float32).tobytes())
    weights = read_weights(manifest, content)
    assert weights["a"].tolist() == [[-10.0, -9.5, -9.0], [-8.5, -8.0, 117.5]]
    assert weights["b"].tolist() == [1.5, -2.5]
    content.write_bytes(content.read_bytes() + b"more")
    with pytest.raises(ValueError, match=r"expected 14 bytes, found 18"):
        read_weights(manifest, content)


def test_every_parameter_has_its_array():
    """Arrays in the original's layout, made from a random network, give that network again."""
    network = FaceGenderNetwork()
    state = network.state_dict()

    class Original(dict):
        """Makes each array by its name, from the network's own parameter."""

        def __missing__(self, name):
            block, _, part = name.rpartition("/")
            blocks = {"entry_flow/reduction_block_0": 0, "entry_flow/reduction_block_1": 1}
            blocks |= {"middle_flow/main_block_0": 2, "middle_flow/main_block_1": 3, "exit_flow/reduction_block": 4}
            group, _, layer = block.rpartition("/")
            if name.startswith("fc/gender"):
                return state["gender.weight"].T if part == "weights" else state["gender.bias"]
            if block == "entry_flow/conv_in":
                prefix = "entry"
            elif block == "exit_flow/separable_conv":
                prefix = "exit"
            elif layer == "expansion_conv":
                prefix = f"blocks.{blocks[group]}.shortcut"
            else:
                prefix = f"blocks.{blocks[group]}.convolutions.{layer.removeprefix('separable_conv')}"
            if part == "depthwise_filter":
                return state[f"{prefix}.depthwise.weight"].permute(2, 3, 0, 1)
            pointwise = "" if prefix == "entry" or layer == "expansion_conv" else ".pointwise"
            if part == "bias":
                return state[f"{prefix}{pointwise}.bias"]
            return state[f"{prefix}{pointwise}.weight"].permute(2, 3, 1, 0)

        def __contains__(self, name):
            return "reduction_block" in name

    again = network_state(Original())
    assert {*again} == {*state}
    for name, value in state.items():
        assert torch.equal(again[name], value), name


@needs_package
def test_the_package_gives_the_shipped_file():
    assert convert(Path(PACKAGE)) == shipped_face_weights().read_bytes()


@needs_package
@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_original_gives_the_stored_answers():
    data = np.load(Path(__file__).parents[1] / "gender" / "data" / "faces.npz")
    answers = original_probabilities(Path(PACKAGE), data["faces"][:3])
    np.testing.assert_allclose(answers, data["probabilities"][:3], atol=1e-4)
