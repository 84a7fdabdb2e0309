"""Convert the gender classifier of faces anew from its public package and compare it with the shipped one.

    python -m tools.face_gender_network --output face.safetensors

Needs npm. With --faces FILE.npz (``faces``, uint8 [N, 112, 112, 3], red first), the original network classifies these
faces too, in node, and FILE.npz gets its answers: the test data of tests/gender.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from smplifyx.files import write_bytes
from smplifyx.gender.face import FaceGenderNetwork, shipped_face_weights
from tools.detector_networks import unpack_npm

PACKAGE = "@vladmandic/face-api@1.7.15"
_METADATA = {"source": f"npm {PACKAGE}, model/age_gender_model.bin; MIT License, Copyright (c) Vladimir Mandic"}
#: Blocks by their names in the original, with their numbers of convolutions.
_BLOCKS = (
    ("entry_flow/reduction_block_0", 2), ("entry_flow/reduction_block_1", 2), ("middle_flow/main_block_0", 3),
    ("middle_flow/main_block_1", 3), ("exit_flow/reduction_block", 2),
)  # fmt: skip
_WITNESS = Path(__file__).with_suffix(".cjs")


def read_weights(manifest: Path, content: Path) -> dict[str, Tensor]:
    """Read arrays by name from TensorFlow.js weights, quantised ones as float32.

    Args:
        manifest: JSON with the arrays' names, shapes and scales.
        content: the arrays' bytes, one after the other.
    """
    weights, data, start = {}, content.read_bytes(), 0
    entries: list[dict[str, Any]] = json.loads(manifest.read_text(encoding="utf-8"))[0]["weights"]
    for entry in entries:
        n, scale = int(np.prod(entry["shape"])), entry.get("quantization")
        kind = np.dtype(np.uint8 if scale else np.float32)
        values = np.frombuffer(data, kind, n, start).astype(np.float32)
        if scale:
            values = values * np.float32(scale["scale"]) + np.float32(scale["min"])
        start += n * kind.itemsize
        weights[entry["name"]] = torch.from_numpy(values.reshape(entry["shape"]))
    if start != len(data):
        raise ValueError(f"{content}: expected {start} bytes, found {len(data)}")
    return weights


def network_state(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state of :class:`FaceGenderNetwork` from the original's arrays, filters [height, width, in, out]."""
    state: dict[str, Tensor] = {}

    def convolution(target: str, source: str) -> None:
        state[f"{target}.weight"] = weights[f"{source}/filters"].permute(3, 2, 0, 1)
        state[f"{target}.bias"] = weights[f"{source}/bias"]

    def separable(target: str, source: str) -> None:
        state[f"{target}.depthwise.weight"] = weights[f"{source}/depthwise_filter"].permute(2, 3, 0, 1)
        state[f"{target}.pointwise.weight"] = weights[f"{source}/pointwise_filter"].permute(3, 2, 0, 1)
        state[f"{target}.pointwise.bias"] = weights[f"{source}/bias"]

    convolution("entry", "entry_flow/conv_in")
    for number, (source, depth) in enumerate(_BLOCKS):
        for layer in range(depth):
            separable(f"blocks.{number}.convolutions.{layer}", f"{source}/separable_conv{layer}")
        if f"{source}/expansion_conv/filters" in weights:
            convolution(f"blocks.{number}.shortcut", f"{source}/expansion_conv")
    separable("exit", "exit_flow/separable_conv")
    state["gender.weight"], state["gender.bias"] = weights["fc/gender/weights"].T, weights["fc/gender/bias"]
    return state


def convert(package: Path) -> bytes:
    """Return the shipped file from the unpacked package: the gender part of its network, in half precision."""
    model = package / "model"
    weights = read_weights(model / "age_gender_model-weights_manifest.json", model / "age_gender_model.bin")
    network = FaceGenderNetwork()
    network.load_state_dict(network_state(weights))
    return save({name: value.half().contiguous() for name, value in network.state_dict().items()}, _METADATA)


def original_probabilities(package: Path, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Classify faces [N, 112, 112, 3], red first, with the package's own code in node; returns [N, 2]."""
    with tempfile.TemporaryDirectory() as scratch:
        pictures, answers = Path(scratch) / "faces.bin", Path(scratch) / "answers.json"
        pictures.write_bytes(np.ascontiguousarray(faces).tobytes())
        subprocess.run(
            ["node", str(_WITNESS), str(package), str(pictures), str(answers)], check=True, stderr=subprocess.DEVNULL
        )
        return np.array(json.loads(answers.read_text()), np.float32)


def main() -> int:
    """Write the network and say whether it equals the shipped one; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--package", type=Path, help="folder of the unpacked package (default: from npm)")
    parser.add_argument("--faces", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        package = arguments.package or unpack_npm(PACKAGE, Path(scratch))
        content = convert(package)
        if arguments.faces is not None:
            faces = np.load(arguments.faces)["faces"]
            np.savez_compressed(arguments.faces, faces=faces, probabilities=original_probabilities(package, faces))
    shipped = shipped_face_weights()
    same = shipped.is_file() and shipped.read_bytes() == content
    write_bytes(arguments.output, content)
    print(f"{arguments.output}: {'same' if same else 'different'}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
