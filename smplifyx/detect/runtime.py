"""Runtime of the shipped networks. The only module that knows which library does it."""

from __future__ import annotations

import hashlib
import importlib
import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smplifyx.errors import InputError, UsageError
from smplifyx.files import silent_stderr

#: Folder of the networks in the package.
NETWORKS = Path(__file__).resolve().parent.parent / "data" / "detector"
#: sha256 of each network file; docs/detection.md says where they come from.
SHA256 = {
    "face_detection_short_range": "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
    "face_landmark": "c603fa6149219a3e9487dc9abd7a0c24474c77263273d24868378cdf40aa26d1",
    "hand_landmark_full": "8c026882c9ec059ce0f8e75266bee5a9a23c341a40e0000df755374d3d1b9b68",
    "hand_recrop": "67d996ce96f9d36fe17d2693022c6da93168026ab2f028f9e2365398d8ac7d5d",
    "movenet_multipose_512_fp16": "142110be1d8e61e412b0e4906ef8f8d414e28e69d28df6d400c7b993f9c0e224",
    "palm_detection_full": "2f25e740121983f68ffc05f99991d524dc0ea812134f6316a26125816941ee85",
    "pose_detection": "a63c614bef30d35947f13be361820b1e4e3bec9cfeebf4d11216a18373108e85",
    "pose_landmark_full": "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    "pose_landmark_heavy": "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe",
}

FloatArray = NDArray[np.floating[Any]]


class Network:
    """One shipped network: an image in, its outputs by name out.

    Args:
        name: file name in :data:`NETWORKS`, without ending.
        threads: processor threads that one call uses.

    Raises:
        UsageError: the runtime is not installed.
        InputError: the file is missing or is not the one that was shipped.
    """

    def __init__(self, name: str, threads: int = 1) -> None:
        interpreter = _interpreter_class()
        path = NETWORKS / f"{name}.tflite"
        _check(path, SHA256[name])
        with silent_stderr():
            # A path lets the runtime map the file into memory instead of copying it.
            self._interpreter = interpreter(model_path=str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        (self._input,) = self._interpreter.get_input_details()
        self._outputs = {output["name"]: output["index"] for output in self._interpreter.get_output_details()}
        #: Side of the square input image, pixels.
        self.side = int(self._input["shape"][1])

    def __call__(self, image: NDArray[Any]) -> dict[str, FloatArray]:
        """Outputs by name, without the batch dimension.

        Args:
            image: [side, side, 3], in the range that the network was trained on.
        """
        self._interpreter.set_tensor(self._input["index"], image[None].astype(self._input["dtype"], copy=False))
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(index)[0] for name, index in self._outputs.items()}


def _interpreter_class() -> Any:
    try:
        return importlib.import_module("ai_edge_litert.interpreter").Interpreter
    except ImportError as error:
        raise UsageError(
            f"the keypoint detector needs the package ai-edge-litert, which cannot be imported ({error}); install it "
            "with 'pip install ai-edge-litert', or give the keypoints of another detector with --keypoints"
        ) from error


def _check(path: Path, sha256: str) -> None:
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            found = hashlib.sha256(content).hexdigest()
    except (OSError, ValueError) as error:
        raise InputError(path, f"expected a network of the detector; {error}") from error
    if found != sha256:
        raise InputError(
            path, f"expected sha256 {sha256}, found {found}: the file is damaged; install smplifyx again"
        )
