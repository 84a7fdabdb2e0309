"""Read a million made-up files, guided by which branches each one reaches (atheris, libFuzzer).

python -m tools.fuzz_readers READER [--corpus DIR] [-runs=N] [-max_total_time=SECONDS] [other options of libFuzzer]

Readers may raise the package's own errors alone. Any other exception ends the run; libFuzzer then writes the input to
``crash-...`` in the working directory, and ``python -m tools.fuzz_readers READER crash-...`` repeats it. Needs
``pip install atheris`` (Linux, Python 3.11 to 3.13).
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from smplifyx.errors import SmplifyxError


@dataclass(frozen=True)
class Target:
    """A reader of files.

    Attributes:
        module: the module whose branches guide the search.
        make: import the reader; called once.
        name: file name that it expects.
        examples: valid files to start from.
    """

    module: str
    make: Callable[[], Callable[[Path], Any]]
    name: str
    examples: Sequence[bytes]


def _keypoints() -> Callable[[Path], Any]:
    from smplifyx.keypoints import read_keypoints

    return lambda path: read_keypoints(path, image_size=(640, 480))


def _config() -> Callable[[Path], Any]:
    from smplifyx.config import load_run

    return load_run


def _calibration() -> Callable[[Path], Any]:
    from smplifyx.camera import read_calibration

    return read_calibration


def _cameras() -> Callable[[Path], Any]:
    from smplifyx.calibration import read_cameras

    return read_cameras


def _pickles() -> Callable[[Path], Any]:
    from smplifyx.body.pickles import load_pickle

    return load_pickle


def _people() -> list[bytes]:
    points = [number for k in range(25) for number in (100 + 7 * k, 50 + 11 * k, 0.8)]
    hand = [number for k in range(21) for number in (10 + k, 20 + 2 * k, 0.5)]
    person = {"pose_keypoints_2d": points, "hand_left_keypoints_2d": hand, "hand_right_keypoints_2d": []}
    coco = [{"image_id": "a.jpg", "category_id": 1, "keypoints": points[:51], "score": 2.1}]
    instances = {"instance_info": [{"keypoints": [[1.0, 2.0]] * 17, "keypoint_scores": [0.5] * 17}]}
    documents = ({"version": 1.3, "people": [person]}, coco, instances)
    return [json.dumps(document).encode() for document in documents]


def _pickled() -> list[bytes]:
    content = {"v_template": np.zeros((3, 3)), "f": np.arange(6).reshape(2, 3), "names": ["a", "b"], "x": (1, None)}
    return [pickle.dumps(content, protocol) for protocol in (0, 2, 4)]


_YAML = (b"objective: {rho: 50}\nstages: {4: {collision: 20}}\nrun:\n  threads: 2\n", b"stages.all.shape: 3\n")
_RIG = (
    b"up: z\nground: 0.1\ncameras:\n- {name: a, image_size: [640, 480], K: [[9, 0, 3], [0, 9, 2], [0, 0, 1]],\n"
    b"  distortion: [0.1, 0, 0, 0], R: [[1, 0, 0], [0, 1, 0], [0, 0, 1]], T: [0, 0, 3]}\n"
    b"- {name: b, image_size: [640, 480], focal_length: 900, R: [0.1, 0.2, 0.3], T: [0, 0, 3]}\n",
)
_TOML = (
    b'[cam1]\nname = "cam1"\nsize = [640.0, 480.0]\n'
    b"matrix = [[900.0, 0.0, 320.0], [0.0, 900.0, 240.0], [0.0, 0.0, 1.0]]\n"
    b"distortions = [0.1, 0.0, 0.0, 0.0]\nrotation = [0.1, 0.2, 0.3]\ntranslation = [0.0, 0.0, 3.0]\n",
)
_XML = (
    b'<?xml version="1.0"?><calibration><cameras><camera serial="1">'
    b'<fov_video left="0" top="0" right="639" bottom="479"/>'
    b'<transform x="100" y="200" z="300" r11="1" r12="0" r13="0" r21="0" r22="1" r23="0" r31="0" r32="0" r33="1"/>'
    b'<intrinsic focalLengthU="60000" focalLengthV="60000" centerPointU="20000" centerPointV="15000" skew="0" '
    b'radialDistortion1="0.1" radialDistortion2="0" radialDistortion3="0" tangentalDistortion1="0" '
    b'tangentalDistortion2="0"/></camera></cameras></calibration>',
)
_TEXT = (b"0 900 0 320 0 900 240 0 0 1 0.1 0.2 1 0 0 0 0 1 0 0 0 0 1 3\n",)
_PHOTO_CAMERAS = (
    b"default: {focal_length: 1400, principal_point: [960, 540]}\n"
    b"IMG: {focal_length: [1, 2], principal_point: [3, 4]}\n",
)
TARGETS = {
    "keypoints": Target("smplifyx.keypoints", _keypoints, "a_keypoints.json", _people()),
    "config": Target("smplifyx.config", _config, "config.yaml", _YAML),
    "calibration": Target("smplifyx.camera", _calibration, "cameras.yaml", _PHOTO_CAMERAS),
    "cameras": Target("smplifyx.calibration", _cameras, "cameras.yaml", _RIG),
    "cameras_toml": Target("smplifyx.calibration", _cameras, "cameras.toml", _TOML),
    "cameras_qualisys": Target("smplifyx.calibration", _cameras, "cameras.qca.txt", _XML),
    "cameras_text": Target("smplifyx.calibration", _cameras, "camera_parameters.txt", _TEXT),
    "pickles": Target("smplifyx.body.pickles", _pickles, "model.pkl", _pickled()),
}


def parse_arguments(argv: Sequence[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    """Parse the command line; unknown arguments are for libFuzzer."""
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz_readers", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("reader", choices=TARGETS, help="the reader to try")
    parser.add_argument("--corpus", type=Path, help="folder of inputs that reached new branches; kept between runs")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)  # of the file that the fuzzing process reads
    return parser.parse_known_args(argv)


def check(read: Callable[[Path], Any], path: Path, data: bytes) -> bool:
    """Write and read a file.

    Returns:
        Whether it was read; False where one of the package's errors came.

    Raises:
        Exception: any other error of the reader.
    """
    path.write_bytes(data)
    try:
        read(path)
    except SmplifyxError:
        return False
    return True


def main(argv: Sequence[str] | None = None) -> None:
    """Fuzz one reader until it fails or its runs are done, in a process of its own, which libFuzzer ends at once."""
    argv = sys.argv[1:] if argv is None else list(argv)
    arguments, rest = parse_arguments(argv)
    if arguments.folder is not None:
        fuzz(TARGETS[arguments.reader], arguments.folder, arguments.corpus or arguments.folder / "corpus", rest)
        return
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        sys.exit(subprocess.call([sys.executable, "-m", "tools.fuzz_readers", *argv, "--folder", folder]))


def fuzz(target: Target, folder: Path, corpus: Path, options: Sequence[str]) -> None:
    """Fuzz one reader; does not return.

    Args:
        target: the reader.
        folder: for the file that is read.
        corpus: folder of inputs that reach new branches.
        options: of libFuzzer, or files of inputs to be tried alone.
    """
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not installed; pip install atheris")
    with atheris.instrument_imports(include=[target.module]):
        read = target.make()
    warnings.simplefilter("ignore")
    corpus.mkdir(parents=True, exist_ok=True)
    for number, example in enumerate(target.examples):
        (corpus / f"example_{number}").write_bytes(example)
    path = folder / target.name
    crashes = [name for name in options if not name.startswith("-")]
    atheris.Setup([sys.argv[0], *options, *([] if crashes else [str(corpus)])], lambda data: check(read, path, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
